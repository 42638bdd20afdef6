"""The part of a run's page that looks: panes, zoom, crosshair, view, scale, smoothing, axis, overlay.

Nothing here changes the run.
"""

from __future__ import annotations

from textual.containers import Container

from tui.messages import RunView
from tui.panels.curves import CURVES, Curves
from tui.panels.log import RunLog
from tui.panels.others import Overlay, read_overlay, recipe_lines
from tui.panels.pane import Pane
from tui.screens.page import Page
from tui.widgets.chart.axis import View
from tui.widgets.chart.widget import Chart
from tui.widgets.log_view import LogView

ORDER = ("loss", "grad_norm", "learning_rate", "machine", "log", "samples", "checkpoints", "health")
CROSSHAIR_COLUMNS = 2
ZOOM_FACTOR = 0.5
PAN_WIDTHS = 0.25


class RunCharts(Page):
    """Keys that move the eye."""

    run_id: str
    run_view: RunView | None
    curves: Curves
    charts: dict[str, Chart]
    panes: dict[str, Pane]
    run_log: RunLog
    log_view: LogView
    current = "loss"
    sample_offset = 0
    chosen_step: int | None = None

    def show_run(self) -> None:
        """Everything that is not a curve."""

    def show_titles(self) -> None:
        """The charts' names with their values."""

    # --- panes

    def point_at(self, key: str) -> None:
        """Let keys act on another pane; one that has no place on a narrow screen takes the log's."""
        self.current = key
        for name, pane in self.panes.items():
            pane.is_current = name == key
        self.set_class(key == "samples", "-samples")
        self.set_class(key == "checkpoints", "-checkpoints")
        self.set_class(key in ("log", "samples", "checkpoints"), "-lower-current")
        self._show_zoom()
        self.show_titles()
        self.call_after_refresh(self.show_run)

    def action_next_pane(self) -> None:
        """The next pane."""
        self.point_at(ORDER[(ORDER.index(self.current) + 1) % len(ORDER)])

    def action_zoom(self) -> None:
        """The current pane alone, and back."""
        self.toggle_class("-zoomed")
        self._show_zoom()
        self.call_after_refresh(self.show_run)

    def _show_zoom(self) -> None:
        """Containers around the zoomed pane take all room, the others none."""
        zoomed = self.has_class("-zoomed")
        around = {node.id for node in self.panes[self.current].ancestors}
        for container in self.query(Container):
            container.set_class(zoomed and container.id in around, "-around-zoomed")
            container.set_class(zoomed and container.id not in around, "-off")

    def on_pane_pointed(self, event: Pane.Pointed) -> None:
        event.stop()
        self.point_at(event.pane.id or "loss")

    def action_back(self) -> None:
        """One layer out: crosshair, view, zoom, page."""
        model = self.curves.models["loss"]
        if model.crosshair_step is not None:
            self._set_crosshair(None)
        elif not model.view.is_whole:
            self._set_view(View())
        elif self.has_class("-zoomed"):
            self.action_zoom()
        else:
            super().action_back()

    # --- crosshair and view

    def action_crosshair_left(self) -> None:
        """The crosshair to the left."""
        self._move_crosshair(-CROSSHAIR_COLUMNS)

    def action_crosshair_right(self) -> None:
        """The crosshair to the right."""
        self._move_crosshair(CROSSHAIR_COLUMNS)

    def _move_crosshair(self, columns: int) -> None:
        key = self.current if self.current in CURVES else "loss"
        self._set_crosshair(self.curves.models[key].move_crosshair(columns))

    def _set_crosshair(self, step: float | None) -> None:
        for chart in self.charts.values():
            chart.set_crosshair(step)
        self.show_titles()

    def on_chart_crosshair_moved(self, event: Chart.CrosshairMoved) -> None:
        self._set_crosshair(event.step)

    def on_chart_view_moved(self, event: Chart.ViewMoved) -> None:
        self._set_view(event.view)

    def _set_view(self, view: View) -> None:
        for chart in self.charts.values():
            chart.set_view(view)
        self.show_titles()

    def action_zoom_in(self) -> None:
        """Fewer steps over the same width, around the crosshair or the last point."""
        self._zoom(ZOOM_FACTOR)

    def action_zoom_out(self) -> None:
        """More steps over the same width."""
        self._zoom(1 / ZOOM_FACTOR)

    def _zoom(self, factor: float) -> None:
        model = self.curves.models["loss"]
        readings = model.readings()
        step = model.crosshair_step if model.crosshair_step is not None else (readings[0].step if readings else None)
        self._set_view(model.view.zoom(factor, None if step is None else model.step_share(step)))

    def action_pan_left(self) -> None:
        """Earlier steps."""
        self._set_view(self.curves.models["loss"].view.pan(-PAN_WIDTHS))

    def action_pan_right(self) -> None:
        """Later steps."""
        self._set_view(self.curves.models["loss"].view.pan(PAN_WIDTHS))

    # --- what is drawn

    def action_log_scale(self) -> None:
        """Logarithmic or linear values on the current chart."""
        key = self.current if self.current in CURVES else "loss"
        self.charts[key].set_log(not self.curves.models[key].is_log)
        self.show_titles()

    def action_smoothing(self) -> None:
        """How much the curves are smoothed."""
        weight = self.curves.next_smoothing()
        self._draw()
        self.flash(f"smoothing {weight:g}, the faint band is what was logged" if weight else "no smoothing")

    def action_axis(self) -> None:
        """By step, epoch, time or tokens."""
        mode = self.curves.next_mode()
        self._draw()
        self.flash(f"x axis: {mode}" if mode is not None else "the run has logged nothing but steps")

    def _draw(self) -> None:
        for chart in self.charts.values():
            chart.draw_now()
        self.show_titles()

    def action_overlay(self) -> None:
        """Another run's curves beneath these, or none."""
        if self.curves.overlay is not None:
            self.curves.set_overlay(None)
            self._draw()
            return
        self.shell.ask("curves of which run? (id, start of it, or name)", "", None, self._read_overlay)

    def _read_overlay(self, wanted: str) -> None:
        if not wanted.strip():
            return

        shell = self.shell  # a thread does not know which app is its own

        def read() -> str:
            overlay = read_overlay(shell.workspace, wanted.strip(), tuple(CURVES), self.run_id)
            shell.from_thread(lambda: self._overlaid(overlay))
            return ""

        shell.act(read)

    def _overlaid(self, overlay: Overlay) -> None:
        if self.is_mounted:
            self.curves.set_overlay(overlay)
            self._draw()

    # --- recipe

    def action_diff(self) -> None:
        """What differs between this run's recipe and the overlay's, or the parent's."""
        self._show_recipe(whole=False)

    def action_recipe(self) -> None:
        """The run's recipe, what differs from its parent's first."""
        self._show_recipe(whole=True)

    def _show_recipe(self, *, whole: bool) -> None:
        other = self.curves.overlay.partition(" ")[0] if self.curves.overlay else None

        shell = self.shell

        def read() -> str:
            title, lines = recipe_lines(shell.workspace, self.run_id, other, whole=whole)
            shell.from_thread(lambda: self._open_text(title, lines))
            return ""

        shell.act(read)

    def _open_text(self, title: str, lines: list[str]) -> None:
        from tui.screens.text import TextScreen

        if self.is_mounted:
            self.app.push_screen(TextScreen(title, lines))

    # --- lists

    def _scroll(self, lines: int) -> None:
        if self.current == "samples":
            self.sample_offset = max(0, self.sample_offset + lines)
        elif self.current == "checkpoints":
            self._choose(lines)
        else:
            self.log_view.move(lines)
        self.show_run()

    def chosen_checkpoint(self) -> int | None:
        """The step of the checkpoint under the cursor: the newest until one was chosen."""
        steps = [row.step for row in self.run_view.checkpoints] if self.run_view is not None else []
        return self.chosen_step if self.chosen_step in steps else (steps[-1] if steps else None)

    def _choose(self, lines: int) -> None:
        steps = [row.step for row in self.run_view.checkpoints][::-1] if self.run_view is not None else []
        chosen = self.chosen_checkpoint()
        if chosen is not None:
            self.chosen_step = steps[min(max(steps.index(chosen) + lines, 0), len(steps) - 1)]

    def action_cursor_down(self) -> None:
        """One line down in the current list (the log, where none is)."""
        self._scroll(1)

    def action_cursor_up(self) -> None:
        """One line up."""
        self._scroll(-1)

    def action_page_down(self) -> None:
        """Half a page down."""
        self._scroll(max(1, self.log_view.size.height // 2))

    def action_page_up(self) -> None:
        """Half a page up."""
        self._scroll(-max(1, self.log_view.size.height // 2))

    def action_first_row(self) -> None:
        """The beginning."""
        self._scroll(-1_000_000)

    def action_last_row(self) -> None:
        """The end; the log follows again."""
        self._scroll(1_000_000)

    def action_log_level(self) -> None:
        """Which lines of the log are shown."""
        self.log_view.replace(self.run_log.next_level())
        self.show_run()
