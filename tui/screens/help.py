"""All keys of a page, searchable; the palette is the same list with only what can be done now. Made from the registry.

Enter does the chosen action on the page behind.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.actions import SCOPES, Action, shown_key
from tui.format import ascii_only, fit, glyphs
from tui.screens.page import Page

_KEY_CELLS = 16
_TITLE_CELLS = 16


class HelpScreen(ModalScreen[None]):
    """Keys of `page`; with `only_possible` as a palette."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "leave", "Back"),
        ("down,ctrl+n", "step(1)", "Down"),
        ("up,ctrl+p", "step(-1)", "Up"),
        ("pagedown", "step(10)", "Page down"),
        ("pageup", "step(-10)", "Page up"),
    ]
    CSS = """
    HelpScreen { align: center middle; background: transparent; }
    HelpScreen > Vertical { width: 90%; max-width: 100; height: 90%; background: $panel; padding: 0 1; }
    HelpScreen:ansi > Vertical { background: ansi_default; border: solid ansi_blue; }
    HelpScreen Input { border: none; height: 1; padding: 0; background: $surface; }
    HelpScreen #list { height: 1fr; }
    """

    def __init__(self, page: Page, *, only_possible: bool = False) -> None:
        super().__init__()
        self._page, self._only_possible = page, only_possible
        actions = [action for action in page.actions() if not only_possible or page.why_not(action.id) is None]
        self._all = sorted(actions, key=lambda action: SCOPES.index(action.scope), reverse=True)
        self._found: list[Action] = self._all
        self._chosen = 0
        self._top = 0

    def compose(self) -> ComposeResult:
        with Vertical():
            title = "Commands" if self._only_possible else "Keys"
            yield Static(Content.assemble((title, "bold"), "  type to search, enter does it, esc leaves"))
            yield Input(placeholder="search", select_on_focus=False)
            yield Static(Content(""), id="list")

    def on_mount(self) -> None:
        self.call_after_refresh(self._show)

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def on_input_changed(self, event: Input.Changed) -> None:
        words = event.value.lower().split()
        self._found = [action for action in self._all if all(word in self._text(action) for word in words)]
        self._chosen = self._top = 0
        self._show()

    def _text(self, action: Action) -> str:
        return f"{action.title} {action.help} {self._keys(action)} {action.id} {action.scope}".lower()

    def _keys(self, action: Action) -> str:
        chosen = self._page.shell.preferences.keys.get(action.id, action.key)
        return " ".join(shown_key(key, ascii_only=ascii_only()) for key in chosen.split(","))

    def _show(self) -> None:
        area = self.query_one("#list", Static)
        height = max(1, area.size.height)
        self._top = max(0, min(self._top, self._chosen), self._chosen - height + 1)
        shown = self._found[self._top : self._top + height]
        lines = [self._line(action, self._top + index == self._chosen) for index, action in enumerate(shown)]
        area.update(Content("\n").join(lines or [Content("no action fits")]))

    def _line(self, action: Action, here: bool) -> Content:
        reason = self._page.why_not(action.id)
        sign = glyphs().cursor if here else " "
        keys = fit(self._keys(action), _KEY_CELLS)
        words = action.help if reason is None else f"not now: {reason}"
        width = max(10, self.query_one("#list", Static).size.width - _KEY_CELLS - _TITLE_CELLS - 2)
        tone = "" if reason is None else "$quiet"
        return Content.assemble(
            (f"{sign} ", "bold"), (keys, "bold $accent" if reason is None else tone),
            (fit(action.title, _TITLE_CELLS), "bold" if here else tone), (fit(words, width), tone),
        )  # fmt: skip

    def action_step(self, lines: int) -> None:
        """Another line."""
        self._chosen = max(0, min(self._chosen + lines, len(self._found) - 1))
        self._show()

    def on_click(self, event: Click) -> None:
        area = self.query_one("#list", Static)
        index = self._top + event.screen_y - area.region.y
        if area.region.contains(event.screen_x, event.screen_y) and index < len(self._found):
            self._chosen = index
            self._do()

    def on_input_submitted(self) -> None:
        self._do()

    def _do(self) -> None:
        if self._chosen < len(self._found):
            action = self._found[self._chosen]
            self.dismiss()
            page = self._page
            page.call_later(page.action_do, action.id)

    def action_leave(self) -> None:
        """Back to the page."""
        self.dismiss()
