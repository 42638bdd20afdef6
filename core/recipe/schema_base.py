"""What all sections of a recipe have in common, so that a field is declared exactly once and read everywhere.

A field's declaration carries type, default, range, choices, unit, help and the reason of its default; the form, the
reference page, the JSON Schema, `--set` and completion all read it. This module must not know any particular field.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict


class Section(BaseModel):
    """A frozen mapping of known keys. Strict: a string is never a number, and a bool is never an int."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        validate_default=False,
    )


def facts(*, unit: str | None = None, why: str | None = None) -> JsonDict:
    """What a declaration says beside pydantic's own words: the value's unit and why the default is what it is."""
    return {key: value for key, value in (("unit", unit), ("why", why)) if value is not None}
