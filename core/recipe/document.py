"""YAML 1.2 text → plain values and the line of each key, so that every problem can name its place.

ruamel.yaml scans and parses; values are built here from its events, because a recipe needs what a constructor hides:
lines, duplicate keys, the cost of aliases, and the core schema of YAML 1.2 to the letter (§10.3.2: `1e-4` is a number,
`no`, `1_000` and `2024-01-01` are words). Sequences become tuples. Nothing here knows a recipe's keys.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from core.errors import Problem, RecipeError
from core.text import safe_line

MAX_BYTES = 1024 * 1024
MAX_VALUES = 20_000
MAX_DEPTH = 32

Value: TypeAlias = str | int | float | bool | tuple["Value", ...] | dict[str, "Value"] | None
KeyPath: TypeAlias = tuple[str | int, ...]

_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,4000}")
_OCTAL = re.compile(r"0o[0-7]{1,4000}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,4000}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")


@dataclass(slots=True)
class Document:
    """A YAML text's value, the 1-based line of every key and item, and what was wrong short of unreadable."""

    value: Value
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def dotted(path: KeyPath) -> str:
    """A key's path as people write it: `data.train.0.path`."""
    return ".".join(str(part) for part in path)


def plain_value(text: str) -> str | int | float | bool | None:
    """An unquoted scalar by the core schema of YAML 1.2; what matches nothing is a string."""
    for pattern, convert in _CORE_SCHEMA:
        if pattern.fullmatch(text):
            return convert(text)
    return text


_CORE_SCHEMA: tuple[tuple[re.Pattern[str], Callable[[str], int | float | bool | None]], ...] = (
    (_NULL, lambda _: None),
    (_BOOL, lambda text: text.lower() == "true"),
    (_INT, int),
    (_OCTAL, lambda text: int(text[2:], 8)),
    (_HEX, lambda text: int(text[2:], 16)),
    (_FLOAT, float),
    (_INFINITE, lambda text: -math.inf if text.startswith("-") else math.inf),
    (_NAN, lambda _: math.nan),
)


def read_document(path: Path, label: str) -> Document:
    """Read a YAML file of at most 1 MiB; `label` is how problems name it.

    Raises:
        RecipeError: it can't be read, is no UTF-8, is too large, or is no YAML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        what = "no such file" if isinstance(error, FileNotFoundError) else f"can't be read: {error.strerror}"
        raise RecipeError([Problem(label, None, "", what)]) from error
    if len(content) > MAX_BYTES:
        raise RecipeError([Problem(label, None, "", "larger than 1 MiB", "a recipe only names its data")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RecipeError([Problem(label, line, "", "is not UTF-8 text", "save the file as UTF-8")]) from error
    return parse_document(text, label)


def parse_document(text: str, label: str) -> Document:
    """The value of a YAML text; duplicate keys, tags and other curable things are collected in `problems`.

    Raises:
        RecipeError: the text is no YAML, holds several documents, or is nested or repeated beyond the limits.
    """
    builder = _Builder(label)
    try:
        return builder.document(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = safe_line(f"not valid YAML: {error.problem or error.context or 'unreadable'}", 300)
        raise RecipeError([Problem(label, mark.line + 1 if mark else None, "", what)]) from error
    except YAMLError as error:  # a character that YAML forbids
        what = safe_line(f"not valid YAML: {error}", 300)
        raise RecipeError([Problem(label, None, "", what)]) from error


class _Builder:
    """Events → values. An alias shares the value of its anchor, and that value's size counts again toward the limit."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.result = Document(value=None)
        self.values = 0
        self.anchors: dict[str, Value] = {}

    def document(self, events: Iterator[Event]) -> Document:
        """The value of the one document in the stream; an empty stream is null."""
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, "several documents in one file; a recipe is one")
                self.result.value = self._value(next(events), events, ())
        return self.result

    def _value(self, event: Event, events: Iterator[Event], path: KeyPath) -> Value:
        self._count(event, values=1, depth=len(path))
        self.result.lines.setdefault(path, event.start_mark.line + 1)
        if isinstance(event, AliasEvent):
            return self._alias(event, path)
        assert isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent)
        if event.tag is not None:
            self._note(event, path, "tags (!…) are not allowed in a recipe", "write the plain value")
        value = self._built(event, events, path)
        if event.anchor is not None:
            self.anchors[event.anchor] = value
        return value

    def _built(
        self, event: ScalarEvent | SequenceStartEvent | MappingStartEvent, events: Iterator[Event], path: KeyPath
    ) -> Value:
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, path)
        if isinstance(event, MappingStartEvent):
            return self._mapping(events, path)
        return plain_value(event.value) if event.style is None else str(event.value)

    def _sequence(self, events: Iterator[Event], path: KeyPath) -> Value:
        items: list[Value] = []
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            items.append(self._value(event, events, (*path, len(items))))
        return tuple(items)

    def _mapping(self, events: Iterator[Event], path: KeyPath) -> Value:
        mapping: dict[str, Value] = {}
        first_lines: dict[str, int] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            if not isinstance(event, ScalarEvent):
                self._refuse(event, "a key must be a plain word")
            key, line = str(event.value), event.start_mark.line + 1
            if key in first_lines:
                what = f"this key was already given in line {first_lines[key]}"
                self._note(event, (*path, key), what, "keep one of them")
            first_lines.setdefault(key, line)
            self.result.lines.setdefault((*path, key), line)
            value = self._value(next(events), events, (*path, key))
            mapping.setdefault(key, value)
        return mapping

    def _alias(self, event: AliasEvent, path: KeyPath) -> Value:
        if event.anchor not in self.anchors:
            self._refuse(event, f"*{event.anchor} refers to nothing that is complete before it")
        value = self.anchors[event.anchor]
        size, height = _extent(value)
        self._count(event, values=size, depth=len(path) + height)
        return value

    def _count(self, event: Event, *, values: int, depth: int) -> None:
        self.values += values
        if self.values > MAX_VALUES:
            self._refuse(event, f"more than {MAX_VALUES} values, an alias counting as often as it is used")
        if depth > MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} levels deep")

    def _note(self, event: Event, path: KeyPath, what: str, try_this: str) -> None:
        key = safe_line(dotted(path), 200)
        self.result.problems.append(Problem(self.label, event.start_mark.line + 1, key, what, try_this))

    def _refuse(self, event: Event, what: str) -> NoReturn:
        problem = Problem(self.label, event.start_mark.line + 1, "", safe_line(what, 300))
        raise RecipeError([*self.result.problems, problem])


def _extent(value: Value) -> tuple[int, int]:
    """How many values a value holds, itself included, and over how many levels."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ()
    extents = [_extent(child) for child in children]
    return 1 + sum(size for size, _ in extents), 1 + max((height for _, height in extents), default=0)
