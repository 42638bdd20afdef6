"""What every full screen of the app has: a header with the modes, a footer with its keys, actions that say why not.

A page lists the ids of its actions (`OFFERS`), those for the footer (`FOOTER`, at most six), implements `action_<id>`
and answers `why_not(id)`. Keys, help and palette follow from that. It must not read the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widget import Widget

from core.text import display_width, safe_line
from tui.actions import ACTIONS, Action, shown_key
from tui.format import ascii_only, glyphs
from tui.widgets.bar import Bar, Part

if TYPE_CHECKING:
    from tui.app import FinetuiApp

MODES = ("show_runs", "show_recipes", "show_queue")
EVERYWHERE = (*MODES, "help", "palette", "back", "quit_or_back", "jump", "next_theme", "copy")
LIST = ("cursor_down", "cursor_up", "page_down", "page_up", "first_row", "last_row")
FOOTER_KEYS = 6
FLASH_SECONDS = 6.0


def bindings_of(ids: tuple[str, ...]) -> list[Binding]:
    """Bindings of actions, each with its id, so that a keymap can move it."""
    return [Binding(ACTIONS[id_].key, f"do('{id_}')", ACTIONS[id_].title, show=False, id=id_) for id_ in ids]


class Page(Screen[None]):
    """A screen with header and footer."""

    OFFERS: ClassVar[tuple[str, ...]] = ()
    FOOTER: ClassVar[tuple[str, ...]] = ()
    MODE: ClassVar[str] = ""
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 -- Screen declares it without ClassVar
        (0, "-tiny-width"),
        (60, "-narrow"),
        (100, "-middle"),
        (160, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-tiny-height"), (16, "-short"), (30, "-tall")]  # noqa: RUF012 -- as above
    DEFAULT_CSS = """
    Page { layout: vertical; background: $background; color: $foreground; }
    Page #header { background: $panel; }
    Page #footer { background: $panel; }
    Page.-tiny-width #header, Page.-tiny-height #header { display: none; }
    Page:ansi #header, Page:ansi #footer { background: ansi_default; }
    """

    def __init_subclass__(cls, **options: Any) -> None:
        ids = tuple(dict.fromkeys((*cls.OFFERS, *EVERYWHERE)))
        cls.BINDINGS = list(bindings_of(ids))
        super().__init_subclass__(**options)

    @property
    def shell(self) -> FinetuiApp:
        """The app, as the type it is."""
        return cast("FinetuiApp", self.app)

    # --- what a page says of itself

    def why_not(self, action_id: str) -> str | None:
        """Why an action can't be done now; None where it can."""
        return self.shell.why_not(action_id)

    def actions(self) -> Iterator[Action]:
        """All actions that this page offers, its own first."""
        for id_ in dict.fromkeys((*self.OFFERS, *EVERYWHERE)):
            yield ACTIONS[id_]

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        yield from self.body()
        yield Bar(id="footer")

    def body(self) -> Iterator[Widget]:
        """What stands between header and footer."""
        yield from ()

    # --- header and footer

    def __init__(self) -> None:
        super().__init__()
        self._flashed = False
        self._flash_line = ""

    def on_mount(self) -> None:
        """Runs after a page's own; Textual calls both."""
        self.show_header()
        self.show_footer()

    def on_resize(self) -> None:
        """The footer shows as many keys as there is room for."""
        if self.is_mounted:
            self.call_after_refresh(self.show_footer)

    def show_header(self) -> None:
        """The app, the workspace, the modes."""
        folder = safe_line(self.shell.workspace.root.name or "/", 30)
        left: list[Part] = [("finetui", "bold", None), (f" {glyphs().dot} {folder}  ", "dim", None)]
        for id_ in MODES:
            action = ACTIONS[id_]
            tone = "here" if id_ == self.MODE else ""
            left.append((f" {self.key_of(action)} {action.title} ", tone, id_))
        self.query_one("#header", Bar).show(left, self.header_right())

    def header_right(self) -> list[Part]:
        """What stands at the header's right edge."""
        return []

    def key_of(self, action: Action) -> str:
        """The key that an action has for this person, as it is written."""
        return shown_key(self.shell.key_of(action), ascii_only=ascii_only())

    def key_of_id(self, action_id: str) -> str:
        """The key of an action by its id."""
        return self.shell.key_of(ACTIONS[action_id])

    def footer_ids(self) -> tuple[str, ...]:
        """The actions of the footer now."""
        return self.FOOTER

    def show_footer(self) -> None:
        """The keys of this page; greyed where they can't do anything now."""
        if self._flashed:
            return
        ids = [*self.footer_ids()[:FOOTER_KEYS], "help"]
        parts = self._footer_parts(ids)
        while len(ids) > 1 and sum(display_width(text) for text, _, _ in parts) - 2 > self.size.width:
            del ids[-2]  # `? Keys` leads to all that has no room
            parts = self._footer_parts(ids)
        self.query_one("#footer", Bar).show(parts)

    def _footer_parts(self, ids: list[str]) -> list[Part]:
        parts: list[Part] = []
        for id_ in ids:
            action = ACTIONS[id_]
            possible = self.why_not(id_) is None
            parts.append((f"{self.key_of(action)}", "key" if possible else "dim", id_))
            parts.append((f" {action.title}  ", "" if possible else "dim", id_))
        return parts

    def flash(self, message: str, level: str = "info") -> None:
        """One line in place of the footer for a few seconds."""
        tone = {"info": "bold", "warning": "warn", "error": "bad"}.get(level, "bold")
        self._flashed = True
        self.query_one("#footer", Bar).show([(safe_line(message, 500), tone, None)])
        self.set_timer(FLASH_SECONDS, lambda line=message: self._end_flash(line))
        self._flash_line = message

    def _end_flash(self, line: str) -> None:
        if line == self._flash_line:
            self._flashed = False
            self.show_footer()

    # --- doing

    async def action_do(self, action_id: str) -> None:
        """Do an action, or say why it can't be done."""
        reason = self.why_not(action_id)
        if reason is not None:
            self.flash(f"{ACTIONS[action_id].title}: {reason}", "warning")
            return
        if self._flashed:
            self._flashed = False
            self.show_footer()
        method = getattr(self, f"action_{action_id}", None) or getattr(self.shell, f"action_{action_id}")
        outcome = method()
        if isawaitable(outcome):
            await outcome

    async def on_bar_chosen(self, event: Bar.Chosen) -> None:
        """A part of a bar was clicked."""
        event.stop()
        await self.choose(event.action)

    async def choose(self, name: str) -> None:
        """Do what a part of a bar stands for: an action, unless the page gives it another meaning."""
        await self.action_do(name)

    def action_back(self) -> None:
        """One layer out; the lowest page of a mode has none."""
        if len(self.app.screen_stack) > 1:
            self.app.pop_screen()

    def copy_text(self) -> str | None:
        """What `y` copies here; None where there is nothing."""
        return None
