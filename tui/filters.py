"""The filter language: `method:qlora eval_loss<1.3 tag:keep lr>=1e-4 -state:crashed "two words"`.

Terms stand side by side and must all hold. A bare word is looked for in id, name, note, tags, method and model;
`field:word` contains, `=` and `!=` compare whole, `<` `<=` `>` `>=` compare numbers; `-` in front turns a term round.
A field that is no column is a metric, with `.min`, `.max`, `.last` or `.smooth` behind it.
Pure: text in, conditions out, and back.
"""

from __future__ import annotations

import difflib
import math
import re

from core.errors import UsageError
from core.store.run_query import ALIASES, NUMBER_FIELDS, TAG_FIELD, TEXT_FIELDS, Condition

_TERM = re.compile(r'\s*(-?)(?:([A-Za-z_][\w./@-]*?)(:|=|!=|<=|>=|<|>))?("(?:[^"\\]|\\.)*"?|[^\s"]\S*)?')
_FIELD = re.compile(r"[A-Za-z_][\w./@-]*")
_BARE = re.compile(r'[^\s"\\-][^\s"\\]*')
_SUFFIXES = {"k": 1e3, "m": 1e6, "g": 1e9}
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)([kmg]?)", re.IGNORECASE)
MAX_CHARACTERS = 1000


class FilterError(UsageError):
    """What was typed is not a filter; `at` is the character where it goes wrong."""

    def __init__(self, what: str, at: int, *, try_this: str = "") -> None:
        super().__init__(what, try_this=try_this)
        self.at = at


def is_text_field(field: str) -> bool:
    """Whether a field is compared as text."""
    known = ALIASES.get(field, field)
    return known in TEXT_FIELDS or known == TAG_FIELD


def is_known(field: str) -> bool:
    """Whether a field is a column of the list; others are taken as metrics."""
    return field in ALIASES or field in NUMBER_FIELDS or is_text_field(field)


def is_field(text: str) -> bool:
    """Whether `text` can be the name of a field or metric."""
    return _FIELD.fullmatch(text) is not None


def parse_filter(text: str) -> tuple[Condition, ...]:
    """The conditions of a filter, in its order; none for an empty text.

    Raises:
        FilterError: a term is incomplete, or compares a text as a number.
    """
    if len(text) > MAX_CHARACTERS:
        raise FilterError(f"a filter has at most {MAX_CHARACTERS} characters", MAX_CHARACTERS)
    found: list[Condition] = []
    place = 0
    while text[place:].strip():
        match = _TERM.match(text, place)
        if match is None or match.end() == place:
            raise FilterError("this is not a term", place)
        found.append(_condition(text, match))
        place = match.end()
    return tuple(found)


def _condition(text: str, match: re.Match[str]) -> Condition:
    minus, field, operator, raw = match.groups()
    at = match.start(4) if raw is not None else match.end()
    if raw is None:
        raise FilterError(f"{field}{operator} needs a value" if field else "a minus needs a term behind it", at)
    value = _unquoted(raw, at)
    negated = bool(minus)
    if field is None:
        return Condition("", ":", value, negated)
    if is_text_field(field):
        if operator not in (":", "=", "!="):
            raise FilterError(f"{field} is a text: {field}:{value} looks for it", match.start(3))
        return Condition(field, operator, value, negated)
    parsed = _number(value)
    if parsed is None:
        if is_known(field):
            raise FilterError(f"{field} is a number, {value!r} is not", at)
        near = difflib.get_close_matches(field, [*TEXT_FIELDS, TAG_FIELD, *NUMBER_FIELDS, *ALIASES], n=1)
        hint = f"did you mean {near[0]}?" if near else f"a metric is compared with a number: {field}<1.3"
        raise FilterError(f"there is no field {field!r}", match.start(2), try_this=hint)
    return Condition(field, operator, parsed, negated)


def _unquoted(raw: str, at: int) -> str:
    if not raw.startswith('"'):
        return raw
    if len(raw) < 2 or not raw.endswith('"') or re.fullmatch(r'"(?:[^"\\]|\\.)*"', raw) is None:
        raise FilterError("the quotation mark is not closed", at)
    return re.sub(r"\\(.)", r"\1", raw[1:-1])


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    value = float(match[1]) * _SUFFIXES.get(match[2].lower(), 1.0)
    return value if math.isfinite(value) else None


def write_filter(conditions: tuple[Condition, ...]) -> str:
    """The text that `parse_filter` reads as these conditions."""
    return " ".join(_term(condition) for condition in conditions)


def _term(condition: Condition) -> str:
    value = condition.value if isinstance(condition.value, str) else repr(float(condition.value))
    simple = _BARE.fullmatch(value) and (condition.field or not re.search("[:=!<>]", value))
    if isinstance(condition.value, str) and not simple:
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    head = f"{condition.field}{condition.operator}" if condition.field else ""
    return f"{'-' if condition.negated else ''}{head}{value}"
