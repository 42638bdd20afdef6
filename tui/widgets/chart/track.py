"""One series of a chart: its raw points, their smoothed form, and both reduced to the columns in view.

It must not know of other series, scales or styles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tui.widgets.chart.bins import Columns
from tui.widgets.chart.curve import Curve, Window
from tui.widgets.chart.smooth import MovingAverage

Kind = Literal["line", "points"]
_LOAD_AT_ONCE = 64


@dataclass(slots=True)
class Track:
    """`colour` is a number of the palette. Points are drawn as glyphs and never smoothed.

    `is_overlay`: belongs to another run, so it is faint, drawn first, and sets neither scale nor axis.
    `is_plan`: what will be; faint and never smoothed.
    """

    name: str
    colour: int
    kind: Kind = "line"
    is_overlay: bool = False
    is_plan: bool = False
    curve: Curve = field(default_factory=Curve)
    _smooth: Curve | None = None
    _average: MovingAverage | None = None
    _raw_columns: Columns | None = None
    _smooth_columns: Columns | None = None

    def extend(self, points: Sequence[tuple[int, float]]) -> None:
        """Add points by ascending step; a first large batch is taken in whole."""
        known = len(self.curve)
        if not known and len(points) > _LOAD_AT_ONCE:
            steps, values = zip(*points, strict=True)
            self.curve.load(steps, values)
            self.smooth(self._average.weight if self._average is not None else 0.0)
            return
        self.curve.extend(points)
        if self._smooth is not None and self._average is not None:
            added = self._average.feed(self.curve.values[known:])
            self._smooth.extend(zip(self.curve.steps[known:], added, strict=True))

    def clear(self) -> None:
        """Forget every point."""
        self.curve.clear()
        self.smooth(self._average.weight if self._average else 0.0)
        self.forget_columns()

    def smooth(self, weight: float) -> None:
        """Show the moving average of this weight; 0 shows the points themselves."""
        self._smooth_columns = None
        if weight <= 0 or self.kind == "points" or self.is_plan:
            self._smooth = self._average = None
            return
        self._average = MovingAverage(weight)
        self._smooth = Curve()
        self._smooth.load(self.curve.steps, self._average.feed(self.curve.values))

    def forget_columns(self) -> None:
        """The view has changed: reduce anew when next asked."""
        self._raw_columns = self._smooth_columns = None

    def columns(self, edges: Sequence[float]) -> Columns:
        """The raw points in columns; `edges` must be the same until `forget_columns`."""
        if self._raw_columns is None:
            self._raw_columns = Columns(self.curve, edges)
        self._raw_columns.update()
        return self._raw_columns

    def line(self, edges: Sequence[float]) -> Sequence[Window | None]:
        """What is drawn as the line: the smoothed windows where smoothing is on."""
        if self._smooth is None:
            return self.columns(edges).windows
        if self._smooth_columns is None:
            self._smooth_columns = Columns(self._smooth, edges)
        self._smooth_columns.update()
        return self._smooth_columns.windows

    @property
    def is_faint(self) -> bool:
        """Whether its colour is held back."""
        return self.is_overlay or self.is_plan

    @property
    def is_smoothed(self) -> bool:
        """Whether line and raw points differ."""
        return self._smooth is not None

    def value_at(self, step: float) -> tuple[int, float] | None:
        """Step and value of the (smoothed) point at or before `step`."""
        return (self._smooth or self.curve).nearest(step)
