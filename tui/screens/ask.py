"""Small questions at the foot of the screen: a line of text, or yes and no. They ask; what follows is the asker's."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from core.text import safe_line

_CSS = """
{name} {{ background: transparent; align: left bottom; }}
{name} > Vertical {{ height: auto; background: $panel; }}
{name}:ansi > Vertical {{ background: ansi_default; }}
{name} Static {{ height: auto; max-height: 6; }}
{name} .problem {{ color: $warning; height: 1; }}
{name} Input {{ border: none; height: 1; padding: 0; background: $surface; }}
"""


class AskLine(ModalScreen[str | None]):
    """One line; None where the person leaves by esc. `complaint` says while typing what is wrong with it."""

    CSS = _CSS.format(name="AskLine")
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "leave", "Back")]

    def __init__(self, question: str, value: str = "", complaint: Callable[[str], str] | None = None) -> None:
        super().__init__()
        self._question, self._value, self._complaint = question, value, complaint

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(safe_line(self._question, 400)), classes="question")
            yield Static(Content(""), classes="problem")
            yield Input(value=safe_line(self._value), select_on_focus=False, highlighter=None)

    def _wrong(self, text: str) -> str:
        return self._complaint(text) if self._complaint is not None else ""

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one(".problem", Static).update(Content(safe_line(self._wrong(event.value), 300)))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if not self._wrong(event.value):
            self.dismiss(event.value)

    def action_leave(self) -> None:
        """Leave without an answer."""
        self.dismiss(None)


class Confirm(ModalScreen[bool]):
    """A question with its consequences; only `y` means yes."""

    CSS = _CSS.format(name="Confirm")
    BINDINGS: ClassVar[list[BindingType]] = [("y", "yes", "Yes"), ("n,escape,q", "no", "No")]

    def __init__(self, question: str, details: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._question, self._details = question, details

    def compose(self) -> ComposeResult:
        lines = [Content.styled(safe_line(self._question, 400), "bold")]
        lines += [Content(safe_line(line, 200)) for line in self._details]
        lines.append(Content("y Yes   n No"))
        with Vertical():
            yield Static(Content("\n").join(lines))

    def action_yes(self) -> None:
        """Yes."""
        self.dismiss(True)

    def action_no(self) -> None:
        """No."""
        self.dismiss(False)
