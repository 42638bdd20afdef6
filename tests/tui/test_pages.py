"""Queue, recipes, help, palette, jump, themes, copy: driven by keys over a real workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.gpu.nvml import Gpu, GpuProcess
from core.paths import Workspace
from core.states import State
from core.store.reader import open_reader
from core.text import display_width
from tests.tui.app_history import HOSTILE, AppHistory
from tests.tui.screen_text import SIZES, screen_lines, screen_text, type_line, wait_for, wait_for_text
from tests.tui.shell_fixtures import opened
from tui.keymap import Preferences, read_preferences
from tui.screens.queue import other_users
from tui.theme import NAMES


@pytest.fixture
def history(workspace: Workspace) -> AppHistory:
    history = AppHistory(workspace)
    history.many(6)
    for number, end, name in ((60, "queued", "first one"), (61, "queued", HOSTILE), (62, "held", "held one")):
        history.run(number, end, name=name)
    history.ingest()
    return history


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_queue_at_each_size(history: AppHistory, size: tuple[int, int]) -> None:
    async with opened(history.workspace, size) as pilot:
        await wait_for_text(pilot, "Runs 9")
        await pilot.press("6")
        await wait_for_text(pilot, "2 waiting, 1 held")
        text = screen_text(pilot)
        assert {display_width(line) for line in text.splitlines()} == {size[0]}
        assert text.replace("\n", "").isprintable()
        assert "● live 00000006" in text and "‖ held" in text and "ended lately" in text
        assert "? Keys" in screen_lines(pilot)[-1]


async def test_the_queue_is_reordered_held_released_and_cancelled(history: AppHistory) -> None:
    workspace = history.workspace
    history.lines.move("00000006", "running", "finished", outcome="completed")
    history.ingest()

    def standing() -> list[tuple[str, State]]:
        with open_reader(workspace) as reader:
            return [(row.run_id, row.state) for row in reader.queue(with_held=True)]

    first, second, third = (run_id for run_id, _ in standing())
    async with opened(workspace) as pilot:
        await pilot.press("6")
        await wait_for_text(pilot, f"▸ 1   {first}")
        await pilot.press("K")
        await wait_for_text(pilot, "it is the first already")
        await pilot.press("J")
        await wait_for(pilot, lambda: [row[0] for row in standing()] == [second, first, third], "the first one later")
        await wait_for_text(pilot, f"▸ 2   {first}")
        await pilot.press("h")
        await wait_for(pilot, lambda: dict(standing())[first] is State.HELD, "the run held")
        await pilot.press("x")
        await wait_for_text(pilot, "no step is lost")
        await pilot.press("y")
        await wait_for(pilot, lambda: first not in dict(standing()), "the run cancelled")
        await wait_for_text(pilot, "■ stopped")


async def test_an_empty_queue_says_what_to_do(workspace: Workspace) -> None:
    async with opened(workspace) as pilot:
        await pilot.press("6")
        await wait_for_text(pilot, "Nothing waits. 3 shows recipes to launch.")
        await pilot.press("h")
        await wait_for_text(pilot, "Hold: nothing waits")


def test_other_peoples_processes_are_named_and_ours_are_not() -> None:
    def process(pid: int, ours: bool) -> GpuProcess:
        return GpuProcess(pid=pid, memory_used_bytes=2**30, user="other", is_ours=ours, command="python\x1b[31m")

    gpu = Gpu(
        index=0,
        uuid="GPU-1",
        name="x",
        memory_total_bytes=1,
        memory_used_bytes=1,
        utilisation_percent=0.0,
        power_watts=None,
        temperature_celsius=None,
        compute_capability=None,
        driver_version=None,
        processes=(process(3991, False), process(7, True)),
    )
    assert other_users([gpu]).startswith(
        "other users of the GPU: pid 3991 python␛[31m 1.0G (other); they are waited for"
    )
    assert other_users([]) == ""


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_recipes_with_their_problems_at_each_size(workspace: Workspace, size: tuple[int, int]) -> None:
    (workspace.root / "a-broken.yaml").write_text("name: broken [/x]\nmethod: {type: qloar}\n")
    async with opened(workspace, size) as pilot:
        await pilot.press("3")
        await wait_for_text(pilot, "a-broken.yaml")
        await wait_for_text(pilot, "problems")
        assert {display_width(line) for line in screen_lines(pilot)} == {size[0]}
        await pilot.press("f6")
        await wait_for_text(pilot, "the recipe has")
        for _ in range(5):
            await pilot.press("j")
        await wait_for_text(pilot, "✓ valid")


async def test_a_recipe_is_launched(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.runs.queue.ensure_supervisor", lambda _: True)
    async with opened(workspace) as pilot:
        opened_runs: list[str] = []
        pilot.app.open_run = opened_runs.append  # type: ignore[attr-defined]
        await pilot.press("3")
        await wait_for_text(pilot, "starter-qlora.yaml")
        while "▸ starter-qlora.yaml" not in screen_text(pilot).replace("▸  ", "▸ "):
            await pilot.press("j")
        await wait_for_text(pilot, "✓ valid")
        await pilot.press("f6")
        await wait_for(pilot, lambda: opened_runs, "the run to be opened", 20.0)
        with open_reader(workspace) as reader:
            assert [row.name for row in reader.queue()] == ["starter-qlora"]


async def test_help_lists_what_the_page_offers_and_enter_does_it(history: AppHistory) -> None:
    async with opened(history.workspace) as pilot:
        await wait_for_text(pilot, "Runs 9")
        await pilot.press("question_mark")
        await wait_for_text(pilot, "type to search")
        await pilot.press(*"queue")
        await wait_for_text(pilot, "what runs, what waits")
        assert "Rename" not in screen_text(pilot)
        await pilot.press("enter")
        await wait_for_text(pilot, "2 waiting, 1 held")


async def test_the_palette_has_only_what_can_be_done(workspace: Workspace) -> None:
    async with opened(workspace) as pilot:
        await wait_for_text(pilot, "No training runs")
        await pilot.press("question_mark")
        await wait_for_text(pilot, "not now: there is no run")
        await pilot.press("escape", "colon")
        await wait_for_text(pilot, "Commands")
        await pilot.press(*"remove")
        await wait_for_text(pilot, "no action fits")


async def test_jump_puts_letters_on_the_parts(history: AppHistory) -> None:
    async with opened(history.workspace) as pilot:
        await wait_for_text(pilot, "Runs 9")
        await pilot.press("ctrl+o")
        await wait_for(pilot, lambda: type(pilot.app.screen).__name__ == "JumpScreen", "jump mode")
        await pilot.press("6")
        await wait_for_text(pilot, "2 waiting, 1 held")


async def test_themes_go_round_and_copy_is_asked_for(history: AppHistory) -> None:
    async with opened(history.workspace) as pilot:
        await wait_for_text(pilot, "▸ ")
        seen = [pilot.app.theme]
        for _ in NAMES:
            await pilot.press("f8")
            seen.append(pilot.app.theme)
        assert seen == [*NAMES, NAMES[0]]
        assert pilot.app.clipboard == ""
        await pilot.press("y")
        await wait_for_text(pilot, "sent to the terminal's clipboard")
        assert len(pilot.app.clipboard) == 8


async def test_esc_never_ends_the_app_and_q_does(workspace: Workspace) -> None:
    async with opened(workspace) as pilot:
        await wait_for_text(pilot, "No training runs")
        await pilot.press("escape", "escape", "6", "escape")
        assert pilot.app.is_running
        await pilot.press("q")
        await wait_for(pilot, lambda: not pilot.app.is_running or pilot.app._exit, "the end")


async def test_a_persons_key_works_is_shown_and_replaces_ours(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "app.toml"
    file.write_text('theme = "light"\n[keys]\nshow_queue = "f2"\nnothing = "x"\n')
    preferences = read_preferences(file)
    assert preferences.theme == "light" and len(preferences.problems) == 1 and "nothing" in preferences.problems[0]
    async with opened(workspace, preferences=preferences) as pilot:
        await wait_for_text(pilot, "F2 Queue")
        await wait_for_text(pilot, "there is no action")
        await pilot.press("6")
        await pilot.pause(0.1)
        assert pilot.app.current_mode == "runs"
        await pilot.press("f2")
        await wait_for_text(pilot, "Nothing waits")


@pytest.mark.parametrize("text", ["theme = 3", "[keys]\nopen = 1", "not toml", 'keys = "x"\nascii = "yes"', "\x00"])
def test_a_wrong_preferences_file_is_said_and_the_defaults_hold(tmp_path: Path, text: str) -> None:
    file = tmp_path / "app.toml"
    file.write_text(text)
    read = read_preferences(file)
    assert (read.theme, read.ascii, read.keys) == ("dark", False, {})
    assert read_preferences(tmp_path / "missing.toml") == Preferences()


async def test_no_color_leaves_no_colour(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(workspace) as pilot:
        await wait_for_text(pilot, "No training runs")
        assert pilot.app.theme == NAMES[2]
        strips = pilot.app.screen._compositor.render_strips()
        filters = pilot.app.get_line_filters()
        colours = set()
        for composed in strips:
            strip = composed
            for line_filter in filters:
                strip = strip.apply_filter(line_filter, pilot.app.screen.background_colors[1])
            colours |= {
                str(part)
                for segment in strip
                if segment.style
                for part in (segment.style.color, segment.style.bgcolor)
                if part and not part.is_default
            }
        assert colours == set()


async def test_typing_in_a_question_does_nothing_else(history: AppHistory) -> None:
    async with opened(history.workspace) as pilot:
        await wait_for_text(pilot, "▸ ")
        await pilot.press("slash")
        await pilot.press(*"136q")
        assert pilot.app.current_mode == "runs" and pilot.app.is_running
        await type_line(pilot, "name:first")
        await wait_for_text(pilot, "Runs 1 ")
