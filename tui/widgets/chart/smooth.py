"""Smoothing of a curve's raw points, before anything is reduced to columns; must not draw.

The exponential moving average with the start's bias taken out (Kingma and Ba 2015, section 3), as TensorBoard and
others show it. Values that are not finite pass through and leave the average as it was.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from itertools import accumulate

_UNBIASED_AFTER = 2000
"""Points behind which the correction is below one in 10^8 for every weight up to 0.99."""


class MovingAverage:
    """Feeds on values in their order. `weight` in [0, 0.99] is what the past counts."""

    def __init__(self, weight: float) -> None:
        if not 0 <= weight <= 0.99:
            raise ValueError(f"a smoothing weight lies between 0 and 0.99, not {weight}")
        self.weight = weight
        self._average = 0.0
        self._count = 0

    def feed(self, values: Iterable[float]) -> array[float]:
        """The smoothed value of each of `values`."""
        pending = values if isinstance(values, array) else array("d", values)
        smoothed: array[float] = array("d")
        head = pending[: max(0, _UNBIASED_AFTER - self._count)]
        smoothed.extend(map(self._one, head))
        rest = pending[len(head) :]
        if rest and math.isfinite(sum(rest)):
            past, now = self.weight, 1 - self.weight
            averages = accumulate(rest, lambda average, value: average * past + value * now, initial=self._average)
            next(averages)
            smoothed.extend(averages)
            self._average = smoothed[-1]
            self._count += len(rest)
        else:
            smoothed.extend(map(self._one, rest))
        return smoothed

    def _one(self, value: float) -> float:
        if not math.isfinite(value):
            return value
        self._count += 1
        self._average = self._average * self.weight + value * (1 - self.weight)
        return self._average / (1 - self.weight**self._count) if self.weight else value
