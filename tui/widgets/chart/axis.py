"""The x axis: what a step means in epochs, seconds or tokens, and which part of the whole plan is in view.

Pure; must not draw and must not read anything. Points are kept by step; an axis only says where a step lies.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Mode = Literal["step", "epoch", "time", "tokens"]
MODES: tuple[Mode, ...] = ("step", "epoch", "time", "tokens")


class AxisMap:
    """From steps to another unit and back, linear between known pairs and beyond them at their mean rate."""

    def __init__(self, steps: Sequence[int] = (), places: Sequence[float] = ()) -> None:
        self._steps: list[int] = [0]
        self._places: list[float] = [0.0]
        for step, place in zip(steps, places, strict=True):
            self.add(step, place)

    def add(self, step: int, place: float) -> None:
        """One more pair; one that does not lie behind the last, or goes back in place, is left out."""
        if step > self._steps[-1] and place >= self._places[-1]:
            self._steps.append(step)
            self._places.append(place)

    def __len__(self) -> int:
        return len(self._steps) - 1

    @property
    def last_step(self) -> int:
        """The last step that is known."""
        return self._steps[-1]

    def copy(self) -> AxisMap:
        """The same pairs, which stay as they are now."""
        other = AxisMap()
        other._steps, other._places = self._steps.copy(), self._places.copy()
        return other

    def _rate(self) -> float:
        """Units a step; 1 where nothing is known."""
        return self._places[-1] / self._steps[-1] if self._steps[-1] and self._places[-1] > 0 else 1.0

    def place(self, step: float) -> float:
        """Where `step` lies."""
        if step >= self._steps[-1]:
            return self._places[-1] + (step - self._steps[-1]) * self._rate()
        right = max(1, bisect_left(self._steps, step))
        return _between(step, self._steps, self._places, right)

    def step(self, place: float) -> float:
        """The step that lies at `place`."""
        if place >= self._places[-1]:
            return self._steps[-1] + (place - self._places[-1]) / self._rate()
        right = max(1, bisect_left(self._places, place))
        return _between(place, self._places, self._steps, right)


def _between(value: float, known: Sequence[float], wanted: Sequence[float], right: int) -> float:
    left = right - 1
    span = known[right] - known[left]
    share = (value - known[left]) / span if span else 0.0
    return wanted[left] + share * (wanted[right] - wanted[left])


@dataclass(frozen=True, slots=True)
class View:
    """The part of the plan that is drawn, as shares of the whole: (0, 1) is all of it."""

    start: float = 0.0
    end: float = 1.0

    @property
    def is_whole(self) -> bool:
        """Whether everything is in view."""
        return self.start <= 0 and self.end >= 1

    def zoom(self, factor: float, around: float | None = None) -> View:
        """The view `factor` times as wide (below 1: closer) around a share of the whole, the middle for None."""
        middle = (self.start + self.end) / 2 if around is None else min(max(around, self.start), self.end)
        width = min(1.0, max(1e-4, (self.end - self.start) * factor))
        kept = (middle - self.start) / (self.end - self.start)
        return _inside(middle - kept * width, width)

    def pan(self, widths: float) -> View:
        """Moved by so many of its own widths; it stops at the ends."""
        width = self.end - self.start
        return _inside(self.start + widths * width, width)


def _inside(start: float, width: float) -> View:
    start = min(max(0.0, start), 1.0 - width)
    return View(start, start + width)
