"""What a person sees as plain lines, and waiting for it: the text of the composed screen, without colours."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.pilot import Pilot

SIZES = ((60, 16), (80, 24), (120, 30), (200, 50))


def screen_lines(pilot: Pilot[None]) -> list[str]:
    """The lines of the topmost screen, with what shines through from below it."""
    strips = pilot.app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def screen_text(pilot: Pilot[None]) -> str:
    """All lines as one text."""
    return "\n".join(screen_lines(pilot))


async def wait_for(
    pilot: Pilot[None], condition: Callable[[], object], what: str, timeout_seconds: float = 10.0
) -> None:
    """Let the app run until the condition holds; fail with its name and the screen."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_seconds:g} s for {what}:\n{screen_text(pilot)}"
        await pilot.pause(0.02)


async def wait_for_text(pilot: Pilot[None], text: str, timeout_seconds: float = 10.0) -> None:
    """Let the app run until the text is on the screen."""
    await wait_for(pilot, lambda: text in screen_text(pilot), f"{text!r} on the screen", timeout_seconds)


async def type_line(pilot: Pilot[None], text: str) -> None:
    """Type a line into the question at the foot and submit it."""
    from textual.widgets import Input

    await wait_for(pilot, lambda: pilot.app.screen.query(Input), "a line to type into")
    pilot.app.screen.query_one(Input).value = text
    await pilot.pause()
    await pilot.press("enter")
