"""Numbers as people read them: bytes, durations, rates, percentages; the only place where a unit becomes text.

It must not round what is stored: values travel unrounded and in base units (bytes, seconds), `None` is "not measured".
"""

from __future__ import annotations

import math

NOT_MEASURED = "—"
KIB, MIB, GIB = 1024, 1024**2, 1024**3


def format_bytes(count: int | float | None) -> str:
    """Bytes with a binary prefix: 3.4 MiB."""
    if count is None:
        return NOT_MEASURED
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def format_duration(seconds: float | None) -> str:
    """A duration as 0:07, 12:31, 3:05:09 or 2 d 03:05."""
    if seconds is None or not math.isfinite(seconds):
        return NOT_MEASURED
    whole = int(seconds)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, second = divmod(rest, 60)
    if days:
        return f"{days} d {hours:02d}:{minutes:02d}"
    return f"{hours}:{minutes:02d}:{second:02d}" if hours else f"{minutes}:{second:02d}"


def format_value(value: float | None, digits: int = 4) -> str:
    """A metric's value with `digits` significant digits; nan and ±inf are named, never hidden."""
    if value is None:
        return NOT_MEASURED
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.{digits}g}"


def format_percent(share: float | None) -> str:
    """A share of 1 as a percentage with one decimal place."""
    return NOT_MEASURED if share is None else f"{100 * share:.1f} %"


def format_count(count: int | float | None) -> str:
    """A count with a decimal prefix: 3.1k, 1.2M."""
    if count is None:
        return NOT_MEASURED
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= limit:
            return f"{count / limit:.1f}{suffix}"
    return f"{count:.0f}"
