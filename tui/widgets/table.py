"""A table that holds only what is near the screen: any number of rows at the price of a screenful.

Rows come in pages from whoever owns the table; it asks by a message and draws dots until they are there. The cursor
stands on a row's key, so that a new order or a fresh page does not move it to another row. It must not read anything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.format import glyphs

PAGE_ROWS = 64
_KEPT_PAGES = 16

Row = TypeVar("Row")
Piece = tuple[str, str]
"""Text and tone."""


class VirtualTable(ScrollView, Generic[Row], can_focus=True, inherit_bindings=False):
    """`key_of` names a row, `draw` gives its pieces for a width (without cursor and mark)."""

    DEFAULT_CSS = """
    VirtualTable { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; overflow-x: hidden; }
    VirtualTable > .table--cursor { background: $cursor-background; text-style: bold; }
    VirtualTable > .table--dim { color: $quiet; }
    VirtualTable > .table--good { color: $success; }
    VirtualTable > .table--bad { color: $error; text-style: bold; }
    VirtualTable > .table--warn { color: $warning; }
    VirtualTable > .table--live { color: $primary; text-style: bold; }
    VirtualTable > .table--series { color: $series-0; }
    VirtualTable:ansi > .table--cursor { text-style: reverse; }
    VirtualTable:ansi > .table--dim { text-style: dim; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--cursor", "table--dim", "table--good", "table--bad", "table--warn", "table--live", "table--series",
    }  # fmt: skip

    class PageWanted(Message):
        """The rows from `start` are about to be shown and not here."""

        def __init__(self, table: VirtualTable[Row], start: int) -> None:
            super().__init__()
            self.table, self.start = table, start

    class CursorMoved(Message):
        """The cursor stands on another row; `key` is None while that row is not loaded."""

        def __init__(self, table: VirtualTable[Row], key: str | None) -> None:
            super().__init__()
            self.table, self.key = table, key

    class Opened(Message):
        """The row under the cursor was clicked again."""

    def __init__(
        self, key_of: Callable[[Row], str], draw: Callable[[Row, int], Sequence[Piece]], *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._key_of, self._draw = key_of, draw
        self._pages: OrderedDict[int, Sequence[Row]] = OrderedDict()
        self._fresh: set[int] = set()
        self._wanted: set[int] = set()
        self.count = 0
        self.cursor = 0
        self.cursor_key: str | None = None
        self.marked: set[str] = set()

    # --- rows

    def set_count(self, count: int, cursor: int | None = None) -> None:
        """There are so many rows now, and what is shown may be stale; `cursor` is where the row of the cursor went."""
        shrunk = count < self.count
        self.count = count
        self.virtual_size = Size(self.size.width, count)
        self._fresh.clear()
        self._wanted.clear()
        if shrunk:
            for start in [start for start in self._pages if start >= count]:
                del self._pages[start]
        self.cursor = max(0, min(self.cursor if cursor is None else cursor, count - 1))
        if cursor is not None:
            self._keep_in_view()
        if not count:
            self._pages.clear()
            self._say_key(None)
        self._ask_for_shown()
        if not count or shrunk:
            self.refresh()

    def put(self, start: int, rows: Sequence[Row]) -> None:
        """Rows from `start`; what differs from what is shown is drawn again."""
        page = start - start % PAGE_ROWS
        before = self._pages.get(page)
        self._pages[page] = rows
        self._pages.move_to_end(page)
        while len(self._pages) > _KEPT_PAGES:
            gone, _ = self._pages.popitem(last=False)
            self._fresh.discard(gone)
        self._fresh.add(page)
        self._wanted.discard(page)
        if start + len(rows) > self.count:  # the first screenful, before all rows are counted
            self.count = start + len(rows)
            self.virtual_size = Size(self.size.width, self.count)
        self._follow(page, rows)
        top = self.scroll_offset.y
        for offset in range(self.size.height):
            index = top + offset - page
            if 0 <= index < PAGE_ROWS:
                was = before[index] if before is not None and index < len(before) else None
                now = rows[index] if index < len(rows) else None
                if was != now or now is None:
                    self._refresh_row(page + index)

    def _follow(self, page: int, rows: Sequence[Row]) -> None:
        if not page <= self.cursor < page + PAGE_ROWS:
            return
        here = self.row_at(self.cursor)
        if here is not None and (self.cursor_key is None or self._key_of(here) != self.cursor_key):
            self._say_key(self._key_of(here))

    def clear(self) -> None:
        """Forget all rows: another query begins."""
        self._pages.clear()
        self._fresh.clear()
        self._wanted.clear()
        self.cursor = 0
        self.cursor_key = None
        self.scroll_to(y=0, animate=False)
        self.refresh()

    def row_at(self, index: int) -> Row | None:
        """A row that is loaded."""
        page = self._pages.get(index - index % PAGE_ROWS)
        offset = index % PAGE_ROWS
        return page[offset] if page is not None and offset < len(page) and index < self.count else None

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self.row_at(self.cursor)

    # --- moving

    def move(self, index: int) -> None:
        """Put the cursor on another row."""
        wanted = max(0, min(index, self.count - 1))
        if wanted == self.cursor:
            return
        before, self.cursor = self.cursor, wanted
        self._refresh_row(before)
        self._refresh_row(wanted)
        self._keep_in_view()
        row = self.current
        self._say_key(None if row is None else self._key_of(row))

    def _say_key(self, key: str | None) -> None:
        if key != self.cursor_key or key is None:
            self.cursor_key = key
            self.post_message(self.CursorMoved(self, key))

    def _keep_in_view(self) -> None:
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif height and self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)

    def toggle_mark(self) -> None:
        """Mark the row under the cursor, or take its mark away, and go one down."""
        row = self.current
        if row is None:
            return
        self.marked ^= {self._key_of(row)}
        self._refresh_row(self.cursor)
        self.move(self.cursor + 1)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._ask_for_shown()

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, self.count)
        self._ask_for_shown()
        self._keep_in_view()

    def _ask_for_shown(self) -> None:
        top = self.scroll_offset.y
        last = min(self.count - 1, top + max(1, self.size.height))
        for page in range(top - top % PAGE_ROWS, last + 1, PAGE_ROWS):
            if page not in self._fresh and page not in self._wanted:
                self._wanted.add(page)
                self.post_message(self.PageWanted(self, page))

    # --- drawing

    def _refresh_row(self, index: int) -> None:
        y = index - self.scroll_offset.y
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        index = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        if index >= self.count:
            return Strip.blank(width, self.rich_style)
        row = self.row_at(index)
        here = index == self.cursor
        base = self.rich_style
        if here:
            base = base + self.get_component_rich_style("table--cursor", partial=True)
        sign = glyphs().cursor if here else " "
        if row is None:
            return Strip([Segment(f"{sign} {glyphs().ellipsis}", base)]).adjust_cell_length(width, base)
        mark = glyphs().mark if self._key_of(row) in self.marked else " "
        segments = [Segment(f"{sign}{mark}", base)]
        segments += [Segment(text, self._tone(tone, base)) for text, tone in self._draw(row, width - 2)]
        return Strip(segments).adjust_cell_length(width, base)

    def _tone(self, tone: str, base: Style) -> Style:
        if not tone:
            return base
        return base + self.get_component_rich_style(f"table--{tone}", partial=True)

    # --- mouse

    def on_click(self, event: Click) -> None:
        index = self.scroll_offset.y + event.y
        if index < self.count:
            if index == self.cursor:
                self.post_message(self.Opened())
            self.move(index)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.scroll_to(y=self.scroll_offset.y + 3, animate=False, immediate=True)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.scroll_to(y=self.scroll_offset.y - 3, animate=False, immediate=True)
