"""The page of one run, on workspaces of real line files and under live workers: what it shows, what its keys do."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.color import Color

from core.events import Answered, CheckpointSaved, Evaluated, HealthRaised, StepLogged
from core.paths import Workspace
from core.runs.seen import read_run
from core.states import Outcome, State
from tests.process.conftest import Site, site
from tests.tui.app_history import HOSTILE, AppHistory
from tui.app import FinetuiApp
from tui.keymap import Preferences
from tui.panels.log import RunLog
from tui.screens.run import RunScreen
from tui.screens.text import TextScreen
from tui.theme import THEMES
from tui.widgets.chart.widget import Chart

__all__ = ["site"]
RECORDED = Path(__file__).resolve().parents[1] / "data" / "recorded-run"
SNAPSHOTS = Path(__file__).resolve().parent / "snapshots"
SIZES = ((60, 16), (80, 24), (120, 30), (200, 50))

Check = Callable[[FinetuiApp, RunScreen, Any], Coroutine[Any, Any, None]]


def on_page(
    workspace: Workspace, run_id: str, check: Check, size: tuple[int, int] = (80, 24), *, ascii_only: bool = False
) -> None:
    """Open the app and the run's page, wait until it has been read, and look."""

    async def run() -> None:
        app = FinetuiApp(workspace, Preferences(ascii=ascii_only))
        async with app.run_test(size=size, notifications=True, tooltips=True) as pilot:
            app.open_run(run_id)
            await until(pilot, lambda: isinstance(app.screen, RunScreen), "the page")
            page = app.screen
            assert isinstance(page, RunScreen)
            await until(pilot, lambda: page.run_view is not None, "the run")
            await check(app, page, pilot)

    asyncio.run(run())


async def until(pilot: Any, condition: Callable[[], object], what: str, timeout_seconds: float = 20) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_seconds:g} s for {what}\n{shown(pilot.app)}")
        await pilot.pause(0.05)


def shown(app: FinetuiApp) -> str:
    """The screen as text, one line a row."""
    rows = ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]
    return "\n".join(row.rstrip() for row in rows)


def footer(app: FinetuiApp) -> str:
    return shown(app).splitlines()[-1]


@pytest.fixture
def history(workspace: Workspace, nobody_catches_up: None) -> AppHistory:
    return AppHistory(workspace)


@pytest.fixture
def nobody_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of line files have no process: a supervisor would call them lost, and start what is queued."""
    monkeypatch.setattr("tui.upkeep.catch_up", lambda _: "")


@pytest.fixture
def replayed(workspace: Workspace, nobody_catches_up: None, monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, str]:
    """The recorded run, as if it had happened here, in UTC."""
    from core.runs import replay

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert not replay.main([str(RECORDED), "--workspace", str(workspace.root), "--instant"])
    return workspace, next(path.name for path in workspace.runs.iterdir())


# --- what it shows


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_page_looks_as_it_did(replayed: tuple[Workspace, str], size: tuple[int, int]) -> None:
    workspace, run_id = replayed

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        view = page.run_view
        assert view is not None
        assert (view.row.outcome, view.row.step, len(view.checkpoints)) == (Outcome.COMPLETED, 300, 4)
        curves = page.curves.models["loss"].tracks
        await until(pilot, lambda: {"done", "task", "general"} <= set(curves), "the evaluations")
        await until(pilot, lambda: len(curves["done"].curve) == 300, "the loss")
        rates = page.curves.models["learning_rate"].tracks
        await until(
            pilot, lambda: len(rates["planned"].curve) and len(rates["done"].curve) == 300, "the learning rates"
        )
        await until(pilot, lambda: "run completed" in page.log_view.text, "the log")
        await until(pilot, lambda: page._log_was_read, "the worker's output")
        for model in page.curves.models.values():  # a scale remembers in which portions the points came: fit it anew
            model.set_log(True)
            model.set_log(False)
        for chart in page.query(Chart):
            chart.draw_now()
        await pilot.pause(1.0)  # each chart and line has had its turn
        text = shown(app).replace(run_id, "RUN-ID--") + "\n"
        path = SNAPSHOTS / f"run-{size[0]}x{size[1]}.txt"
        if os.environ.get("FINETUI_SNAPSHOTS") == "write":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    on_page(workspace, run_id, check, size)


def test_a_queued_run_says_that_it_waits(history: AppHistory) -> None:
    run_id = history.run(1, "queued")
    history.ingest()

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        await until(pilot, lambda: "no points yet" in shown(app) and "queued" in shown(app), "the empty page")
        assert page.why_not("save") == "the run is queued"
        assert "cancel it in the queue" in str(page.why_not("stop"))
        await pilot.press("s")
        await until(pilot, lambda: "Save: the run is queued" in footer(app), "the reason")

    on_page(history.workspace, run_id, check)


def test_a_failed_run_says_why(history: AppHistory) -> None:
    run_id = history.run(1, "diverged")
    history.ingest()

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        await until(pilot, lambda: "×" in shown(app), "the gap's mark")
        assert "the run was diverged" in shown(app).splitlines()[1]
        assert "loss is nan" in shown(app)
        assert page.why_not("resume") is None
        assert "Resume" in footer(app)

    on_page(history.workspace, run_id, check)


def test_samples_stand_beside_the_untrained_ones(history: AppHistory) -> None:
    run_id = history.run(1, "running")
    for step, answer in ((0, "I do not know."), (20, "Yes."), (40, "Yes, within 30 days.")):
        history.lines.events(run_id, Answered(step=step, prompt_index=0, prompt="Refund?", answer=answer, tokens=4))
    history.ingest()

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        await pilot.press("tab", "tab", "tab", "tab", "tab")
        assert page.current == "samples"
        await until(pilot, lambda: "Yes, within 30 days." in shown(app), "the newest answer")
        row = next(line for line in shown(app).splitlines() if "within 30" in line)
        assert "base I do not know." in row
        assert "@40" in row
        assert "@20 Yes." in shown(app)

    on_page(history.workspace, run_id, check)


def test_foreign_text_stays_text(history: AppHistory) -> None:
    run_id = history.run(1, "running")
    history.label(run_id)
    history.lines.events(
        run_id,
        HealthRaised(rule="x", level="error", message=HOSTILE, step=40),
        Evaluated(step=40, set_name=HOSTILE, role="validation", metrics={"loss": 1.0, HOSTILE: 2.0}, rows=1, seconds=1),
        Answered(step=0, prompt_index=0, prompt=HOSTILE, answer=HOSTILE, tokens=4),
        Answered(step=40, prompt_index=0, prompt=HOSTILE * 40, answer=HOSTILE * 40, tokens=4),
        CheckpointSaved(step=41, folder="x", bytes=1, manifest_sha256="0", reason=HOSTILE, seconds=1),
        StepLogged(step=41, values={"loss": 1.0, HOSTILE: math.inf}, tokens=1),
    )
    history.workspace.run(run_id).log.write_bytes(
        HOSTILE.encode() * 3 + b"\x1b]0;evil\x07\xff\xfe\n" + b"A" * 100_000 + b"\n"
    )
    history.ingest()

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        await until(pilot, lambda: "INST" in page.log_view.text and "evil" in page.log_view.text, "the log")
        await pilot.press("z")
        for _ in range(8):
            await pilot.press("tab")
            await pilot.pause(0.1)
            assert shown(app).replace("\n", "").isprintable(), page.current
        await pilot.press("z")
        await pilot.pause(0.1)
        text = shown(app)
        assert text.replace("\n", "").isprintable()
        assert text.count("[/x]") > 4

    on_page(history.workspace, run_id, check, (100, 30))


def test_ascii_only_is_ascii_but_for_the_dots(history: AppHistory) -> None:
    run_id = history.run(1, "running")
    history.label(run_id)
    history.ingest()

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        await until(pilot, lambda: len(page.curves.last_values()) >= 3, "the curves")
        await pilot.pause(0.8)
        wide = {char for char in shown(app) if not char.isascii() and not "\u2800" <= char <= "\u28ff"}
        assert wide <= set("┤│└┬─"), wide

    on_page(history.workspace, run_id, check, ascii_only=True)


def test_a_theme_colours_the_curves_anew(history: AppHistory) -> None:
    run_id = history.run(1, "running")
    history.ingest()

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        await until(pilot, lambda: page.curves.last_values(), "the curves")
        await pilot.pause(0.6)
        colours = set()
        for theme in (*THEMES, THEMES[0]):
            wanted = Color.parse(theme.variables["series-0"]).rich_color
            await until(pilot, partial(has_colour, page, wanted), f"the colours of {theme.name}")
            colours.add(wanted)
            await pilot.press("f8")
        assert len(colours) == 3

    on_page(history.workspace, run_id, check)


def has_colour(page: RunScreen, wanted: object) -> bool:
    chart = page.charts["loss"]
    lines = [chart.render_line(y) for y in range(chart.size.height)]
    return any(segment.style is not None and segment.style.color == wanted for line in lines for segment in line)


# --- what its keys do


def test_keys_move_the_eye_on_all_charts(history: AppHistory) -> None:
    run_id = history.run(1, "running")
    history.ingest()

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        models = page.curves.models
        await until(pilot, lambda: len(models["grad_norm"].tracks["done"].curve) == 40, "the curves")
        await pilot.pause(0.6)
        await pilot.press("left", "left")
        steps = {model.crosshair_step for model in models.values()}
        assert len(steps) == 1
        assert 0 < (steps.pop() or 0) < 40
        assert "@" in shown(app).splitlines()[2]
        await pilot.press("plus", "plus", "shift+left")
        views = {model.view for model in models.values()}
        assert len(views) == 1
        assert not views.pop().is_whole
        await pilot.press("L", "m")
        assert models["loss"].is_log
        assert not models["grad_norm"].is_log
        assert page.curves.smoothing == 0.9
        for mode in ("epoch", "time", "tokens", "step"):
            await pilot.press("X")
            assert page.curves.mode == mode
        await pilot.press("z")
        await until(pilot, lambda: page.panes["loss"].size.height > 18, "the zoomed pane")
        await pilot.press("escape")  # the crosshair
        assert models["loss"].crosshair_step is None
        await pilot.press("escape")  # the view
        assert models["loss"].view.is_whole
        await pilot.press("escape")  # the zoom
        assert not page.has_class("-zoomed")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not page, "the list")

    on_page(history.workspace, run_id, check)


def test_each_pane_can_be_alone(history: AppHistory) -> None:
    run_id = history.run(1, "running")
    history.ingest()

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        seen = []
        for _ in range(8):
            seen.append(page.current)
            await pilot.press("z")
            await pilot.pause(0.1)
            visible = [
                key for key, pane in page.panes.items() if pane.display and pane.size.height > 1 and pane.size.width
            ]
            assert visible == [page.current]
            await pilot.press("z", "tab")
        assert len(set(seen)) == 8

    on_page(history.workspace, run_id, check)


def test_another_run_lies_beneath(history: AppHistory) -> None:
    other = history.run(1, "completed", name="earlier")
    run_id = history.run(2, "running")
    history.ingest()

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        await pilot.press("o")
        await pilot.pause(0.2)
        await pilot.press(*other, "enter")
        await until(pilot, lambda: page.curves.overlay, "the overlay")
        track = page.curves.models["loss"].tracks["overlay"]
        assert len(track.curve) == 40
        assert other in shown(app)
        await pilot.press("o")
        assert "overlay" not in page.curves.models["loss"].tracks
        await pilot.press("o")
        await pilot.pause(0.2)
        await pilot.press(*"nothing", "enter")
        await until(pilot, lambda: "no run 'nothing'" in footer(app), "the reason")

    on_page(history.workspace, run_id, check)


def test_the_log_is_scrolled_and_its_lines_are_chosen(history: AppHistory) -> None:
    run_id = history.run(1, "running")
    log = history.workspace.run(run_id).log
    log.write_text("".join(f"line {number}\n" for number in range(200)))
    history.ingest()

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        await until(pilot, lambda: "line 199" in page.log_view.text and "saved" in page.log_view.text, "the log")
        assert page.log_view.follows
        await pilot.press("g")
        await until(pilot, lambda: "line 0" in shown(app), "the beginning")
        with log.open("a") as file:
            file.write("a new line\n")
        await until(pilot, lambda: "a new line" in page.log_view.text, "the new line")
        assert "a new line" not in shown(app)
        await pilot.press("G")
        await until(pilot, lambda: "a new line" in shown(app), "the end")
        await pilot.press("l")
        assert page.run_log.level == "events"
        assert "line 199" not in page.log_view.text
        await pilot.press("l")
        assert "saved" not in page.log_view.text

    on_page(history.workspace, run_id, check)


def test_an_event_is_told_once(history: AppHistory) -> None:
    run_id = history.run(1, "running")
    history.ingest()

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        assert page.run_view is not None
        log = RunLog()
        first = log.events(page.run_view)
        assert [text[9:] for text, _ in first if "saved" in text] == [
            "step 20  saved checkpoint (scheduled, 80.1M, 1.0 s)",
            "step 40  saved checkpoint (scheduled, 80.1M, 1.0 s)",
        ]
        assert log.events(page.run_view) == []

    on_page(history.workspace, run_id, check)


# --- under a live worker


def test_a_live_run_is_saved_stopped_and_resumed_by_keys(site: Site) -> None:
    run_id = site.submit(steps=5000, step_seconds=0.02)
    site.until_step(run_id, 5)

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        curve = page.curves.models["loss"].tracks["done"].curve
        await until(pilot, lambda: len(curve) > 10, "points")
        known = len(curve)
        await until(pilot, lambda: len(curve) > known, "more points")
        await pilot.press("s")
        await until(pilot, lambda: "save done (checkpoint" in footer(app), "the answer to save")
        await until(pilot, lambda: page.run_view and page.run_view.checkpoints, "the checkpoint")
        await pilot.press("x")
        await until(pilot, lambda: "steps since checkpoint" in shown(app), "the question")
        await pilot.press("n")
        assert site.run(run_id).state is State.RUNNING
        await pilot.press("x")
        await until(pilot, lambda: "steps since checkpoint" in shown(app), "the question")
        await pilot.press("y")
        await until(pilot, lambda: page.run_view and page.run_view.row.outcome is Outcome.STOPPED, "the stop")
        await until(pilot, lambda: "Resume" in footer(app) or "stopped" in footer(app), "the footer")
        await pilot.press("R")
        await until(pilot, lambda: page.run_view and page.run_view.row.attempt == 2, "the second attempt")
        await until(pilot, lambda: page.run_view and page.run_view.row.state is State.RUNNING, "it to run again")
        steps = list(curve.steps)
        assert steps == sorted(set(steps))
        await until(pilot, lambda: len(curve) and curve.steps[-1] > steps[-1], "points behind the resume")
        assert list(curve.steps) == list(range(1, curve.steps[-1] + 1))  # no hole
        await pilot.press("P")
        await until(pilot, lambda: page.run_view and page.run_view.row.state is State.PAUSED, "the pause")
        await pilot.press("K")
        await until(pilot, lambda: page.run_view and page.run_view.checkpoints[-1].pinned, "the pin")

    on_page(site.workspace, run_id, check)
    assert read_run(site.workspace, run_id).attempt == 2


def test_the_recipe_and_its_difference_are_one_key_away(site: Site) -> None:
    first = site.submit(held=True)
    second = site.submit(held=True)

    async def check(app: FinetuiApp, page: RunScreen, pilot: Any) -> None:
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, TextScreen), "the difference")
        await until(pilot, lambda: "the recipes are the same" in shown(app), "its words")
        assert f"what differs from {first}" in shown(app)
        await pilot.press("escape", "e")
        await until(pilot, lambda: isinstance(app.screen, TextScreen) and "type: qlora" in shown(app), "the recipe")

    on_page(site.workspace, second, check)
