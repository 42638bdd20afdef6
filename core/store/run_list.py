"""Queries over the list of runs: pages, the queue, one run, finding what a person typed. It must not read points."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from core.states import Outcome, State
from core.store.numbers import from_flag, unpack
from core.store.rows import RunRow

_SELECT = """
SELECT runs.run_id, runs.name, runs.kind, runs.state, runs.outcome, runs.attempt, runs.method, runs.objective,
       runs.model, progress.step, coalesce(progress.max_steps, runs.max_steps), loss.last, loss.last_flag,
       evaluated.last, evaluated.last_flag, progress.best_step, progress.best_metric, progress.best_value,
       runs.created_at, runs.queue_rank, runs.resumed_from, worker_ends.message, runs.why, worker_ends.advice,
       progress.phase, runs.device, runs.note, runs.recipe_sha256, runs.imported,
       (SELECT json_group_array(tag) FROM tags WHERE tags.run_key = runs.run_key)
FROM runs
LEFT JOIN progress ON progress.run_key = runs.run_key
LEFT JOIN worker_ends ON worker_ends.run_key = runs.run_key AND worker_ends.attempt = runs.attempt
LEFT JOIN summaries AS loss ON loss.run_key = runs.run_key
     AND loss.key_id = (SELECT key_id FROM metric_keys WHERE name = 'loss')
LEFT JOIN summaries AS evaluated ON evaluated.run_key = runs.run_key AND evaluated.key_id = progress.validation_key
"""
_WAITING = (State.QUEUED, State.HELD)


def read_runs(
    connection: sqlite3.Connection,
    kind: str | None,
    limit: int | None,
    before: RunRow | None,
    states: Sequence[str] | None,
) -> tuple[RunRow, ...]:
    """A page of runs, newest first; by key, so that page 1,000 costs what page 1 does."""
    where: list[str] = []
    parameters: list[str | int | float] = []
    if kind is not None:
        where.append("runs.kind = ?")
        parameters.append(kind)
    if before is not None:
        where.append("(runs.created_at, runs.run_id) < (?, ?)")
        parameters += [before.created_at, before.run_id]
    if states is not None:
        where.append(f"runs.state IN ({','.join('?' * len(states))})")
        parameters += [str(state) for state in states]
    condition = f"WHERE {' AND '.join(where)}" if where else ""
    parameters.append(-1 if limit is None else limit)
    return _rows(
        connection.execute(f"{_SELECT} {condition} ORDER BY runs.created_at DESC, runs.run_id DESC LIMIT ?", parameters)
    )


def read_run(connection: sqlite3.Connection, run_id: str) -> RunRow | None:
    """One run; None where there is none."""
    rows = _rows(connection.execute(f"{_SELECT} WHERE runs.run_id = ?", (run_id,)))
    return rows[0] if rows else None


def read_runs_by_key(connection: sqlite3.Connection, run_keys: Sequence[int]) -> dict[int, RunRow]:
    """Runs by their numbers (`run_key`), as many of them as there are still."""
    marks = ",".join("?" * len(run_keys))
    sql = _SELECT.replace("SELECT ", "SELECT runs.run_key, ", 1) + f" WHERE runs.run_key IN ({marks})"
    return {row[0]: _row(*row[1:]) for row in connection.execute(sql, list(run_keys))}


def read_queue(connection: sqlite3.Connection, with_held: bool) -> tuple[RunRow, ...]:
    """Waiting runs in start order."""
    states = "('queued', 'held')" if with_held else "('queued')"
    return _rows(
        connection.execute(
            f"{_SELECT} WHERE runs.state IN {states}"
            " ORDER BY runs.queue_rank IS NULL, runs.queue_rank, runs.created_at, runs.run_id"
        )
    )


def read_run_key(connection: sqlite3.Connection, run_id: str) -> int | None:
    """The number of a run in the wide tables."""
    row = connection.execute("SELECT run_key FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return None if row is None else int(row[0])


def find_runs(connection: sqlite3.Connection, prefix: str) -> list[tuple[str, str]]:
    """(id, name) of the runs that `prefix` may mean: one where it is an id, else by prefix of the id or by name."""
    query = "SELECT run_id, name FROM runs WHERE "
    exact = connection.execute(query + "run_id = ?", (prefix,)).fetchall()
    if exact or not prefix:
        return exact
    found = connection.execute(
        query + "(run_id >= ? AND run_id < ?) OR name = ? ORDER BY run_id LIMIT 6",
        (prefix, prefix + "\U0010ffff", prefix),
    )
    return found.fetchall()


def read_removed(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Ids of removed runs."""
    return tuple(row[0] for row in connection.execute("SELECT run_id FROM removed_runs ORDER BY run_id"))


def _rows(found: Iterable[tuple]) -> tuple[RunRow, ...]:  # type: ignore[type-arg]  # what sqlite3 hands out
    return tuple(_row(*values) for values in found)


def _row(
    run_id: str,
    name: str,
    kind: str,
    state: str,
    outcome: str | None,
    attempt: int,
    method: str | None,
    objective: str | None,
    model: str | None,
    step: int | None,
    max_steps: int | None,
    loss: float | None,
    loss_flag: int | None,
    eval_loss: float | None,
    eval_loss_flag: int | None,
    best_step: int | None,
    best_metric: str | None,
    best_value: float | None,
    created_at: float,
    queue_rank: int | None,
    resumed_from: str | None,
    message: str | None,
    why: str,
    advice: str | None,
    phase: str | None,
    device: str,
    note: str,
    recipe_sha256: str,
    imported: int,
    tags: str,
) -> RunRow:
    stands = State(state)
    return RunRow(
        run_id=run_id,
        name=name,
        kind=kind,
        state=stands,
        outcome=None if outcome is None else Outcome(outcome),
        attempt=attempt,
        method=method,
        objective=objective,
        model=model,
        step=step,
        max_steps=max_steps,
        loss=None if loss_flag is None else from_flag(loss, loss_flag),
        eval_loss=None if eval_loss_flag is None else from_flag(eval_loss, eval_loss_flag),
        best_step=best_step,
        best_metric=best_metric,
        best_value=unpack(best_value),
        created_at=created_at,
        queue_rank=queue_rank if stands in _WAITING else None,
        resumed_from=resumed_from,
        message=message or (why if stands is State.FINISHED else ""),
        advice=() if advice is None or advice == "[]" else tuple(json.loads(advice)),
        phase=phase,
        device=device,
        note=note,
        tags=() if tags == "[]" else tuple(sorted(json.loads(tags))),
        recipe_sha256=recipe_sha256,
        imported=bool(imported),
    )
