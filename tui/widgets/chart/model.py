"""A whole chart without a screen: several series, one scale, a view of the plan, marks and a crosshair → rows of text.

It must not import textual; the widget asks it for rows and shows those that changed.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.units import format_count, format_duration
from tui.widgets.chart import render
from tui.widgets.chart.axis import AxisMap, Mode, View
from tui.widgets.chart.canvas import Canvas, Line
from tui.widgets.chart.curve import Window
from tui.widgets.chart.scale import Scale, fit, format_tick, nice_step, robust_bounds, ticks
from tui.widgets.chart.track import Kind, Track

EMPTY = "no points yet"
LEAST_GUTTER = 4
MOST_GUTTER = 8
LEAST_HEIGHT_WITH_AXIS = 8
"""A chart that has no x axis of its own gets one where it has this many rows."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one series says under the crosshair."""

    name: str
    colour: int
    step: int
    value: float


class ChartModel:
    """Steps run from 0 to `planned_steps`; without a plan the axis grows with the points, in nice jumps."""

    def __init__(
        self, planned_steps: int | None = None, *, has_axis_row: bool = True, ascii_only: bool = False
    ) -> None:
        self.has_axis_row = has_axis_row
        self.glyphs = render.ASCII_GLYPHS if ascii_only else render.Glyphs()
        self.tracks: dict[str, Track] = {}
        self.view = View()
        self.is_log = False
        self.crosshair_step: float | None = None
        self._planned_steps = planned_steps
        self._end_step = float(planned_steps or 0)
        self._axis: AxisMap | None = None
        self._mode: Mode = "step"
        self._weight = 0.0
        self._checkpoints: dict[int, str] = {}
        self._scale: Scale | None = None
        self._gutter = LEAST_GUTTER
        self._edges: list[float] = []
        self._columns = 0

    # --- content

    def add_series(
        self, name: str, *, kind: Kind = "line", colour: int = 0, is_overlay: bool = False, is_plan: bool = False
    ) -> None:
        """A series, drawn over those before it; overlays and plans under all others. A known name is kept."""
        if name not in self.tracks:
            track = Track(name, colour, kind, is_overlay, is_plan)
            track.smooth(self._weight)
            self.tracks[name] = track

    def remove_series(self, name: str) -> None:
        """Take a series away; an unknown name changes nothing."""
        self.tracks.pop(name, None)

    def extend(self, name: str, points: Sequence[tuple[int, float]]) -> None:
        """Add points (step, value) by ascending step; values may be nan or ±inf."""
        track = self.tracks[name]
        track.extend(points)
        last = track.curve.last_step
        if last is not None and last > self._end_step and not track.is_overlay:
            self._end_step = float(last if self._planned_steps else _rounded_end(last))
            self._rebin()

    def reset(self, name: str) -> None:
        """Forget a series' points."""
        self.tracks[name].clear()

    def set_planned_steps(self, planned_steps: int | None) -> None:
        """How long the whole run is; the axis ends there."""
        if planned_steps == self._planned_steps:
            return
        self._planned_steps = planned_steps
        lasts = [track.curve.last_step or 0 for track in self.tracks.values() if not track.is_overlay]
        self._end_step = float(max([planned_steps or 0, *lasts]))
        self._rebin()

    def set_checkpoints(self, steps: Iterable[int], best: int | None = None) -> None:
        """Steps to mark on the x axis."""
        self._checkpoints = {step: "*" if step == best else "┬" for step in steps}

    def set_axis(self, mode: Mode, axis: AxisMap | None) -> None:
        """Show x as steps (None) or in the unit of `axis`; call again when the axis has gained pairs."""
        self._mode, self._axis = mode, axis if mode != "step" else None
        self._rebin()

    @property
    def end_step(self) -> float:
        """The last step of the whole x axis."""
        return self._end_step or 1.0

    # --- what a person changes

    def set_smoothing(self, weight: float) -> None:
        """The weight of the moving average; 0 for none."""
        if weight != self._weight:
            self._weight = weight
            for track in self.tracks.values():
                track.smooth(weight)

    def set_log(self, on: bool) -> None:
        """Equal ratios take equal height; values that are not above 0 are marked at the bottom."""
        self.is_log = on
        self._scale = None

    def set_view(self, view: View) -> None:
        """Which part of the plan is drawn."""
        if view != self.view:
            self.view = view
            self._scale = None
            self._rebin()

    def move_crosshair(self, columns: int) -> float | None:
        """Move by dot columns from where it is, or in from the last point; the step it is at then."""
        if not self._edges:
            return self.crosshair_step
        lasts = [track.curve.last_step or 0 for track in self.tracks.values()]
        at = self.crosshair_step if self.crosshair_step is not None else float(max(lasts, default=0))
        column = min(max(self._column(at) + columns, 0), self._columns - 1)
        self.crosshair_step = math.ceil(self._edges[column]) if column else max(0.0, self._edges[0])
        return self.crosshair_step

    def step_at(self, cell: int) -> float | None:
        """The step under a cell of the last drawn rows; None beside the curve."""
        column = 2 * (cell - self._gutter)
        return math.ceil(self._edges[column]) if self._edges and 0 <= column < self._columns else None

    def step_share(self, step: float) -> float:
        """Where a step lies on the whole x axis, 0 to 1: what a zoom goes around."""
        return self._place(step) / (self._place(self.end_step) or 1.0)

    def readings(self) -> tuple[Reading, ...]:
        """Each series' value under the crosshair; without one the last value."""
        found = []
        for track in self.tracks.values():
            last = track.curve.last_step
            at = last if self.crosshair_step is None else self.crosshair_step
            point = None if at is None else track.value_at(at)
            if point is not None:
                found.append(Reading(track.name, track.colour, *point))
        return tuple(found)

    # --- drawing

    def rows(self, width: int, height: int) -> list[Line]:
        """The chart as `height` rows of exactly `width` cells."""
        has_axis_row = height >= (4 if self.has_axis_row else LEAST_HEIGHT_WITH_AXIS)
        canvas_height = height - 1 if has_axis_row else height
        if width < MOST_GUTTER + 4 or canvas_height < 1:
            return [Line(" " * max(0, width), bytes(max(0, width)))] * max(0, height)
        for _ in range(3):  # a wider label makes the canvas narrower, once or twice at most
            self._prepare(2 * (width - self._gutter))
            scale = self._fit()
            needed = max((len(label) + 1 for label in ticks(scale, canvas_height).values()), default=0)
            if needed <= self._gutter or self._gutter == MOST_GUTTER:
                break
            self._gutter = min(MOST_GUTTER, needed)
        canvas = Canvas(width - self._gutter, canvas_height)
        self._draw(canvas, scale)
        lines = render.with_labels(canvas, scale, self._gutter)
        if canvas_height < height:
            lines.append(self._axis_row(canvas.width))
        return lines

    def _prepare(self, columns: int) -> None:
        if columns != self._columns or not self._edges:
            self._columns = columns
            whole = self._place(self.end_step)
            start, width = self.view.start * whole, (self.view.end - self.view.start) * whole
            places = [start + width * column / columns for column in range(columns + 1)]
            self._edges = places if self._axis is None else [self._axis.step(place) for place in places]
            if self.view.end >= 1:
                self._edges[-1] = max(self._edges[-1], self.end_step)
            for track in self.tracks.values():
                track.forget_columns()

    def _rebin(self) -> None:
        self._edges = []
        for track in self.tracks.values():
            track.forget_columns()

    def _place(self, step: float) -> float:
        return step if self._axis is None else self._axis.place(step)

    def _fit(self) -> Scale:
        shown = [track for track in self.tracks.values() if not track.is_overlay] or list(self.tracks.values())
        windows = [window for track in shown for window in track.columns(self._edges).windows if window is not None]
        finite = [window for window in windows if window.minimum <= window.maximum]
        lows, highs = [window.minimum for window in finite], [window.maximum for window in finite]
        is_log = self.is_log and any(value > 0 for value in highs)
        if is_log:
            highs = [value for value in highs if value > 0]
            lows = [low if low > 0 else high for low, high in ((w.minimum, w.maximum) for w in finite) if high > 0]
        bounds = robust_bounds(lows, highs)
        if bounds is None:
            return self._scale or Scale(0.0, 1.0)
        self._scale = fit(bounds, self._scale, is_log=is_log)
        return self._scale

    def _draw(self, canvas: Canvas, scale: Scale) -> None:
        behind = [track for track in self.tracks.values() if track.is_faint]
        front = [track for track in self.tracks.values() if not track.is_faint]
        for track in front:
            if track.is_smoothed and track.kind == "line":
                raw = track.columns(self._edges).windows
                render.draw_envelope(canvas, raw, scale, render.FAINT + track.colour)
        for track in behind:
            render.draw_line(canvas, track.line(self._edges), scale, render.FAINT + track.colour)
        for track in sorted(front, key=lambda one: one.kind == "points"):
            if track.kind == "points":
                raw = track.columns(self._edges).windows
                render.draw_points(canvas, raw, scale, render.SERIES + track.colour, self.glyphs.point)
            else:
                render.draw_line(canvas, track.line(self._edges), scale, render.SERIES + track.colour)
        if self.crosshair_step is not None and self._edges[0] <= self.crosshair_step <= self._edges[-1]:
            render.draw_crosshair(canvas, self._column(self.crosshair_step))
        for track in front:
            self._mark(canvas, track, scale)
        if not any(len(track.curve) for track in self.tracks.values()):
            canvas.put(max(0, (canvas.width - len(EMPTY)) // 2), canvas.height // 2, EMPTY, render.AXIS)

    def _mark(self, canvas: Canvas, track: Track, scale: Scale) -> None:
        columns = track.columns(self._edges)
        above, below = render.cut_off(columns.windows, scale)
        for cut, row, glyph, is_high in (
            (above, 0, self.glyphs.above, True),
            (below, canvas.height - 1, self.glyphs.below, False),
        ):
            if cut:
                sign = 1 if is_high else -1
                farthest = max(cut, key=lambda column: sign * _extreme(columns.windows[column], is_high))
                value = _extreme(columns.windows[farthest], is_high)
                step = track.curve.step_of(value, *columns.span_of(farthest))
                render.draw_marks(canvas, cut, row, glyph, f"{_exact(value)} @{step}", farthest, render.MARK)
        broken = [column for column, window in enumerate(columns.windows) if window and window.broken is not None]
        if broken:
            step, value = track.curve.first_broken(*columns.span_of(broken[0]))
            row, glyph, label = canvas.height - 1, self.glyphs.broken, f"{value} @{step}"
            render.draw_marks(canvas, broken, row, glyph, label, broken[0], render.BROKEN)

    def _column(self, step: float) -> int:
        return min(max(bisect_right(self._edges, step) - 1, 0), self._columns - 1)

    def _axis_row(self, width: int) -> Line:
        marks: dict[int, str] = {}
        for step, glyph in self._checkpoints.items():
            if self._edges[0] <= step <= self._edges[-1]:
                cell = self._column(step) >> 1
                if marks.get(cell) != "*":
                    marks[cell] = glyph
        start, end = self._edges[0], self._edges[-1]
        return render.axis_row(self._gutter, width, self._x_label(start), self._x_label(end), marks)

    def _x_label(self, step: float) -> str:
        place = self._place(step)
        if self._mode == "time":
            return format_duration(place)
        if self._mode == "tokens":
            return format_count(place)
        return format_tick(round(place, 2)) if self._mode == "epoch" else str(round(place))


def _extreme(window: Window | None, is_high: bool) -> float:
    assert window is not None  # only drawn columns are cut off
    return window.maximum if is_high else window.minimum


def _exact(value: float) -> str:
    """87.0 stays 87.0: a spike is named as it was logged."""
    return f"{value:.1f}" if 1 <= abs(value) < 1e5 else format_tick(value)


def _rounded_end(step: int) -> int:
    """A nice end for an axis without a plan, with room to grow."""
    unit = nice_step(step * 1.25 / 4)
    return math.ceil(step * 1.25 / unit) * int(max(1, unit))
