"""One line of clickable words: the header with its modes, the footer with its keys, a title with its filter.

It draws what it is given and tells which action was clicked; it must not know what any action does.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from core.text import display_width

TONES = {
    "": "",
    "bold": "bold",
    "dim": "$quiet",
    "good": "$success",
    "bad": "bold $error",
    "warn": "$warning",
    "live": "bold $primary",
    "key": "bold $accent",
    "series": "$series-0",
    "here": "bold reverse",
}
"""The style of each tone (`tui.format`), in the theme's colours."""

Part = tuple[str, str, str | None]
"""Text, tone, action id where a click does something."""


class Bar(Widget):
    """A line of parts; `right` stands at the right edge where there is room."""

    DEFAULT_CSS = "Bar { height: 1; width: 1fr; }"

    class Chosen(Message):
        """A part with an action was clicked."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._left: tuple[Part, ...] = ()
        self._right: tuple[Part, ...] = ()

    def show(self, left: Sequence[Part], right: Sequence[Part] = ()) -> None:
        """Draw these parts; nothing is sent to the terminal where they are what is shown already."""
        wanted = (tuple(left), tuple(right))
        if wanted != (self._left, self._right):
            self._left, self._right = wanted
            self.refresh()

    @property
    def text(self) -> str:
        """What is shown, without colour."""
        return "".join(part[0] for part in self._placed())

    def _placed(self) -> list[Part]:
        """All parts with the space between the two ends; the right end goes where there is no room for it."""
        used = sum(display_width(part[0]) for part in self._left)
        beside = sum(display_width(part[0]) for part in self._right)
        if not self._right or used + beside + 1 > self.size.width:
            return list(self._left)
        return [*self._left, (" " * (self.size.width - used - beside), "", None), *self._right]

    def render(self) -> Content:
        return Content.assemble(*((text, TONES.get(tone, tone)) for text, tone, _ in self._placed()))

    def on_click(self, event: Click) -> None:
        place = 0
        for text, _, action in self._placed():
            place += display_width(text)
            if event.x < place:
                if action is not None:
                    event.stop()
                    self.post_message(self.Chosen(action))
                return
