"""How far every stream was read, in memory and in `ingested_streams`: written in the same transaction as the rows.

This module must not read line files.
"""

from __future__ import annotations

import sqlite3

from core.store.streams import Position


class Positions:
    """Positions by (run id, stream); the journal's run id is empty."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str], Position] = {}
        self.reload()

    def reload(self) -> None:
        """Read all positions from the database, after a transaction was rolled back or rows were deleted."""
        rows = self._connection.execute(
            """SELECT run_id, stream, offset, last_seq, tail_bytes, tail_crc, damaged_lines, refused_lines
               FROM ingested_streams"""
        )
        self._known = {
            (row[0], row[1]): Position(
                run_id=row[0], stream=row[1], offset=row[2], last_seq=row[3], tail_bytes=row[4], tail_crc=row[5],
                damaged_lines=row[6], refused_lines=row[7],
            )
            for row in rows
        }  # fmt: skip

    def get(self, run_id: str, stream: str) -> Position:
        """Where the stream was left; its beginning where it was never read."""
        return self._known.get((run_id, stream)) or Position(run_id=run_id, stream=stream)

    def put(self, position: Position) -> None:
        """Write a position inside the caller's transaction."""
        self._connection.execute(
            """INSERT INTO ingested_streams
               (run_id, stream, offset, last_seq, tail_bytes, tail_crc, damaged_lines, refused_lines)
               VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (run_id, stream) DO UPDATE SET offset = excluded.offset,
               last_seq = excluded.last_seq, tail_bytes = excluded.tail_bytes, tail_crc = excluded.tail_crc,
               damaged_lines = excluded.damaged_lines, refused_lines = excluded.refused_lines""",
            (
                position.run_id, position.stream, position.offset, position.last_seq, position.tail_bytes,
                position.tail_crc, position.damaged_lines, position.refused_lines,
            ),
        )  # fmt: skip
        self._known[position.run_id, position.stream] = position

    def drop(self, run_id: str) -> None:
        """Forget a run's positions; the rows were deleted with the run."""
        for key in [key for key in self._known if key[0] == run_id]:
            del self._known[key]

    def damaged_lines(self) -> int:
        """Damaged lines over all streams, ever."""
        return sum(position.damaged_lines for position in self._known.values())
