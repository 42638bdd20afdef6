"""The y axis: which values it spans, where they lie on it, and what is written beside it. Pure; must not draw.

The range is on nice numbers and changes seldom: a rescale repaints the whole chart, which costs a slow link more than
a minute of ordinary updates. A few outliers are cut off where they would flatten everything else; who draws marks them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

OUTLIER_SHARE = 0.03
"""At most this share of the columns may be cut off at one end."""
OUTLIER_FACTOR = 3.0
"""They are cut off only where the range becomes this many times as small."""
LEAST_COLUMNS = 8
"""Fewer columns than these are never called outliers of each other."""
_LEAST = 1e-200
"""Differences below this are none: their nice numbers would leave what a float can hold."""
LEAST_USE = 0.35
"""The range shrinks when the values take less than this share of it."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A y axis from `low` to `high`, low < high; with `is_log` both are above 0 and equal ratios take equal space."""

    low: float
    high: float
    is_log: bool = False

    def share(self, value: float) -> float:
        """Where a finite value lies: 0 at the bottom, 1 at the top; outside of that where it is cut off."""
        if not self.is_log:
            return (value - self.low) / (self.high - self.low)
        if value <= 0:
            return -1.0
        return math.log(value / self.low) / math.log(self.high / self.low)

    def value(self, share: float) -> float:
        """The value at a share of the height."""
        if self.is_log:
            return self.low * math.exp(share * math.log(self.high / self.low))
        return self.low + (self.high - self.low) * share


def robust_bounds(minima: Sequence[float], maxima: Sequence[float]) -> tuple[float, float] | None:
    """Least and greatest value that the axis has to show, one pair of a column each; None for no columns.

    Up to OUTLIER_SHARE of the columns are left out at either end where that makes the range OUTLIER_FACTOR times
    as small.
    """
    if not maxima:
        return None
    low, high = min(minima), max(maxima)
    if len(maxima) < LEAST_COLUMNS or low == high:
        return low, high
    spare = max(1, int(len(maxima) * OUTLIER_SHARE))
    by_high, by_low = sorted(maxima), sorted(minima)
    for left_out in range(1, spare + 1):  # no more than needed
        if high - low > OUTLIER_FACTOR * (by_high[-left_out - 1] - low):
            high = by_high[-left_out - 1]
        if high - low > OUTLIER_FACTOR * (high - by_low[left_out]):
            low = by_low[left_out]
    return low, high


def fit(bounds: tuple[float, float], before: Scale | None = None, *, is_log: bool = False) -> Scale:
    """The scale for these bounds: the one `before` as long as it still serves, else nice numbers around them."""
    low, high = bounds
    if is_log:
        return _fit_log(low, high, before)
    if before is not None and not before.is_log and _holds(before, low, high):
        used, whole = high - low, before.high - before.low
        if used >= LEAST_USE * whole or (_is_flat(low, high) and _constant(low, high) == before):
            return before
    if _is_flat(low, high):
        return _constant(low, high)
    if before is not None and not before.is_log:
        low, high = _with_room(low, high, before)
    step = nice_step((high - low) / 4)
    return Scale(_floor(low, step), _ceil(high, step))


def _with_room(low: float, high: float, before: Scale) -> tuple[float, float]:
    """Room beyond an end that has just been passed: what moves goes on moving. It does not cross zero."""
    room = 0.5 * (high - low)
    if low < before.low:
        low = max(0.0, low - room) if low >= 0 else low - room
    if high > before.high:
        high = min(0.0, high + room) if high <= 0 else high + room
    return low, high


def _holds(scale: Scale, low: float, high: float) -> bool:
    """Whether both values lie on the scale, but for the rounding with which it was made."""
    slack = 1e-9
    return scale.share(low) >= -slack and scale.share(high) <= 1 + slack


def _is_flat(low: float, high: float) -> bool:
    """Whether the values differ by no more than the rounding of their sums."""
    return high - low <= max(1e-12 * max(abs(low), abs(high)), _LEAST)


def _constant(low: float, high: float) -> Scale:
    """A flat line lies in the middle of its chart."""
    around = max(abs(low), abs(high)) * 0.1
    if around < _LEAST:
        around = 1.0
    return Scale(low - around, high + around)


def _fit_log(low: float, high: float, before: Scale | None) -> Scale:
    low, high = max(low, high * 1e-12, _LEAST), max(high, _LEAST)  # twelve decades are as many as rows can tell apart
    if before is not None and before.is_log and _holds(before, low, high):
        used, whole = math.log(high / low), math.log(before.high / before.low)
        if used >= LEAST_USE * whole:
            return before
    if high / low < 1.2:
        return Scale(low / 1.2, high * 1.2, True)
    return Scale(_nice_below(low), _nice_above(high), True)


def _nice_below(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next((digit * power for digit in (5, 2, 1) if digit * power <= value), power)


def _nice_above(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= value)


def nice_step(rough: float) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that is not below `rough` (above 0)."""
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 1e-300 else 1e-300
    return next((digit * power for digit in (1, 2, 2.5, 5, 10) if digit * power >= rough * (1 - 1e-9)), 10 * power)


def _floor(value: float, step: float) -> float:
    return _clean(math.floor(value / step + 1e-9) * step, step)


def _ceil(value: float, step: float) -> float:
    return _clean(math.ceil(value / step - 1e-9) * step, step)


def _clean(value: float, step: float) -> float:
    """Without the binary dust that a product leaves (0.30000000000000004)."""
    digits = max(0, 2 - math.floor(math.log10(step)))
    return round(value, digits) if digits < 300 else value


def ticks(scale: Scale, rows: int) -> dict[int, str]:
    """Labels by row (0 is the top): both ends, and one in the middle where there are at least 5 rows."""
    if rows < 2:
        return {0: format_tick(scale.high)} if rows else {}
    found = {0: format_tick(scale.high), rows - 1: format_tick(scale.low)}
    if rows >= 5:  # at the row that is nearest to a value that reads well
        found[rows // 2] = format_tick(scale.value(0.5))
    return found


def format_tick(value: float) -> str:
    """A number of at most 6 characters: 2.31, 0.004, 1e-05, -3e+12."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        text = f"{value:.3g}"
        return text if "e" not in text else str(round(value))
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
