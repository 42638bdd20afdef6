"""Opens the app over a workspace in a test, without a supervisor of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from core.paths import Workspace
from tui.app import FinetuiApp
from tui.keymap import Preferences


class AppUnderTest(FinetuiApp):
    """Starts no supervisor in the background: what a test queues stays queued."""

    def _keep_up(self) -> None:
        pass


@asynccontextmanager
async def opened(
    workspace: Workspace, size: tuple[int, int] = (80, 24), preferences: Preferences | None = None
) -> AsyncIterator[Pilot[None]]:
    """The app's pilot at a size."""
    app = AppUnderTest(workspace, preferences or Preferences())
    async with app.run_test(size=size, notifications=True, tooltips=True) as pilot:
        yield pilot
