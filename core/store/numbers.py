"""Numbers that are not finite, on their way into SQLite and back: a bound NaN would silently become NULL.

This module must not know any table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

FINITE, NAN, PLUS_INFINITY, MINUS_INFINITY = 0, 1, 2, 3
_BY_FLAG = {NAN: math.nan, PLUS_INFINITY: math.inf, MINUS_INFINITY: -math.inf}


def flag_of(value: float) -> int:
    """Which kind of number `value` is; 0 is finite."""
    if math.isfinite(value):
        return FINITE
    if math.isnan(value):
        return NAN
    return PLUS_INFINITY if value > 0 else MINUS_INFINITY


def from_flag(value: float | None, flag: int) -> float:
    """The number of a stored (value, flag)."""
    return _BY_FLAG[flag] if flag or value is None else value


def pack(value: float | None) -> float | str | None:
    """A number as small tables store it: non-finite ones as the words nan, inf, -inf."""
    return value if value is None or math.isfinite(value) else str(float(value))


def unpack(value: float | str | None) -> float | None:
    """The number that `pack` was given."""
    return None if value is None else float(value)


def pack_numbers(values: Mapping[str, float]) -> str:
    """A dictionary of numbers as JSON text with its keys in order."""
    return json.dumps({key: pack(values[key]) for key in sorted(values)}, allow_nan=False, separators=(",", ":"))


def unpack_numbers(text: str) -> dict[str, float]:
    """The dictionary that `pack_numbers` was given."""
    return {key: float(value) for key, value in json.loads(text).items()}


_INTEGERS = range(-(2**63), 2**63)


def bound(*values: object) -> tuple[str | int | float | None, ...]:
    """Foreign values as SQLite can take them: NaN as its word, text without lone surrogates.

    Raises:
        ValueError: a value is of a type or size that no column holds; the line it came from is refused.
    """
    return tuple(_bound(value) for value in values)


def _bound(value: object) -> str | int | float | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        if value not in _INTEGERS:
            raise ValueError(f"{value} is larger than a column holds")
        return value
    if isinstance(value, float):
        return pack(value)
    raise ValueError(f"{type(value).__name__} is not a value of a column")
