"""The chart on the screen: shows the model's rows and repaints only the cells that changed.

A terminal behind SSH gets a few dozen bytes an update that way, where a whole repaint takes five thousand. Everything
that decides what is drawn is in `model`; here are only colours, time and the mouse.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from tui.widgets.chart import render
from tui.widgets.chart.axis import AxisMap, Mode, View
from tui.widgets.chart.canvas import Line
from tui.widgets.chart.model import ChartModel
from tui.widgets.tones import SERIES, ToneStyles

REDRAW_SECONDS = 0.5
PALETTE = len(SERIES)
_FIXED = {render.AXIS: "dim", render.MARK: "mark", render.CROSSHAIR: "dim", render.BROKEN: "bad"}


class Chart(Widget):
    """A live chart. New points are drawn at most twice a second; what a person does is drawn at once."""

    DEFAULT_CSS = "Chart { height: 1fr; width: 1fr; }"

    class CrosshairMoved(Message):
        """The person put the crosshair on a step; other charts follow. None: it was taken away."""

        def __init__(self, step: float | None) -> None:
            super().__init__()
            self.step = step

    class ViewMoved(Message):
        """The person zoomed or panned; other charts follow."""

        def __init__(self, view: View) -> None:
            super().__init__()
            self.view = view

    def __init__(self, model: ChartModel, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.model = model
        self._rows: list[Line] = []
        self._styles = ToneStyles(self)
        self._drawn_at = 0.0
        self._pending: Timer | None = None

    # --- content

    def extend(self, name: str, points: Sequence[tuple[int, float]]) -> None:
        """Add points of a series (ChartModel.extend) and draw them soon."""
        self.model.extend(name, points)
        self.draw_soon()

    def reset(self, name: str) -> None:
        """Forget a series' points."""
        self.model.reset(name)
        self.draw_soon()

    def set_marks(self, checkpoints: Iterable[int], best: int | None = None) -> None:
        """Mark checkpoints on the x axis."""
        self.model.set_checkpoints(checkpoints, best)
        self.draw_soon()

    def set_planned_steps(self, planned_steps: int | None) -> None:
        """How long the whole run is."""
        self.model.set_planned_steps(planned_steps)
        self.draw_soon()

    # --- what a person changes

    def set_axis(self, mode: Mode, axis: AxisMap | None) -> None:
        """Another unit on the x axis."""
        self.model.set_axis(mode, axis)
        self.draw_now()

    def set_view(self, view: View) -> None:
        """Another part of the plan."""
        self.model.set_view(view)
        self.draw_now()

    def set_crosshair(self, step: float | None) -> None:
        """Put the crosshair on a step, or take it away."""
        self.model.crosshair_step = step
        self.draw_now()

    def set_log(self, on: bool) -> None:
        """Logarithmic values, or linear ones."""
        self.model.set_log(on)
        self.draw_now()

    def set_smoothing(self, weight: float) -> None:
        """How much the past counts; 0 shows the points themselves."""
        self.model.set_smoothing(weight)
        self.draw_now()

    # --- drawing

    def draw_soon(self) -> None:
        """Draw within the half second that the byte budget allows one drawing."""
        if self._pending is not None or not self.is_mounted:
            return
        wait = self._drawn_at + REDRAW_SECONDS - time.monotonic()
        self._pending = self.set_timer(max(0.01, wait), self.draw_now)

    def draw_now(self) -> None:
        """Draw; a chart that has no place on the screen stays as it is until it gets one."""
        if self._pending is not None:
            self._pending.stop()
            self._pending = None
        width, height = self.size
        if not width or not height or not self.is_mounted:
            return
        self._drawn_at = time.monotonic()
        before, self._rows = self._rows, self.model.rows(width, height)
        if len(before) != height or len(before[0].text) != width:
            self.refresh()
            return
        spans = [(y, old.changed(new)) for y, (old, new) in enumerate(zip(before, self._rows, strict=True))]
        dirty = [Region(span[0], y, span[1] - span[0], 1) for y, span in spans if span is not None]
        if dirty:
            self.refresh(*dirty)

    def on_resize(self) -> None:
        self.draw_now()

    def notify_style_update(self) -> None:
        self._styles.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        if y >= len(self._rows):
            return Strip.blank(self.size.width, self._styles[""])
        row = self._rows[y]
        segments, start = [], 0
        for end in range(1, len(row.text) + 1):
            if end == len(row.text) or row.styles[end] != row.styles[start]:
                segments.append(Segment(row.text[start:end], self._style(row.styles[start])))
                start = end
        return Strip(segments, len(row.text))

    def _style(self, number: int) -> Style:
        if number >= render.FAINT:
            return self._styles[f"faint-series-{(number - render.FAINT) % PALETTE}"]
        if number >= render.SERIES:
            return self._styles[f"series-{(number - render.SERIES) % PALETTE}"]
        return self._styles[_FIXED.get(number, "")]

    # --- mouse

    def on_click(self, event: Click) -> None:
        event.stop()
        self.post_message(self.CrosshairMoved(self.model.step_at(event.x)))

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self._zoom(0.8, event)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self._zoom(1.25, event)

    def _zoom(self, factor: float, event: MouseScrollUp | MouseScrollDown) -> None:
        event.stop()
        step = self.model.step_at(event.x)
        around = None if step is None else self.model.step_share(step)
        self.post_message(self.ViewMoved(self.model.view.zoom(factor, around)))
