"""The chart on a screen: it repaints what changed, waits for its turn, and tells what the mouse did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from textual.app import App, ComposeResult
from textual.geometry import Region

from tui.theme import THEMES
from tui.widgets.chart import widget
from tui.widgets.chart.model import ChartModel
from tui.widgets.chart.widget import Chart


class OneChart(App[None]):
    """A chart alone; keeps what it repainted and said."""

    def __init__(self) -> None:
        super().__init__()
        model = ChartModel(1000)
        model.add_series("loss")
        self.chart = Recording(model)
        self.said: list[object] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(THEMES[0].variables)

    def compose(self) -> ComposeResult:
        yield self.chart

    def on_chart_crosshair_moved(self, event: Chart.CrosshairMoved) -> None:
        self.said.append(event.step)

    def on_chart_view_moved(self, event: Chart.ViewMoved) -> None:
        self.said.append(event.view)


class Recording(Chart):
    def __init__(self, model: ChartModel) -> None:
        super().__init__(model)
        self.repainted: list[tuple[Region, ...]] = []

    def refresh(self, *regions: Region, **options: Any) -> Recording:
        if hasattr(self, "repainted"):
            self.repainted.append(regions)
        return super().refresh(*regions, **options)


def shown(chart: Chart) -> str:
    return "\n".join(chart.render_line(y).text for y in range(chart.size.height))


def on_screen(check: Callable[[OneChart, Any], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        app = OneChart()
        async with app.run_test(size=(60, 12), notifications=True, tooltips=True) as pilot:
            await check(app, pilot)

    asyncio.run(run())


async def until(pilot: Any, condition: Callable[[], object], what: str) -> None:
    for _ in range(200):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"waited for {what}")


def test_a_new_point_repaints_a_few_cells_and_many_at_once_wait_for_their_turn() -> None:
    async def check(app: OneChart, pilot: Any) -> None:
        chart = app.chart
        chart.extend("loss", [(step, 2.0 - step / 1000) for step in range(1, 500)])
        await until(pilot, lambda: "⠂" in shown(chart) or "⠑" in shown(chart) or "⠤" in shown(chart), "the curve")
        chart.repainted.clear()
        for step in range(500, 560):
            chart.extend("loss", [(step, 2.0 - step / 1000)])
        assert chart.repainted == []  # half a second has not passed
        await until(pilot, lambda: chart.repainted, "the drawing")
        (regions,) = chart.repainted
        assert regions
        assert sum(region.area for region in regions) < 20

    on_screen(check)


def test_a_resize_draws_anew_and_a_tiny_chart_is_empty() -> None:
    async def check(app: OneChart, pilot: Any) -> None:
        app.chart.extend("loss", [(step, 2.0 - step / 1000) for step in range(1, 500)])
        for size in ((100, 30), (9, 3), (1, 1), (60, 12)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert {len(line) for line in shown(app.chart).splitlines()} <= {size[0]}
        assert "1000" in shown(app.chart)

    on_screen(check)


def test_a_click_puts_the_crosshair_and_the_wheel_zooms() -> None:
    async def check(app: OneChart, pilot: Any) -> None:
        app.chart.extend("loss", [(step, 2.0 - step / 1000) for step in range(1, 500)])
        await pilot.pause(widget.REDRAW_SECONDS)
        await pilot.click(Chart, offset=(30, 3))
        await until(pilot, lambda: app.said, "the click")
        assert isinstance(app.said[0], int)
        assert 400 < app.said[0] < 550
        app.chart.set_crosshair(float(app.said[0]))
        assert shown(app.chart).count("│") > 12

    on_screen(check)
