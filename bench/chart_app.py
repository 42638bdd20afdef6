"""The app that bench.chart runs in a pseudo-terminal: three charts and a status line, one update each half second.

It writes when counting began and ended, and its processor time between, to the file named first on its command line.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from bench.chart import PERIOD_SECONDS, SETTLE_UPDATES, points_of
from tui.theme import THEMES
from tui.widgets.chart.model import ChartModel
from tui.widgets.chart.widget import Chart

POINTS = 600
PLANNED_STEPS = 1200
NAMES = ("loss", "grad_norm", "learning_rate")


class ChartApp(App[None]):
    """Three charts that gain a point each update."""

    CSS = "#side { width: 2fr; } #loss { width: 3fr; } #status { height: 1; }"

    def __init__(self, report: Path, updates: int) -> None:
        super().__init__()
        self._report, self._updates, self._done = report, updates, 0
        self._points = points_of(PLANNED_STEPS)
        self._began = self._cpu = 0.0
        self.charts = {name: Chart(_model(name), id=name) for name in NAMES}

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(THEMES[0].variables)

    def compose(self) -> ComposeResult:
        yield Static("", id="status", markup=False)
        with Horizontal():
            yield self.charts["loss"]
            with Vertical(id="side"):
                yield self.charts["grad_norm"]
                yield self.charts["learning_rate"]

    def on_mount(self) -> None:
        for name, chart in self.charts.items():
            chart.extend(name, self._points[:POINTS])
        self.charts["loss"].set_smoothing(0.6)
        self.set_interval(PERIOD_SECONDS, self._update)

    def _update(self) -> None:
        if self._done == SETTLE_UPDATES:
            self._began, self._cpu = time.monotonic(), time.process_time()
        if self._done == self._updates:
            told = {"began": self._began, "ended": time.monotonic(), "cpu_seconds": time.process_time() - self._cpu}
            self._report.write_text(json.dumps(told))
            self.exit()
            return
        point = self._points[POINTS + self._done]
        self._done += 1
        for name, chart in self.charts.items():
            chart.extend(name, [point])
        self.query_one("#status", Static).update(f"step {point[0]:5d}  loss {point[1]:.4f}")


def _model(name: str) -> ChartModel:
    model = ChartModel(PLANNED_STEPS, has_axis_row=name == "loss")
    model.add_series(name)
    return model


if __name__ == "__main__":
    ChartApp(Path(sys.argv[1]), int(sys.argv[2])).run()
