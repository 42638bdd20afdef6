"""pydantic's errors → sentences with file, line, key and the nearest right name.

It must not decide what is wrong; it only says it, once for each place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from core.errors import Problem
from core.recipe.document import KeyPath, Value, dotted
from core.recipe.names import SECTIONS, hint_for_key, hint_for_value
from core.recipe.schema import Recipe, Section
from core.recipe.schema_data import DataSource, EvaluationSet
from core.text import safe_line

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

OVERRIDE = "--set"


@dataclass(frozen=True, slots=True)
class Places:
    """Where each key of a recipe stands: a line of the file, or an override."""

    file: str
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    overridden: Collection[KeyPath] = ()

    def is_overridden(self, path: KeyPath) -> bool:
        """Whether the value at `path`, or the mapping that stands there only for it, came from `--set`."""
        if any(path[:length] in self.overridden for length in range(1, len(path) + 1)):
            return True
        return path not in self.lines and any(key[: len(path)] == path for key in self.overridden)

    def line(self, path: KeyPath) -> int | None:
        """The line of the key, else of the nearest section that holds it; None for an empty file."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None

    def problem(self, path: KeyPath, what: str, try_this: str = "", *, level: str = "error") -> Problem:
        """A problem at a key, wherever that key came from."""
        key = safe_line(dotted(path), 200)
        if self.is_overridden(path):
            return Problem(OVERRIDE, None, key, what, try_this, level)
        return Problem(self.file, self.line(path), key, what, try_this, level)


def quoted(value: object) -> str:
    """A value as a message shows it, short and harmless."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, tuple | list):
        return "a list"
    return safe_line(f"'{value}'" if isinstance(value, str) else str(value), 80)


def quoted_path(path: Path | str) -> str:
    """A path as a message shows it: harmless and whole, since the end of it is what a person looks for."""
    return f"'{safe_line(str(path), 4096)}'"


def explain(error: ErrorDetails, places: Places) -> Problem:
    """One pydantic error (of a whole recipe's validation) as a problem."""
    path = key_path(error["loc"])
    value: object = error.get("input")
    context = error.get("ctx") or {}
    kind = error["type"]
    if kind == "extra_forbidden":
        siblings = known_keys(path[:-1], method=error["loc"][1] if len(error["loc"]) > 2 else None)
        return places.problem(path, "unknown key", hint_for_key(str(path[-1]), siblings, dotted(path[:-1])))
    if kind == "missing":
        return places.problem(path, "is missing", _SHAPES.get(path, ""))
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return _explain_tag(path, kind, context, places)
    if kind == "literal_error":
        choices = [part.strip("' ") for part in str(context["expected"]).replace(" or ", ", ").split(",")]
        one_of = "one of " if len(choices) > 1 else ""
        what = f"must be {one_of}{', '.join(choices)}, not {quoted(value)}"
        return places.problem(path, what, hint_for_value(str(value), choices) if isinstance(value, str) else "")
    what = _WORDS[kind](value, context) if kind in _WORDS else safe_line(error["msg"], 200)
    return places.problem(path, what, _hint_for_shape(path, value) or _hint_for_type(kind, value))


def _explain_tag(path: KeyPath, kind: str, context: Mapping[str, object], places: Places) -> Problem:
    choices = [choice for class_ in SECTIONS["method"] for choice in get_args(class_.model_fields["type"].annotation)]
    if kind == "union_tag_not_found":
        return places.problem((*path, "type"), f"is missing; one of {', '.join(choices)}")
    tag = str(context["tag"])
    what = f"must be one of {', '.join(choices)}, not {quoted(tag)}"
    return places.problem((*path, "type"), what, hint_for_value(tag, choices))


_SHAPES: Mapping[KeyPath, str] = {
    ("model",): "as in model: {path: builtin:starter}",
    ("data",): "as in data: {train: [{path: rows.jsonl}]}",
    ("data", "train"): "a list of files, as in [{path: rows.jsonl}]",
    ("method",): "as in method: {type: qlora}",
    ("objective",): "as in objective: {type: sft}",
}


def _hint_for_shape(path: KeyPath, value: object) -> str:
    """What to write where a bare word stands in place of a section or an item."""
    if path[:-1] == ("data", "train") and isinstance(value, str):
        return f"as in - path: {quoted(value)}"
    return _SHAPES.get(path, "")


def _hint_for_type(kind: str, value: object) -> str:
    if kind == "string_type" and isinstance(value, int | float):
        return "put it in quotes"
    if kind in ("float_type", "int_type") and isinstance(value, str):
        bare = re.sub(r",(?=[0-9]{3}\b)", "", value.replace("_", "")).replace(",", ".")
        return f"write {bare} without quotes" if _is_number(bare) else ""
    if kind == "bool_type" and isinstance(value, str) and value.lower() in ("yes", "no", "on", "off", "y", "n"):
        return f"write {'true' if value.lower() in ('yes', 'on', 'y') else 'false'}"
    if kind == "tuple_type":
        return "begin each item with a dash, or write [item, item]"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_WORDS: Mapping[str, Callable[[object, Mapping[str, object]], str]] = {
    "string_type": lambda value, _: f"must be text, not {quoted(value)}",
    "int_type": lambda value, _: f"must be a whole number, not {quoted(value)}",
    "int_from_float": lambda value, _: f"must be a whole number, not {quoted(value)}",
    "float_type": lambda value, _: f"must be a number, not {quoted(value)}",
    "bool_type": lambda value, _: f"must be true or false, not {quoted(value)}",
    "dict_type": lambda value, _: f"must be a mapping of keys, not {quoted(value)}",
    "model_type": lambda value, _: f"must be a mapping of keys, not {quoted(value)}",
    "model_attributes_type": lambda value, _: f"must be a mapping of keys, not {quoted(value)}",
    "tuple_type": lambda value, _: f"must be a list, not {quoted(value)}",
    "finite_number": lambda value, _: f"must be a finite number, not {quoted(value)}",
    "greater_than": lambda value, context: f"must be above {context['gt']:g}, not {quoted(value)}",
    "greater_than_equal": lambda value, context: f"must be at least {context['ge']:g}, not {quoted(value)}",
    "less_than": lambda value, context: f"must be below {context['lt']:g}, not {quoted(value)}",
    "less_than_equal": lambda value, context: f"must be at most {context['le']:,}, not {quoted(value)}",
    "too_short": lambda _, context: f"needs at least {context['min_length']} item",
    "too_long": lambda _, context: f"must not have more than {context['max_length']} items",
    "string_too_short": lambda _, __: "must not be empty",
    "string_too_long": lambda _, context: f"must not be longer than {context['max_length']} characters",
    "string_pattern_mismatch": lambda value, _: f"{quoted(value)} is no name: letters, digits, - and _, a letter first",
}


def key_path(loc: tuple[int | str, ...]) -> KeyPath:
    """pydantic's location without what is no key: the union's tag after `method`, and the `[key]` marker."""
    path = tuple(part for part in loc if part != "[key]")
    return ("method", *path[2:]) if path[:1] == ("method",) and len(path) > 1 else path


def known_keys(path: KeyPath, *, method: str | int | None = None) -> list[str]:
    """The keys that a recipe knows at a place, in the schema's order; `method` says which one, in its section."""
    if not path:
        return list(Recipe.model_fields)
    if path[0] == "data" and path[1:2] == ("train",):
        return list(DataSource.model_fields)
    if path[:2] == ("evaluate", "sets"):
        return list(EvaluationSet.model_fields)
    classes = [class_ for class_ in SECTIONS.get(str(path[0]), ()) if path[0] != "method" or _is_type(class_, method)]
    keys: dict[str, None] = {}
    for class_ in classes:
        keys.update(dict.fromkeys(class_.model_fields))
    return list(keys)


def _is_type(method_class: type[Section], name: str | int | None) -> bool:
    return name in get_args(method_class.model_fields["type"].annotation)


def as_section(value: Value) -> dict[str, Value]:
    """A section's mapping, or an empty one where something else stands there (validation will say so)."""
    return value if isinstance(value, dict) else {}
