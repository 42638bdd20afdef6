"""A curve reduced to dot columns: what each column holds, kept up to date as points arrive. Must not draw.

Nothing is lost to the eye: each column keeps its least and greatest value, so a spike of one step among two million
is still drawn. After new points only the columns that they reach are read again.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from tui.widgets.chart.curve import Curve, Window


class Columns:
    """`edges` are the steps between which the columns lie, one more than there are columns, ascending."""

    def __init__(self, curve: Curve, edges: Sequence[float]) -> None:
        self._curve = curve
        self._edges = [*edges[:-1], math.nextafter(edges[-1], math.inf)]  # the plan's last step is inside
        self._seen = 0
        self.windows: list[Window | None] = [None] * (len(edges) - 1)
        self._fill(0)

    def __len__(self) -> int:
        return len(self.windows)

    def update(self) -> None:
        """Take in the points that the curve has gained."""
        if len(self._curve) == self._seen:
            return
        last_seen = self._curve.steps[self._seen - 1] if 0 < self._seen <= len(self._curve) else -math.inf
        if self._seen > len(self._curve):  # the curve was begun anew
            self.windows = [None] * len(self.windows)
        self._fill(max(0, bisect_right(self._edges, last_seen) - 1))

    def _fill(self, first: int) -> None:
        curve, edges = self._curve, self._edges
        self._seen = len(curve)
        if first >= len(self.windows):
            return
        start = curve.index_of(edges[first])
        for column in range(first, len(self.windows)):
            if start >= len(curve):
                break
            stop = curve.index_of(edges[column + 1])
            self.windows[column] = curve.window(start, stop)
            start = stop

    def span_of(self, column: int) -> tuple[int, int]:
        """The places [start, stop) of a column's points in the curve."""
        return self._curve.index_of(self._edges[column]), self._curve.index_of(self._edges[column + 1])

    def column_of(self, step: float) -> int | None:
        """The column in which `step` lies; None outside of the view."""
        column = bisect_right(self._edges, step) - 1
        return column if 0 <= column < len(self.windows) else None
