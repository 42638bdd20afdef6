"""The keys that move through a list, for pages whose main part is one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tui.widgets.table import VirtualTable


class ListMoves:
    """Moves the cursor of `table`."""

    table: VirtualTable[Any]

    def _move_by(self, rows: int) -> None:
        self.table.move(self.table.cursor + rows)

    def action_cursor_down(self) -> None:
        """One line down."""
        self._move_by(1)

    def action_cursor_up(self) -> None:
        """One line up."""
        self._move_by(-1)

    def action_page_down(self) -> None:
        """Half a page down."""
        self._move_by(max(1, self.table.size.height // 2))

    def action_page_up(self) -> None:
        """Half a page up."""
        self._move_by(-max(1, self.table.size.height // 2))

    def action_first_row(self) -> None:
        """The first line."""
        self.table.move(0)

    def action_last_row(self) -> None:
        """The last line."""
        self.table.move(self.table.count - 1)
