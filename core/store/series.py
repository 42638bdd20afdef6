"""Curves: one metric of one run as two lists. It must not reduce, smooth or draw; the standard library only."""

from __future__ import annotations

import sqlite3

from core.store.numbers import from_flag
from core.store.rows import Axis, Series, SummaryRow


def read_series(connection: sqlite3.Connection, run_key: int, key: str, after_step: int = -1) -> Series:
    """All points of one metric behind `after_step` by step; empty where the run has none."""
    row = connection.execute(
        """SELECT key_id, nan_count FROM metric_keys JOIN summaries USING (key_id) WHERE name = ? AND run_key = ?""",
        (key, run_key),
    ).fetchone()
    if row is None:
        return Series(key, [], [])
    key_id, nan_count = row
    where = "WHERE run_key = ? AND key_id = ? AND step > ?"
    parameters = (run_key, key_id, after_step)
    points = connection.execute(f"SELECT step, value FROM points {where} ORDER BY step", parameters).fetchall()
    steps = [point[0] for point in points]
    values = [point[1] for point in points]
    if nan_count:
        flagged = connection.execute(f"SELECT step, flag FROM points {where} AND flag <> 0", parameters)
        flags: dict[int, int] = dict(flagged)
        values = [
            from_flag(value, flags.get(step, 0)) if value is None else value
            for step, value in zip(steps, values, strict=True)
        ]
    return Series(key, steps, values)


def read_axis(connection: sqlite3.Connection, run_key: int, after_step: int = -1) -> Axis:
    """Time, epoch and tokens of every logged step behind `after_step`."""
    rows = connection.execute(
        """SELECT step, at, epoch, tokens, elapsed_seconds FROM axes WHERE run_key = ? AND step > ? ORDER BY step""",
        (run_key, after_step),
    ).fetchall()
    return Axis(
        steps=[row[0] for row in rows],
        at=[row[1] for row in rows],
        epochs=[None if row[2] is None else float(row[2]) for row in rows],
        tokens=[row[3] for row in rows],
        elapsed_seconds=[None if row[4] is None else float(row[4]) for row in rows],
    )


def read_summaries(connection: sqlite3.Connection, run_key: int) -> tuple[SummaryRow, ...]:
    """All metrics of a run with their last, least and greatest values, by name."""
    rows = connection.execute(
        """SELECT name, last, last_flag, last_step, minimum, minimum_step, maximum, maximum_step, count, nan_count
           FROM summaries JOIN metric_keys USING (key_id) WHERE run_key = ? ORDER BY name""",
        (run_key,),
    )
    return tuple(
        SummaryRow(
            key=row[0], last=from_flag(row[1], row[2]), last_step=row[3], minimum=row[4], minimum_step=row[5],
            maximum=row[6], maximum_step=row[7], count=row[8], nan_count=row[9],
        )
        for row in rows
    )  # fmt: skip
