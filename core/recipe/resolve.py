"""A raw recipe with everything filled in that it left open, each value with its source and reason.

Works on plain mappings before validation, so that what a person wrote and what was chosen pass the same check.
It must not look at the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from core.recipe.document import KeyPath, Value
from core.recipe.names import SECTIONS
from core.recipe.presets import METHOD_PRESETS, Preset, batch_presets
from core.recipe.problems import as_section
from core.recipe.schema import Section
from core.text import safe_line

METHOD_TYPE: KeyPath = ("method", "type")


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that finetui chose: what, from where (`preset`, `default`, `file name`, `--set …`), and why."""

    key: str
    value: str | int | float | bool | None
    source: str
    reason: str


@dataclass(slots=True)
class Resolved:
    """A raw recipe without open values, and what was chosen for them."""

    value: dict[str, Value]
    choices: list[Choice] = field(default_factory=list)


def method_class(method: Value) -> type[Section] | None:
    """The schema's class for a raw `method` section; None where its type is missing or unknown."""
    for class_ in SECTIONS["method"]:
        if as_section(method).get("type") in get_args(class_.model_fields["type"].annotation):
            return class_
    return None


def fill(raw: Mapping[str, Value], *, stem: str, set_keys: frozenset[KeyPath]) -> Resolved:
    """`raw` with its open values chosen. `stem` is the file's name without ending; `set_keys` came from `--set`."""
    result = Resolved(dict(raw))
    if result.value.get("name") is None:
        name = safe_line(stem, 100).strip() or "run"
        result.value["name"] = name
        result.choices.append(Choice("name", name, "file name", "the recipe gives none"))
    if METHOD_TYPE in set_keys:
        _drop_what_no_longer_applies(result, set_keys)
    chosen = _presets(result.value)
    for section in SECTIONS:
        _fill_section(result, section, chosen)
    _choose_best_metric(result)
    return result


def _drop_what_no_longer_applies(result: Resolved, set_keys: frozenset[KeyPath]) -> None:
    """A recipe written for adapters can be run as full fine-tuning from the command line."""
    method = as_section(result.value.get("method"))
    new, known = method_class(method), {key for class_ in SECTIONS["method"] for key in class_.model_fields}
    if new is None:
        return
    dropped = [
        key for key in method if key in known and key not in new.model_fields and ("method", key) not in set_keys
    ]
    for key in dropped:
        reason = f"the recipe's value has no meaning for {method['type']}"
        result.choices.append(Choice(f"method.{key}", None, "--set method.type", reason))
    result.value["method"] = {key: value for key, value in method.items() if key not in dropped}


def _presets(raw: Mapping[str, Value]) -> dict[str, Preset]:
    method = as_section(raw.get("method")).get("type")
    presets = METHOD_PRESETS.get(method, {}) if isinstance(method, str) else {}
    return {**presets, **batch_presets(as_section(raw.get("train")))}


def _fill_section(result: Resolved, section: str, presets: Mapping[str, Preset]) -> None:
    given = result.value.get(section)
    if given is not None and not isinstance(given, dict):
        return
    class_ = method_class(given) if section == "method" else SECTIONS[section][0]
    if class_ is None or (given is None and section in ("model", "data", "method")):
        return
    filled = dict(given or {})
    method = str(as_section(result.value.get("method")).get("type"))
    for key, declared in class_.model_fields.items():
        if filled.get(key) is not None or declared.is_required():
            continue
        choice = _choose(f"{section}.{key}", declared, presets, method)
        if choice is None:
            filled.pop(key, None)
        else:
            filled[key] = choice.value
            result.choices.append(choice)
    result.value[section] = filled


def _choose(key: str, declared: FieldInfo, presets: Mapping[str, Preset], method: str) -> Choice | None:
    """The value for an open key; None where open is a value (null), or nothing is there to be chosen (no sets)."""
    preset = presets.get(key)
    if preset is not None:
        source = f"preset {method}" if key in METHOD_PRESETS.get(method, {}) else "preset"
        return Choice(key, preset.value, source, preset.reason)
    default = declared.default
    if default is PydanticUndefined or default is None or not isinstance(default, str | int | float | bool):
        return None
    extra = declared.json_schema_extra
    why = extra.get("why") if isinstance(extra, dict) else None
    return Choice(key, default, "default", str(why) if why else "finetui's default")


def _choose_best_metric(result: Resolved) -> None:
    checkpoints = result.value.get("checkpoints")
    if not isinstance(checkpoints, dict) or checkpoints.get("best_metric") is not None:
        return
    for name, evaluation_set in as_section(as_section(result.value.get("evaluate")).get("sets")).items():
        if isinstance(evaluation_set, dict) and evaluation_set.get("role", "validation") == "validation":
            metric = f"{name}.loss"
            result.value["checkpoints"] = {**checkpoints, "best_metric": metric}
            reason = f"{name} is the validation set"
            result.choices.append(Choice("checkpoints.best_metric", metric, "default", reason))
            return
