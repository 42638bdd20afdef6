"""The app over a real supervisor and a real (torch-free) worker: a run appears, moves, is opened, ends, and is told."""

from __future__ import annotations

from core.paths import Workspace
from core.states import State
from core.store.reader import open_reader
from tests.process.conftest import Site, site
from tests.tui.screen_text import screen_text, wait_for, wait_for_text
from tests.tui.shell_fixtures import opened

__all__ = ["site"]


async def test_a_run_is_seen_from_the_queue_to_its_end(site: Site) -> None:
    async with opened(site.workspace, (120, 30)) as pilot:
        await wait_for_text(pilot, "No training runs")
        run_id = site.submit(steps=120, step_seconds=0.02, checkpoint_every=40, name="seen live")
        await wait_for_text(pilot, f"{run_id} seen live", 20.0)
        await wait_for_text(pilot, "● live", 20.0)
        await wait_for_text(pilot, "40 80", 20.0)
        await wait_for_text(pilot, f"✓ done: {run_id} seen live", 30.0)
        await wait_for_text(pilot, "120/")
        await wait_for_text(pilot, "nothing runs")


async def test_a_living_run_is_opened_and_left_alone_when_the_app_closes(site: Site) -> None:
    run_id = site.submit_long()
    async with opened(site.workspace) as pilot:
        await wait_for_text(pilot, "● live", 20.0)
        await pilot.press("enter")
        await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 2, "the run's page")
        await wait_for_text(pilot, run_id)
        await wait_for_text(pilot, "loss")
        assert "Back" in screen_text(pilot).splitlines()[-1]
        await pilot.press("q")
        await wait_for(pilot, lambda: len(pilot.app.screen_stack) == 1, "home")
    with open_reader(site.workspace) as reader:
        assert reader.run(run_id).state is State.RUNNING


async def test_a_workspace_that_can_only_be_read_is_shown(workspace: Workspace) -> None:
    workspace.root.chmod(0o500)
    try:
        async with opened(workspace) as pilot:
            await wait_for_text(pilot, "No training runs")
    finally:
        workspace.root.chmod(0o700)
