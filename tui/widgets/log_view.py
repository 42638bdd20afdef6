"""A growing log of which only the visible lines are drawn; it follows the end until the person scrolls away.

Texts must be harmless already. It keeps the last lines only: the file holds all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from tui.format import fit
from tui.widgets.tones import ToneStyles

KEPT_LINES = 5000
Entry = tuple[str, str]
"""Text and tone (dim, good, bad, warn, or empty)."""


class LogView(Widget):
    """Lines from the oldest kept to the newest."""

    DEFAULT_CSS = "LogView { height: 1fr; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._entries: deque[Entry] = deque(maxlen=KEPT_LINES)
        self._top: int | None = None
        self._styles = ToneStyles(self)

    def notify_style_update(self) -> None:
        self._styles.clear()
        super().notify_style_update()

    @property
    def follows(self) -> bool:
        """Whether the newest line is in view."""
        return self._top is None

    @property
    def text(self) -> str:
        """All kept lines."""
        return "\n".join(text for text, _ in self._entries)

    def write(self, entries: Iterable[Entry]) -> None:
        """Add lines at the end."""
        added = list(entries)
        if not added:
            return
        lost = max(0, len(self._entries) + len(added) - KEPT_LINES)
        self._entries.extend(added)
        if self._top is not None:
            self._top = max(0, self._top - lost)
        if self._top is None or lost:
            self.refresh()

    def replace(self, entries: Iterable[Entry]) -> None:
        """Show these lines instead."""
        self._entries.clear()
        self._top = None
        self._entries.extend(entries)
        self.refresh()

    def move(self, lines: int) -> None:
        """Scroll by so many lines, negative towards the beginning; at the end it follows again."""
        last_top = max(0, len(self._entries) - self.size.height)
        top = max(0, (last_top if self._top is None else self._top) + lines)
        self._top = None if top >= last_top else top
        self.refresh()

    def on_mouse_scroll_up(self) -> None:
        self.move(-3)

    def on_mouse_scroll_down(self) -> None:
        self.move(3)

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        top = max(0, len(self._entries) - height) if self._top is None else self._top
        if top + y >= len(self._entries):
            return Strip.blank(width, self._styles[""])
        text, tone = self._entries[top + y]
        return Strip([Segment(fit(text, width), self._styles[tone])], width)
