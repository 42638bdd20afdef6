"""One run, as a pilot sees an engine: curves over the whole plan, the machine, the log, health, samples, checkpoints.

It draws what the feed says; what a person wants of the run is in `run_control`. It must not open the store.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widget import Widget

from tui.format import glyphs, plain
from tui.messages import AxisGrew, RunChanged, RunGone, RunView, SeriesGrew
from tui.panels import machine, stories
from tui.panels.curves import CURVES, Curves
from tui.panels.learning_rate import planned_rates
from tui.panels.log import LogTail, RunLog
from tui.panels.numbers import Pace, figures, header
from tui.panels.pane import Pane
from tui.panels.samples import sample_lines
from tui.screens.page import LIST, Page
from tui.screens.run_charts import RunCharts
from tui.screens.run_control import RunControl
from tui.widgets.bar import Bar
from tui.widgets.chart.widget import REDRAW_SECONDS, Chart
from tui.widgets.lines import Lines
from tui.widgets.log_view import Entry, LogView

KEYS = ("loss", "grad_norm", "learning_rate", "tokens_per_second", "eval/*")
LOG_SECONDS = 0.5
TINY_ROWS, LOW_ROWS = 16, 22
"""Below the second there is room for the charts or the log, not for both."""


class RunScreen(RunCharts, RunControl, Page):
    """The page of one run."""

    MODE = "show_runs"
    OFFERS: ClassVar[tuple[str, ...]] = (
        "next_pane", "zoom", "crosshair_left", "crosshair_right", "zoom_in", "zoom_out", "pan_left", "pan_right",
        "log_scale", "smoothing", "axis", "overlay", "diff", "recipe", "stop", "pause", "save", "evaluate", "resume",
        "pin", "log_level", *LIST,
    )  # fmt: skip
    DEFAULT_CSS = """
    RunScreen #header, RunScreen #figures { height: 1; }
    RunScreen #charts { layout: horizontal; height: 11; }
    RunScreen #right { layout: vertical; width: 3fr; border-left: solid $panel; }
    RunScreen #loss { width: 4fr; }
    RunScreen #side { layout: vertical; height: 1fr; }
    RunScreen #grad_norm { height: 5; }
    RunScreen #machine { height: 4; }
    RunScreen #lower { layout: horizontal; height: 1fr; }
    RunScreen #cards { layout: vertical; width: 2fr; display: none; }
    RunScreen #health { height: 4; }
    RunScreen.-samples #cards, RunScreen.-checkpoints #cards { display: block; }
    RunScreen.-samples #log, RunScreen.-checkpoints #log { display: none; }
    RunScreen.-samples #checkpoints, RunScreen.-checkpoints #samples { display: none; }

    RunScreen.-tall #charts { height: 3fr; }
    RunScreen.-tall #lower { height: 2fr; }
    RunScreen.-tall #grad_norm { height: 2fr; }
    RunScreen.-tall #learning_rate { height: 1fr; }
    RunScreen.-tall #machine { height: 6; }

    RunScreen.-middle #cards, RunScreen.-wide #cards { display: block; border-left: solid $panel; }
    RunScreen.-middle #log, RunScreen.-wide #log { display: block; width: 3fr; }
    RunScreen.-middle #samples, RunScreen.-middle #checkpoints { display: block; }
    RunScreen.-wide #samples, RunScreen.-wide #checkpoints { display: block; }
    RunScreen.-wide #right { layout: horizontal; width: 1fr; }
    RunScreen.-wide #loss { width: 1fr; }
    RunScreen.-wide #side { height: 1fr; }
    RunScreen.-wide #machine { height: 1fr; border-left: solid $panel; }
    RunScreen.-wide #cards { layout: horizontal; width: 1fr; }
    RunScreen.-wide #log { width: 1fr; }
    RunScreen.-wide #checkpoints { border-left: solid $panel; }

    RunScreen.-tiny-width #right, RunScreen.-tiny-height #right,
    RunScreen.-tiny-width #lower, RunScreen.-tiny-height #lower,
    RunScreen.-tiny-width #health, RunScreen.-tiny-height #health { display: none; }
    RunScreen.-tiny-width #charts, RunScreen.-tiny-height #charts { height: 1fr; }
    RunScreen.-tiny-width #header, RunScreen.-tiny-height #header { display: block; }

    RunScreen.-zoomed Pane { display: none; }
    RunScreen.-zoomed #loss.-current, RunScreen.-zoomed #grad_norm.-current, RunScreen.-zoomed #learning_rate.-current,
    RunScreen.-zoomed #machine.-current, RunScreen.-zoomed #log.-current, RunScreen.-zoomed #samples.-current,
    RunScreen.-zoomed #checkpoints.-current, RunScreen.-zoomed #health.-current {
        display: block; height: 1fr; width: 1fr; border-left: none;
    }
    RunScreen .-around-zoomed { height: 1fr !important; width: 1fr !important; border-left: none !important; }
    RunScreen .-off { display: none !important; }

    RunScreen { overflow: hidden; }
    RunScreen.-low #charts { height: 1fr; }
    RunScreen.-low #health { height: 2; }
    RunScreen.-low #lower { display: none; }
    RunScreen.-low.-lower-current #lower { display: block; }
    RunScreen.-low.-lower-current #charts { display: none; }
    """

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id
        self.run_view: RunView | None = None
        self.curves = Curves()
        self.pace = Pace()
        self.run_log = RunLog()
        self._tail: LogTail | None = None
        self._tail_is_reading = False
        self._log_trouble = ""
        self._log_was_read = False
        self._shown_at = 0.0
        self._pending: Timer | None = None
        self._planned_for: int | None = None

    def compose(self) -> ComposeResult:
        yield Lines(id="header")  # not a Bar: it changes twice a second, and only the cells that did are sent
        yield from self.body()
        yield Bar(id="footer")

    def body(self) -> Iterator[Widget]:
        models = self.curves.models
        self.charts = {key: Chart(models[key], id=f"chart-{key}") for key in CURVES}
        self.panes = {key: Pane(key, title, self.charts[key]) for key, title in CURVES.items()}
        self.log_view = LogView()
        for key, title, content in (
            ("machine", "machine", Lines()), ("log", "log", self.log_view), ("samples", "samples", Lines()),
            ("checkpoints", "checkpoints", Lines()), ("health", "health", Lines()),
        ):  # fmt: skip
            self.panes[key] = Pane(key, title, content)
        panes = self.panes
        yield Lines(id="figures")
        side = Container(panes["grad_norm"], panes["learning_rate"], id="side")
        yield Container(panes["loss"], Container(side, panes["machine"], id="right"), id="charts")
        yield Container(
            panes["log"], Container(panes["samples"], panes["checkpoints"], id="cards"), id="lower"
        )  # fmt: skip
        yield panes["health"]

    # --- life

    def on_mount(self) -> None:
        self.point_at("loss")
        super().on_mount()
        self._read_log()
        self.set_interval(LOG_SECONDS, self._read_log)

    def on_screen_resume(self) -> None:
        self.shell.feed.watch_run(self.run_id, KEYS)

    def on_screen_suspend(self) -> None:
        if not isinstance(self.app.screen, ModalScreen):  # behind a question the run goes on before one's eyes
            self.shell.feed.watch_run(None)

    def on_resize(self) -> None:
        super().on_resize()
        self.set_class(TINY_ROWS <= self.size.height < LOW_ROWS, "-low")
        self.call_after_refresh(self.show_run)

    # --- the feed

    def on_run_changed(self, message: RunChanged) -> None:
        if message.view.row.run_id == self.run_id:
            self.run_view = message.view
            self.log_view.write(self.run_log.events(message.view))
            self._plan(message.view)
            self._show_soon()

    def on_run_gone(self, message: RunGone) -> None:
        if message.run_id == self.run_id:
            self.flash(message.reason, "warning")

    def on_series_grew(self, message: SeriesGrew) -> None:
        if message.run_id != self.run_id:
            return
        chart_key = self.curves.grow(message.key, message.points, reset=message.reset)
        if chart_key is not None:
            self.charts[chart_key].draw_soon()
        self._show_soon()

    def on_axis_grew(self, message: AxisGrew) -> None:
        if message.run_id != self.run_id:
            return
        if message.reset:
            self.pace.reset()
        self.pace.add(message.rows)
        if self.curves.grow_axis(message.rows, reset=message.reset):
            for chart in self.charts.values():
                chart.draw_soon()
        self._show_soon()

    # --- drawing

    def _show_soon(self) -> None:
        """Show what the feed said within the half second that the byte budget allows one drawing."""
        if self._pending is None:
            wait = self._shown_at + REDRAW_SECONDS - time.monotonic()
            self._pending = self.set_timer(max(0.01, wait), self.show_run)

    def show_header(self) -> None:
        line = self.query_one("#header", Lines)
        if self.run_view is None:
            line.show([[(f"{self.run_id}  {glyphs().ellipsis}", "dim")]])
            return
        line.show([header(self.run_view, self.pace, self.size.width)])

    def show_numbers(self) -> None:
        """The two lines at the top, and the titles that hold numbers."""
        self.show_header()
        if self.run_view is None:
            return
        last = self.curves.last_values()
        self.query_one("#figures", Lines).show([figures(self.run_view, self.pace, last, self.curves.trend())])
        self.show_titles()

    def show_titles(self) -> None:
        """The charts' names with what the crosshair, or the last point, says."""
        for key in CURVES:
            self.panes[key].tell(self.curves.title(key))

    def show_run(self) -> None:
        """Everything that is not a curve."""
        if self._pending is not None:
            self._pending.stop()
            self._pending = None
        self._shown_at = time.monotonic()
        view = self.run_view
        if view is None:
            return
        self.curves.validation_set = next((row.set_name for row in view.evaluations if row.role == "validation"), "")
        self.show_numbers()
        best = next((row.step for row in view.checkpoints if row.best), view.row.best_step)
        if self.curves.set_run(view.row.max_steps, [row.step for row in view.checkpoints], best):
            for chart in self.charts.values():
                chart.draw_soon()
        self._show_machine(view)
        self._lines("health").show(self._health(view))
        samples = self._lines("samples")
        samples.show(sample_lines(view.answers, samples.size.width)[self.sample_offset :])
        self._lines("checkpoints").show(stories.checkpoint_lines(view, self.chosen_checkpoint()))
        self._show_log_title()
        self.show_footer()

    def _lines(self, key: str) -> Lines:
        content = self.panes[key].content
        assert isinstance(content, Lines)
        return content

    def _show_machine(self, view: RunView) -> None:
        lines = self._lines("machine")
        self.panes["machine"].tell(machine.title(view.hardware))
        lines.show(machine.lines(view.hardware, lines.size.width))

    def _health(self, view: RunView) -> list[list[tuple[str, str]]]:
        room = max(1, self.panes["health"].content.size.height - 1)
        return [*stories.health_lines(view)[:room], stories.checkpoint_words(view)]

    def _show_log_title(self) -> None:
        follows = "follow" if self.log_view.follows else "scrolled: G follows"
        self.panes["log"].tell([(f" {glyphs().dot} {self.run_log.level} (l) {glyphs().dot} {follows}", "dim")])

    # --- what comes from files

    def _plan(self, view: RunView) -> None:
        """The planned learning rate, once the worker has said how many steps there are."""
        max_steps = view.plan.max_steps if view.plan is not None else None
        if max_steps is None or max_steps == self._planned_for:
            return
        self._planned_for = max_steps
        shell, recipe = self.shell, self.shell.workspace.run(self.run_id).recipe

        def read() -> None:
            points, words = planned_rates(recipe, max_steps)
            shell.from_thread(lambda: self._planned(points, words))

        shell.in_background(read)

    def _planned(self, points: tuple[tuple[int, float], ...], words: str) -> None:
        if self.is_mounted and points:
            self.curves.set_planned_rates(points, words)
            self.charts["learning_rate"].draw_soon()
            self.show_titles()

    def _read_log(self) -> None:
        """Look for new lines in a thread: the file may lie on a slow disk."""
        if self._tail_is_reading:
            return
        self._tail_is_reading = True
        shell = self.shell

        def read() -> None:
            trouble, entries = "", []
            try:
                if self._tail is None:
                    self._tail = LogTail(shell.workspace.run(self.run_id).log)
                entries = self._tail.read()
            except OSError as error:
                trouble = f"the worker's log can't be read: {error}"
            shell.from_thread(lambda: self._logged(entries, trouble))

        shell.in_background(read)

    def _logged(self, entries: list[Entry], trouble: str) -> None:
        self._tail_is_reading = False
        if trouble and trouble != self._log_trouble:
            entries = [*entries, (plain(trouble), "warn")]
        self._log_trouble = trouble
        if not self.is_mounted or not entries:
            return
        if self._log_was_read:
            self.log_view.write(self.run_log.output(entries))
        else:
            self.log_view.replace(self.run_log.earlier_output(entries))
        self._log_was_read = True

    def copy_text(self) -> str | None:
        return self.run_id
