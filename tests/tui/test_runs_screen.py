"""Home, driven by keys: the list at each size, filter, order, marks, labels, removal, hostile names, live growth."""

from __future__ import annotations

import pytest

from core.events import Finished
from core.paths import Workspace
from core.store.reader import open_reader
from core.text import display_width
from tests.tui.app_history import AppHistory
from tests.tui.screen_text import SIZES, screen_lines, screen_text, type_line, wait_for, wait_for_text
from tests.tui.shell_fixtures import opened
from tui.keymap import Preferences
from tui.screens.runs import RunsScreen


@pytest.fixture
def history(workspace: Workspace) -> AppHistory:
    history = AppHistory(workspace)
    history.many(20)
    history.ingest()
    return history


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_list_at_each_size(history: AppHistory, size: tuple[int, int]) -> None:
    async with opened(history.workspace, size) as pilot:
        await wait_for_text(pilot, "Runs 20")
        await wait_for_text(pilot, "cs-r16-lin-19")
        await wait_for_text(pilot, "21.3G/23.9G")
        await wait_for_text(pilot, "✗ diverged")
        lines = screen_lines(pilot)
        assert len(lines) == size[1] and {display_width(line) for line in lines} == {size[0]}
        assert "1 Runs" in lines[0] and "? Keys" in lines[-1] and "⏎ Open" in lines[-1]
        assert lines[2].startswith("● live") and "40/100" in lines[2]
        text = "\n".join(lines)
        assert all(word in text for word in ("● live", "✓ done", "✗ diverged", "nan"))
        assert ("TREND" in text) == (size[0] >= 80)
        if size[1] >= 24:
            await wait_for_text(pilot, "checkpoints 20 40*")


@pytest.mark.parametrize("size", [(50, 20), (80, 12), (30, 8)])
async def test_below_the_smallest_layout_a_run_is_one_line(history: AppHistory, size: tuple[int, int]) -> None:
    async with opened(history.workspace, size) as pilot:
        await wait_for_text(pilot, "Runs 20")
        await wait_for_text(pilot, "live")
        lines = screen_lines(pilot)
        assert lines[0].startswith("Runs 20") and lines[1].startswith("▸") and "? Keys" in lines[-1]
        assert sum("0000000" in line for line in lines) == size[1] - 2


async def test_keys_move_the_cursor_and_it_stays_on_its_run(history: AppHistory) -> None:
    async with opened(history.workspace) as pilot:
        await wait_for_text(pilot, "Runs 20")
        await pilot.press("j", "j", "down", "k")
        table = _screen(pilot).table
        await wait_for(pilot, lambda: table.cursor_key == "0000000j", "the cursor on the third run")
        history.run(90, "queued", name="newcomer")
        history.ingest()
        await wait_for_text(pilot, "Runs 21")
        await wait_for(pilot, lambda: table.cursor == 3, "the cursor one down")
        assert table.cursor_key == "0000000j"
        await pilot.press("G")
        assert table.cursor == 20
        await wait_for_text(pilot, "▸ 00000001")
        await pilot.press("g")
        assert table.cursor == 0


async def test_a_filter_is_typed_shown_and_taken_away(history: AppHistory) -> None:
    async with opened(history.workspace) as pilot:
        await wait_for_text(pilot, "Runs 20")
        await pilot.press("slash")
        await type_line(pilot, "state:diverged")
        await wait_for_text(pilot, "filter: state:diverged")
        await wait_for_text(pilot, "Runs 2")
        assert "✓ done" not in "\n".join(screen_lines(pilot)[5:16])
        await pilot.press("slash")
        await type_line(pilot, "name:nothing-is-called-so")
        await wait_for_text(pilot, "No run fits the filter")
        await pilot.press("escape")
        await wait_for_text(pilot, "Runs 20")


async def test_a_wrong_filter_is_said_and_not_taken(history: AppHistory) -> None:
    async with opened(history.workspace) as pilot:
        await wait_for_text(pilot, "Runs 20")
        await pilot.press("slash")
        await type_line(pilot, "mehtod:qlora")
        await wait_for_text(pilot, "did you mean method?")
        await pilot.press("escape")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, RunsScreen), "the list again")
        assert "filter:" not in screen_text(pilot)


async def test_order_by_a_metric_and_columns_of_choice(history: AppHistory) -> None:
    async with opened(history.workspace, (120, 30)) as pilot:
        await wait_for_text(pilot, "Runs 20")
        await pilot.press("s")
        await type_line(pilot, "loss.min")
        await wait_for_text(pilot, "sort loss.min ↑")
        await pilot.press("C")
        await type_line(pilot, "run grad_norm.max lr state")
        await wait_for_text(pilot, "D_NORM.MAX")
        await wait_for_text(pilot, "0.0002")
        shown = _screen(pilot).table
        with open_reader(history.workspace) as reader:
            lowest = {
                row.run_id: min(v for v in reader.series(row.run_id, "loss").values if v == v) for row in reader.runs()
            }
        assert shown.row_at(0).row.run_id == min(lowest, key=lambda run_id: lowest[run_id])  # type: ignore[union-attr]
        await pilot.press("S")
        await wait_for_text(pilot, "sort loss.min ↓")


async def test_marked_runs_are_tagged_together(history: AppHistory) -> None:
    async with opened(history.workspace) as pilot:
        await wait_for_text(pilot, "Runs 20")
        await wait_for_text(pilot, "▸ 0000000m")
        await pilot.press("space", "space")
        await wait_for_text(pilot, "2 marked")
        await pilot.press("t")
        await type_line(pilot, "keep")
        await wait_for(pilot, lambda: _tagged(history.workspace) == {"0000000m", "0000000k"}, "two tagged runs")


async def test_note_and_name_are_written_down(history: AppHistory) -> None:
    async with opened(history.workspace) as pilot:
        await wait_for_text(pilot, "▸ 0000000m")
        await pilot.press("r")
        await type_line(pilot, "[/b] renamed")
        await wait_for_text(pilot, "0000000m [/b] renamed")
        await pilot.press("n")
        await type_line(pilot, "look at [bold]this[/bold]")
        await wait_for_text(pilot, "note look at [bold]this[/bold]")


async def test_removal_names_its_size_and_needs_a_yes(history: AppHistory) -> None:
    async with opened(history.workspace) as pilot:
        await wait_for_text(pilot, "▸ 0000000m")
        await pilot.press("D")
        await wait_for_text(pilot, "Remove: run 0000000m is running; stop or cancel it first")
        await pilot.press("j", "D")
        await wait_for_text(pilot, "can't be undone")
        await pilot.press("n")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, RunsScreen), "the list again")
        assert history.workspace.run("0000000k").folder.is_dir()
        await pilot.press("D")
        await wait_for_text(pilot, "can't be undone")
        await pilot.press("y")
        await wait_for_text(pilot, "Runs 19")
        assert not history.workspace.run("0000000k").folder.exists()


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_hostile_labels_are_shown_as_what_they_are(
    history: AppHistory, size: tuple[int, int], ascii_only: bool
) -> None:
    history.label("0000000m")
    history.ingest()
    async with opened(history.workspace, size, Preferences(ascii=ascii_only)) as pilot:
        await wait_for_text(pilot, "0000000m [/x]")
        await pilot.press("slash")
        await type_line(pilot, '"[/INST]"')
        await wait_for_text(pilot, "Runs 1 ")
        text = screen_text(pilot)
        assert text.replace("\n", "").isprintable()
        lines = text.splitlines()
        assert {display_width(line) for line in lines} == {size[0]}
        if ascii_only:
            assert text.isascii()


async def test_a_run_that_ends_is_told(history: AppHistory) -> None:
    async with opened(history.workspace) as pilot:
        await wait_for_text(pilot, "● live 0000000m")
        bells: list[None] = []
        pilot.app.bell = lambda: bells.append(None)  # type: ignore[method-assign]
        history.lines.events("0000000m", Finished(outcome="completed", message="all steps done", step=40))
        history.lines.move("0000000m", "running", "finished", outcome="completed")
        history.ingest()
        await wait_for_text(pilot, "✓ done: 0000000m")
        await wait_for(pilot, lambda: len(bells) == 1, "one bell")


async def test_an_empty_workspace_says_what_to_do(workspace: Workspace) -> None:
    async with opened(workspace) as pilot:
        await wait_for_text(pilot, "No training runs in this workspace yet.")
        assert "⏎ Start the demo" in screen_lines(pilot)[-1]
        assert not workspace.database.exists()
        called: list[None] = []
        pilot.app.start_demo = lambda: called.append(None)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await wait_for(pilot, lambda: called, "the demo")


async def test_a_greyed_key_says_why(workspace: Workspace) -> None:
    async with opened(workspace) as pilot:
        await wait_for_text(pilot, "No training runs")
        await pilot.press("t")
        await wait_for_text(pilot, "Tag: there is no run under the cursor")


async def test_a_click_on_a_title_sorts_and_on_a_row_moves(history: AppHistory) -> None:
    async with opened(history.workspace) as pilot:
        await wait_for_text(pilot, "Runs 20")
        place = screen_lines(pilot)[4].index("LOSS")
        await pilot.click(offset=(place, 4))
        await wait_for_text(pilot, "LOSS↑")
        await pilot.click(offset=(10, 8))
        await wait_for(pilot, lambda: _screen(pilot).table.cursor == 3, "the fourth row")


def _screen(pilot: object) -> RunsScreen:
    screen = pilot.app.screen_stack[0]  # type: ignore[attr-defined]
    assert isinstance(screen, RunsScreen)
    return screen


def _tagged(workspace: Workspace) -> set[str]:
    with open_reader(workspace) as reader:
        return {row.run_id for row in reader.runs() if "keep" in row.tags}
