"""Numbers that JSON lacks, made sayable: null in the document, their kind beside it.

Why: `NaN` in JSON breaks every strict reader, and a silent null hides the very thing that went wrong. In an object the
kinds stand under `nonfinite` by the key; in a list inside an object by `key.index`. It must not print.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

JsonInput: TypeAlias = "bool | int | float | str | Sequence[JsonInput] | Mapping[str, JsonInput] | None"
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def kind_of(value: float) -> str | None:
    """`nan`, `inf` or `-inf`; None for a finite number."""
    if math.isfinite(value):
        return None
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def to_json(value: JsonInput) -> Json:
    """`value` with every non-finite number replaced by null, its kind noted in the object that holds it."""
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return [to_json(item) for item in value]


def _object(mapping: Mapping[str, JsonInput]) -> dict[str, Json]:
    nonfinite: dict[str, Json] = {}
    result: dict[str, Json] = {}
    for key, value in mapping.items():
        result[key] = to_json(value)
        _note(nonfinite, key, value)
    if nonfinite:
        result["nonfinite"] = nonfinite
    return result


def _note(nonfinite: dict[str, Json], path: str, value: JsonInput) -> None:
    if isinstance(value, float):
        kind = kind_of(value)
        if kind is not None:
            nonfinite[path] = kind
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, item in enumerate(value):
            _note(nonfinite, f"{path}.{index}", item)


def curve(steps: Sequence[int], values: Sequence[float]) -> dict[str, Json]:
    """A curve as `{"steps": […], "values": […]}`; kinds of non-finite values by their step."""
    kinds: dict[str, Json] = {}
    for step, value in zip(steps, values, strict=True):
        kind = kind_of(value)
        if kind is not None:
            kinds[str(step)] = kind
    body: dict[str, Json] = {
        "steps": list(steps),
        "values": [value if math.isfinite(value) else None for value in values],
    }
    if kinds:
        body["nonfinite"] = kinds
    return body
