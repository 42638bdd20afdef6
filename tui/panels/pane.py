"""A titled part of a page: one title line over one content widget; must not know what the content shows."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from core.text import display_width
from tui.format import glyphs
from tui.widgets.lines import Lines, Part


class Title(Lines):
    """`─ words ─────` over the whole width."""

    DEFAULT_CSS = "Title { height: 1; }"

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self.parts: tuple[Part, ...] = tuple(parts)

    def tell(self, parts: Sequence[Part]) -> None:
        """Other words; nothing is repainted where they are the same."""
        if tuple(parts) != self.parts:
            self.parts = tuple(parts)
            self._fill()

    def on_resize(self) -> None:
        self._fill()

    def _fill(self) -> None:
        rule = glyphs().rule
        used = sum(display_width(text) for text, _ in self.parts)
        rest = max(0, self.size.width - used - 3)
        self.show([[(f"{rule} ", "dim"), *self.parts, (f" {rule * rest}", "dim")]])


class Pane(Vertical):
    """One part of the page. The current one, that keys act on, has a strong title."""

    DEFAULT_CSS = """
    Pane { height: 1fr; width: 1fr; }
    """

    class Pointed(Message):
        """The person clicked on the title."""

        def __init__(self, pane: Pane) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, id: str, name: str, content: Widget) -> None:
        super().__init__(id=id)
        self.content = content
        self._words = name
        self._parts: tuple[Part, ...] = ()
        self.title = Title(((name, "bold"),))
        self._is_current = False

    def compose(self) -> ComposeResult:
        yield self.title
        yield self.content

    @property
    def is_current(self) -> bool:
        """Whether keys act on it."""
        return self._is_current

    @is_current.setter
    def is_current(self, on: bool) -> None:
        self._is_current = on
        self.set_class(on, "-current")
        self.tell(self._parts)

    def tell(self, parts: Sequence[Part]) -> None:
        """Words behind the pane's name."""
        self._parts = tuple(parts)
        mark = glyphs().cursor if self._is_current else ""
        self.title.tell(((mark + self._words, "key" if self._is_current else "bold"), *self._parts))

    def on_click(self, event: Click) -> None:
        if event.widget is self.title:
            event.stop()
            self.post_message(self.Pointed(self))
