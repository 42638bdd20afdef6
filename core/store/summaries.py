"""One row per run and metric (last, least, greatest, how many), kept while lines come in: lists never read points.

Least and greatest ignore numbers that are not finite; `nan_count` counts those. Among equal values the first step wins.
This module must not know events.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(slots=True)
class _Summary:
    last: float | None
    last_flag: int
    last_step: int
    minimum: float | None
    minimum_step: int | None
    maximum: float | None
    maximum_step: int | None
    count: int
    nan_count: int


class Summaries:
    """The summaries of one run in memory, written back by `flush`."""

    def __init__(self, connection: sqlite3.Connection, run_key: int) -> None:
        self._connection = connection
        self._run_key = run_key
        self._changed: set[int] = set()
        self._stale: set[int] = set()
        self._by_key: dict[int, _Summary] = {}
        self._load()

    def _load(self) -> None:
        rows = self._connection.execute(
            """SELECT key_id, last, last_flag, last_step, minimum, minimum_step, maximum, maximum_step, count, nan_count
               FROM summaries WHERE run_key = ?""",
            (self._run_key,),
        )
        self._by_key = {row[0]: _Summary(*row[1:]) for row in rows}

    def add(self, key_id: int, step: int, value: float | None, flag: int) -> None:
        """Take in one point; `value` is None where `flag` says that it is not finite."""
        self._changed.add(key_id)
        known = self._by_key.get(key_id)
        if known is None:
            at = None if flag else step
            self._by_key[key_id] = _Summary(value, flag, step, value, at, value, at, 1, 1 if flag else 0)
            return
        if step <= known.last_step:  # an earlier point was written over: only the points themselves can tell
            self._stale.add(key_id)
            return
        known.last, known.last_flag, known.last_step = value, flag, step
        known.count += 1
        if flag or value is None:
            known.nan_count += 1
            return
        if known.minimum is None or value < known.minimum:
            known.minimum, known.minimum_step = value, step
        if known.maximum is None or value > known.maximum:
            known.maximum, known.maximum_step = value, step

    def flush(self) -> None:
        """Write what changed; the points must have been written before."""
        fresh = [key_id for key_id in self._changed if key_id not in self._stale]
        self._connection.executemany(
            """INSERT INTO summaries (run_key, key_id, last, last_flag, last_step, minimum, minimum_step, maximum,
                                      maximum_step, count, nan_count) VALUES (?,?,?,?,?,?,?,?,?,?,?)
               ON CONFLICT (run_key, key_id) DO UPDATE SET last = excluded.last, last_flag = excluded.last_flag,
               last_step = excluded.last_step, minimum = excluded.minimum, minimum_step = excluded.minimum_step,
               maximum = excluded.maximum, maximum_step = excluded.maximum_step, count = excluded.count,
               nan_count = excluded.nan_count""",
            [(self._run_key, key_id, *self._row(key_id)) for key_id in fresh],
        )
        if self._stale:
            for key_id in self._stale:
                recompute(self._connection, self._run_key, key_id)
            self._load()
        self._changed.clear()
        self._stale.clear()

    def _row(self, key_id: int) -> tuple[float | int | None, ...]:
        known = self._by_key[key_id]
        return (
            known.last, known.last_flag, known.last_step, known.minimum, known.minimum_step, known.maximum,
            known.maximum_step, known.count, known.nan_count,
        )  # fmt: skip

    def recompute_all(self) -> None:
        """Read every summary of the run anew from its points, after points were deleted."""
        for key_id in list(self._by_key):
            recompute(self._connection, self._run_key, key_id)
        self._changed.clear()
        self._stale.clear()
        self._load()


def recompute(connection: sqlite3.Connection, run_key: int, key_id: int) -> None:
    """Write one summary from its points; it goes where no point is left."""
    connection.execute("DELETE FROM summaries WHERE run_key = ? AND key_id = ?", (run_key, key_id))
    connection.execute(
        """INSERT INTO summaries (run_key, key_id, last, last_flag, last_step, minimum, minimum_step, maximum,
                                  maximum_step, count, nan_count)
           SELECT :run, :key, last.value, last.flag, last.step,
                  found.least, (SELECT min(step) FROM points
                                WHERE run_key = :run AND key_id = :key AND value = found.least),
                  found.greatest, (SELECT min(step) FROM points
                                   WHERE run_key = :run AND key_id = :key AND value = found.greatest),
                  found.count, found.nan_count
           FROM (SELECT count(*) AS count, coalesce(sum(flag <> 0), 0) AS nan_count, min(value) AS least,
                        max(value) AS greatest FROM points WHERE run_key = :run AND key_id = :key) AS found,
                (SELECT step, value, flag FROM points WHERE run_key = :run AND key_id = :key
                 ORDER BY step DESC LIMIT 1) AS last""",
        {"run": run_key, "key": key_id},
    )
