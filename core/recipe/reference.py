"""The reference page of all recipe keys, made from the schema so that it can't say anything else.

`python -m core.recipe.reference` prints it; docs/recipe-reference.md is its output, and a test says when it is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import NoneType
from typing import Annotated, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from core.recipe.names import SECTIONS
from core.recipe.presets import METHOD_PRESETS
from core.recipe.schema import DataSource, EvaluationSet, QloraMethod, Recipe, Section
from core.recipe.schema_data import FORMAT_FIELDS

_INTRODUCTION = """\
# Recipe reference

Made from the schema by `python -m core.recipe.reference`; a test fails when it is stale.

A recipe is YAML 1.2: `1e-4` is a number, `no` is a word, a key may stand only once. It is data: it holds no code, no
secret and no environment variable. Unknown keys and wrong types are errors, all reported at once by `finetui check`.
Any value can be set from the command line: `--set train.learning_rate=1e-4`, `--set data.train.0.path=rows.jsonl`.
What a recipe leaves open is chosen by finetui, and `finetui show` says which value was chosen and why.
"""


def reference() -> str:
    """The page as Markdown."""
    parts = [_INTRODUCTION, *_section("", Recipe, only=("name",))]
    for name, declared in Recipe.model_fields.items():
        if name == "method":
            parts += [f"## method\n\n{declared.description}\n", *_methods()]
        elif name != "name" and isinstance(declared.annotation, type) and issubclass(declared.annotation, Section):
            parts += [f"## {name}\n\n{declared.description}\n", *_section(name, declared.annotation)]
        if name == "data":
            parts += ["### data.train\n", *_section("data.train.0", DataSource), *_formats()]
        if name == "evaluate":
            parts += ["### evaluate.sets\n", *_section("evaluate.sets.NAME", EvaluationSet)]
    return "\n".join(parts)


def _methods() -> Iterator[str]:
    yield "| type | what is trained | preset |\n|---|---|---|"
    for class_ in SECTIONS["method"]:
        declared = class_.model_fields["type"]
        presets = METHOD_PRESETS[declared.default]
        chosen = ", ".join(f"`{key}: {preset.value:g}` ({preset.reason})" for key, preset in presets.items())
        yield f"| `{declared.default}` | {declared.description} | {chosen} |"
    yield "\nOf `lora` and `qlora` only:\n"
    yield from _section("method", QloraMethod, only=tuple(key for key in QloraMethod.model_fields if key != "type"))


def _formats() -> Iterator[str]:
    yield "Formats and the names that `fields` may map:\n\n| format | fields |\n|---|---|"
    for name, fields in FORMAT_FIELDS.items():
        yield f"| `{name}` | {', '.join(f'`{field}`' for field in fields)} |"
    yield ""


def _section(prefix: str, class_: type[Section], only: tuple[str, ...] = ()) -> Iterator[str]:
    yield "| key | type | default | meaning |\n|---|---|---|---|"
    for key, declared in class_.model_fields.items():
        if only and key not in only:
            continue
        name = f"{prefix}.{key}" if prefix else key
        yield f"| `{name}` | {_type(declared)} | {_default(name, declared)} | {_meaning(declared)} |"
    yield ""


def _type(declared: FieldInfo) -> str:
    words = [_type_words(declared.annotation), *_range(declared)]
    return ", ".join(word for word in words if word)


def _type_words(annotation: object) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_words(arguments[0])
    if origin is Literal:
        return " \\| ".join(f"`{choice}`" for choice in arguments)
    if origin is tuple:
        return f"list of {_plural(_type_words(arguments[0]))}"
    if origin is dict:
        return "mapping"
    if arguments:
        return " or ".join("null" if one is NoneType else _type_words(one) for one in arguments)
    names = {str: "text", int: "whole number", float: "number", bool: "`true` \\| `false`"}
    return names.get(annotation, "section") if isinstance(annotation, type) else "section"


def _plural(words: str) -> str:
    return words if words == "text" else f"{words}s"


_RANGE_WORDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def _range(declared: FieldInfo) -> Iterator[str]:
    for constraint in declared.metadata:
        for attribute, words in _RANGE_WORDS.items():
            limit = getattr(constraint, attribute, None)
            if isinstance(limit, int | float):
                yield f"{words} {limit:,}"


def _default(name: str, declared: FieldInfo) -> str:
    if any(name in presets for presets in METHOD_PRESETS.values()):
        return "by method"
    if name == "name":
        return "the file's name"
    if declared.is_required():
        return "**required**"
    value = declared.default
    if value is PydanticUndefined:
        return "none of its keys" if isinstance(declared.annotation, type) else "empty"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "empty" if value == () else f"`{value}`"


def _meaning(declared: FieldInfo) -> str:
    extra = declared.json_schema_extra if isinstance(declared.json_schema_extra, dict) else {}
    unit = f" Unit: {extra['unit']}." if "unit" in extra else ""
    why = f" Why this default: {extra['why']}." if "why" in extra else ""
    return f"{declared.description or ''}{unit}{why}".replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
