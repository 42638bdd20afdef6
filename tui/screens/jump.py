"""Jump mode: a letter on each part of the page that can take the keyboard, and on each mode; the letter goes there."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

from tui.screens.page import MODES, Page

LETTERS = "asdfghjkluiopqwertyzxcvbnm"


class JumpScreen(ModalScreen[None]):
    """Labels over `page`."""

    CSS = """
    JumpScreen { background: transparent; }
    JumpScreen Static { position: absolute; width: 3; height: 1; background: $accent; color: $background;
        text-style: bold; text-align: center; }
    JumpScreen:ansi Static { background: ansi_default; color: ansi_default; text-style: bold reverse; }
    """

    def __init__(self, page: Screen[object]) -> None:
        super().__init__()
        self._page = page
        self._targets: dict[str, Widget] = {}

    def compose(self) -> ComposeResult:
        parts = [widget for widget in self._page.query(Widget) if widget.focusable and widget.region.area]
        for letter, widget in zip(LETTERS, parts, strict=False):
            self._targets[letter] = widget
            label = Static(Content(letter), classes="label")
            label.styles.offset = (widget.region.x, widget.region.y)
            yield label

    def on_key(self, event: Key) -> None:
        event.stop()
        self.dismiss()
        target = self._targets.get(event.character or "")
        if target is not None:
            target.focus()
            return
        page = self._page
        for id_ in MODES:
            if isinstance(page, Page) and event.character == page.key_of_id(id_):
                page.call_later(page.action_do, id_)
