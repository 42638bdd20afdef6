"""What differs between two recipes, key by key, so that a comparison of runs can begin with it.

It compares resolved recipes; how a change is shown is not its matter.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.recipe.schema import Recipe

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Change:
    """One key whose value differs; one that is absent on a side (another method, a missing item) has None there."""

    key: str
    before: Scalar
    after: Scalar


def diff_recipes(before: Recipe, after: Recipe) -> tuple[Change, ...]:
    """Every leaf that differs, as `data.train.0.path`, in the order of the schema; empty for equal recipes."""
    old, new = _leaves(before.model_dump(mode="json")), _leaves(after.model_dump(mode="json"))
    keys = dict.fromkeys((*old, *new))
    order = {section: position for position, section in enumerate(Recipe.model_fields)}
    changed = [Change(key, old.get(key), new.get(key)) for key in keys if _differs(key, old, new)]
    return tuple(sorted(changed, key=lambda change: order[change.key.partition(".")[0]]))


def _differs(key: str, old: dict[str, Scalar], new: dict[str, Scalar]) -> bool:
    return (key in old) != (key in new) or old[key] != new[key]


def _leaves(value: object, prefix: str = "") -> dict[str, Scalar]:
    """Dotted keys to single values; an empty list or mapping has no leaf."""
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = dict(enumerate(value)).items()
    else:
        assert value is None or isinstance(value, str | int | float | bool)
        return {prefix: value}
    leaves: dict[str, Scalar] = {}
    for key, part in parts:
        leaves.update(_leaves(part, f"{prefix}.{key}" if prefix else str(key)))
    return leaves
