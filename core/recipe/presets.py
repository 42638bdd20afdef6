"""Values that depend on what else a recipe says: the method's learning rate, the batch that completes the other half.

Fixed defaults stand with their fields in the schema. Each value here has its reason beside it; nothing is applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.recipe.document import Value

EFFECTIVE_BATCH_ROWS = 16
"""Rows to one optimizer step; the field's recipes lie between 8 and 16."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A value for a key that the recipe left open, and why it is this one."""

    value: str | int | float | bool
    reason: str


_ADAPTERS = Preset(2e-4, "the usual rate for adapters, about ten times that of full fine-tuning")

METHOD_PRESETS: Mapping[str, Mapping[str, Preset]] = {
    "full": {
        "train.learning_rate": Preset(2e-5, "all weights move: a tenth of the rate for adapters keeps what was learnt")
    },
    "lora": {"train.learning_rate": _ADAPTERS},
    "qlora": {"train.learning_rate": _ADAPTERS},
}


def batch_presets(train: Mapping[str, Value]) -> dict[str, Preset]:
    """The half of (batch size, accumulation) that a `train` section leaves open, where it gives the other half."""
    size, steps = train.get("per_device_train_batch_size"), train.get("gradient_accumulation_steps")
    if _is_count(size) and steps is None:
        return {"train.gradient_accumulation_steps": _completing(size, "per_device_train_batch_size")}
    if _is_count(steps) and size is None:
        return {"train.per_device_train_batch_size": _completing(steps, "gradient_accumulation_steps")}
    return {}


def _completing(given: Value, key: str) -> Preset:
    assert isinstance(given, int)
    other = max(1, round(EFFECTIVE_BATCH_ROWS / given))
    return Preset(other, f"{key} is {given}: together {given * other} rows to an optimizer step")


def _is_count(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
