"""How far every stream was read, in memory and in `ingested_streams`: written in the same transaction as the rows.

This module must not read line files.
"""

from __future__ import annotations

import sqlite3

from core.store.streams import Position

_SELECT = """SELECT run_id, stream, offset, last_seq, tail_bytes, tail_crc, damaged_lines, refused_lines
             FROM ingested_streams"""


class Positions:
    """Positions by (run id, stream); the journal's run id is empty."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str], Position] = {}
        self._are_all_known = False

    def load_all(self) -> None:
        """Read every position by one query, where every run is about to be looked at."""
        self._known = {(row[0], row[1]): _position(row) for row in self._connection.execute(_SELECT)}
        self._are_all_known = True

    def forget(self) -> None:
        """Read positions anew from now on: a transaction was rolled back, or rows were deleted."""
        self._known.clear()
        self._are_all_known = False

    def get(self, run_id: str, stream: str) -> Position:
        """Where the stream was left; its beginning where it was never read."""
        known = self._known.get((run_id, stream))
        if known is None:
            row = None
            if not self._are_all_known:
                row = self._connection.execute(
                    f"{_SELECT} WHERE run_id = ? AND stream = ?", (run_id, stream)
                ).fetchone()
            known = Position(run_id=run_id, stream=stream) if row is None else _position(row)
            self._known[run_id, stream] = known
        return known

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


def _position(row: tuple[str, str, int, int, int, int, int, int]) -> Position:
    return Position(
        run_id=row[0],
        stream=row[1],
        offset=row[2],
        last_seq=row[3],
        tail_bytes=row[4],
        tail_crc=row[5],
        damaged_lines=row[6],
        refused_lines=row[7],
    )
