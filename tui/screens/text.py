"""A page-high text over another page: a recipe, a difference. It shows lines; it must not know what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from core.text import safe_line
from tui.panels.pane import Title
from tui.widgets.log_view import LogView


class TextScreen(ModalScreen[None]):
    """Lines to scroll through; esc leaves."""

    CSS = """
    TextScreen > Vertical { background: $surface; }
    TextScreen:ansi > Vertical { background: ansi_default; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q,enter", "leave", "Back"), ("j,down", "move(1)", "Down"), ("k,up", "move(-1)", "Up"),
        ("ctrl+d,pagedown,space", "move(15)", "Page down"), ("ctrl+u,pageup", "move(-15)", "Page up"),
        ("g,home", "move(-1000000)", "First"), ("G,end", "move(1000000)", "Last"),
    ]  # fmt: skip

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._words, self._lines = safe_line(title, 200), [safe_line(line, 500) for line in lines]

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Title(((self._words, "bold"), ("  esc Back  j/k scroll", "dim")))
            yield LogView()

    def on_mount(self) -> None:
        self.query_one(LogView).replace([(line, "") for line in self._lines])
        self.call_after_refresh(self.action_move, -1_000_000)

    def action_move(self, lines: int) -> None:
        """Scroll."""
        self.query_one(LogView).move(lines)

    def action_leave(self) -> None:
        """Back to the page."""
        self.dismiss(None)
