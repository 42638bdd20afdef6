"""All points of one curve, kept so that any window of it can be asked for its extremes in microseconds.

It holds numbers and knows nothing of columns, colours or scales. Points lie in flat arrays (16 bytes each); every 64 of
them have their least and greatest value stored, so that a window of two million points costs as much as one of a
hundred. Values that are not finite stay out of the extremes and are flagged.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BLOCK = 64
INFINITY = math.inf


@dataclass(frozen=True, slots=True)
class Window:
    """The finite values of some neighbouring points; `broken` is the first value among them that is not finite."""

    first: float
    last: float
    minimum: float
    maximum: float
    broken: float | None


class Curve:
    """Points by ascending step. Adding one is O(1); a step that repeats or goes back is kept out."""

    def __init__(self) -> None:
        self.steps: array[int] = array("q")
        self.values: array[float] = array("d")
        self._minima: list[float] = []
        self._maxima: list[float] = []
        self._broken: list[bool] = []

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def last_step(self) -> int | None:
        """The greatest step; None for an empty curve."""
        return self.steps[-1] if self.steps else None

    def clear(self) -> None:
        """Forget every point."""
        self.load((), ())

    def add(self, step: int, value: float) -> bool:
        """Append one point; False where its step does not lie behind the last one."""
        if self.steps and step <= self.steps[-1]:
            return False
        if len(self.steps) % BLOCK == 0:
            self._minima.append(INFINITY)
            self._maxima.append(-INFINITY)
            self._broken.append(False)
        self.steps.append(step)
        self.values.append(value)
        if math.isfinite(value):
            if value < self._minima[-1]:
                self._minima[-1] = value
            if value > self._maxima[-1]:
                self._maxima[-1] = value
        else:
            self._broken[-1] = True
        return True

    def extend(self, points: Iterable[tuple[int, float]]) -> int:
        """Append points by ascending step; returns how many were taken."""
        taken = 0
        for step, value in points:
            taken += self.add(step, value)
        return taken

    def load(self, steps: Sequence[int], values: Sequence[float]) -> None:
        """Replace everything by a whole curve, several times as fast as point by point; steps must ascend."""
        self.steps, self.values = array("q", steps), array("d", values)
        self._minima, self._maxima, self._broken = [], [], []
        for start in range(0, len(self.values), BLOCK):
            block = self.values[start : start + BLOCK]
            broken = not math.isfinite(sum(block))  # a sum that overflows only costs the slow way
            finite = [value for value in block if math.isfinite(value)] if broken else block
            self._minima.append(min(finite, default=INFINITY))
            self._maxima.append(max(finite, default=-INFINITY))
            self._broken.append(broken)

    def index_of(self, step: float) -> int:
        """The place of the first point at or behind `step`."""
        return bisect_left(self.steps, step)

    def nearest(self, step: float) -> tuple[int, float] | None:
        """The point at `step`, else the last one before it, else the first; None for an empty curve."""
        if not self.steps:
            return None
        index = self.index_of(step)
        if index >= len(self.steps) or (self.steps[index] > step and index > 0):
            index -= 1
        return self.steps[index], self.values[index]

    def step_of(self, value: float, start: int, stop: int) -> int:
        """The step of the first point in [start, stop) that has exactly this value.

        Raises:
            ValueError: no point there has it.
        """
        return self.steps[self.values.index(value, start, stop)]

    def first_broken(self, start: int, stop: int) -> tuple[int, float]:
        """Step and value of the first point in [start, stop) that is not finite.

        Raises:
            StopIteration: all are finite.
        """
        index = next(index for index in range(start, stop) if not math.isfinite(self.values[index]))
        return self.steps[index], self.values[index]

    def window(self, start: int, stop: int) -> Window | None:
        """The points at the places [start, stop); None where there are none."""
        if stop <= start:
            return None
        low, high, broken = INFINITY, -INFINITY, False
        first_block, last_block = -(-start // BLOCK), stop // BLOCK
        if first_block < last_block:
            low, high = min(self._minima[first_block:last_block]), max(self._maxima[first_block:last_block])
            broken = any(self._broken[first_block:last_block])
            edges = ((start, first_block * BLOCK), (last_block * BLOCK, stop))
        else:
            edges = ((start, stop), (stop, stop))
        for begin, end in edges:
            if begin < end:
                edge_low, edge_high, edge_broken = self._scan(begin, end)
                low, high, broken = min(low, edge_low), max(high, edge_high), broken or edge_broken
        if not broken:
            return Window(self.values[start], self.values[stop - 1], low, high, None)
        return self._broken_window(start, stop, low, high)

    def _scan(self, start: int, stop: int) -> tuple[float, float, bool]:
        values = self.values[start:stop]
        if not any(self._broken[start // BLOCK : (stop - 1) // BLOCK + 1]):
            return min(values), max(values), False
        finite = [value for value in values if math.isfinite(value)]
        return min(finite, default=INFINITY), max(finite, default=-INFINITY), len(finite) < len(values)

    def _broken_window(self, start: int, stop: int, low: float, high: float) -> Window:
        values = self.values
        first = next((values[index] for index in range(start, stop) if math.isfinite(values[index])), math.nan)
        last = next((values[index] for index in range(stop - 1, start - 1, -1) if math.isfinite(values[index])), first)
        return Window(first, last, low, high, self.first_broken(start, stop)[1])
