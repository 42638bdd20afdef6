"""Where each run stands, folded from what people decided (the journal) and what the supervisor did (its moves).

Every change is compare-and-swap against `core.states`: a line that comes too late, or an illegal one, is refused and
counted, never applied in part. The fold must not depend on clocks, on the events of a worker, or on when it runs: a
rebuilt database ends in the same states and the same queue.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from core.events import (
    Cancelled,
    CheckpointPinned,
    CheckpointsCollected,
    CheckpointUnpinned,
    Event,
    Held,
    Job,
    Moved,
    Noted,
    QueueMoved,
    Record,
    Released,
    Removed,
    Renamed,
    RequestMade,
    Resumed,
    RunQueued,
    Tagged,
    Untagged,
)
from core.states import Outcome, State, is_legal, may_resume
from core.store.numbers import bound
from core.store.schema import FROM_EVENTS, FROM_MACHINE, FROM_PEOPLE

CANCELLABLE = frozenset({State.QUEUED, State.HELD, State.PAUSED})
JOURNALLED, MOVED = "journal", "supervisor"
EventType = TypeVar("EventType", bound=Event)


class Refused(Exception):
    """A line does not fit the run's state, or names a run that does not exist; nothing was changed."""


class StateFold:
    """Applies single lines inside the caller's transaction.

    `recipe_text` gives a run's recipe.yaml, None where it can't be read.
    """

    def __init__(self, connection: sqlite3.Connection, recipe_text: Callable[[str], str | None]) -> None:
        self._connection = connection
        self._recipe_text = recipe_text
        self._apply: dict[type[Event], Callable[[Record], None]] = {
            RunQueued: self._run_queued,
            Resumed: self._resumed,
            Held: self._held,
            Released: self._released,
            Cancelled: self._cancelled,
            QueueMoved: self._queue_moved,
            RequestMade: self._request_made,
            Renamed: self._renamed,
            Noted: self._noted,
            Tagged: self._tagged,
            Untagged: self._untagged,
            CheckpointPinned: self._pinned,
            CheckpointUnpinned: self._unpinned,
            CheckpointsCollected: self._collected,
            Removed: self._removed,
        }

    def apply_journal(self, record: Record) -> str:
        """Apply one journal line; returns the id of the run that it changed.

        Raises:
            Refused: it changes nothing.
        """
        event = record.event
        apply = None if event is None else self._apply.get(type(event))
        if event is None or apply is None:
            raise Refused("not a line of the journal")
        with self._whole_or_not():
            apply(record)
        return str(getattr(event, "run_id", ""))

    def apply_move(self, run_id: str, record: Record) -> None:
        """Apply one Moved line of a run's supervisor.jsonl.

        Raises:
            Refused: the run is not in the state that the move starts from, or the move is not legal.
        """
        with self._whole_or_not():
            self._apply_move(run_id, _as(record, Moved), record)

    def _apply_move(self, run_id: str, event: Moved, record: Record) -> None:
        from_state, to_state = State(event.from_state), State(event.to_state)
        outcome = None if event.outcome is None else Outcome(event.outcome)
        if (to_state is State.FINISHED) != (outcome is not None):
            raise Refused("an outcome belongs to finished runs alone")
        run_key, state, attempt = self._run_of_move(run_id, from_state, record)
        if state is not from_state or not is_legal(from_state, to_state):
            raise Refused(f"{run_id} is {state}, not {from_state}")
        self._move(run_key, state, to_state, record, MOVED, attempt=attempt, outcome=outcome, why=event.why)

    def import_run(self, job: Job) -> None:
        """Take in a run folder that this workspace's journal does not know; it waits as held, whatever it was.

        Raises:
            Refused: the run exists or was removed, or its job.json holds nonsense.
        """
        with self._whole_or_not():
            self._insert_run(job.queued, job.created_at, State.HELD, imported=True)

    @contextmanager
    def _whole_or_not(self) -> Iterator[None]:
        self._connection.execute("SAVEPOINT line")
        try:
            yield
        except (Refused, ValueError, TypeError, LookupError, sqlite3.IntegrityError) as error:
            self._connection.execute("ROLLBACK TO line")
            self._connection.execute("RELEASE line")
            raise error if isinstance(error, Refused) else Refused(str(error)) from error
        self._connection.execute("RELEASE line")

    # --- states

    def _run_of_move(self, run_id: str, from_state: State, record: Record) -> tuple[int, State, int]:
        run_key, state, outcome, attempt = self._run(run_id)
        (imported,) = self._connection.execute("SELECT imported FROM runs WHERE run_key = ?", (run_key,)).fetchone()
        if imported and from_state is State.QUEUED and (state is State.HELD or may_resume(state, outcome)):
            # queued, released or resumed in a journal that stayed behind on the other machine
            attempt = max(attempt, record.attempt)
            self._connection.execute(
                "UPDATE runs SET state = ?, outcome = NULL, attempt = ? WHERE run_key = ?",
                (State.QUEUED.value, attempt, run_key),
            )
            return run_key, State.QUEUED, attempt
        return run_key, state, attempt

    def _run(self, run_id: str) -> tuple[int, State, Outcome | None, int]:
        row = self._connection.execute(
            "SELECT run_key, state, outcome, attempt FROM runs WHERE run_id = ?", (run_id,)
        ).fetchone()
        if row is None:
            raise Refused(f"no run {run_id}")
        return int(row[0]), State(row[1]), None if row[2] is None else Outcome(row[2]), int(row[3])

    def _move(
        self,
        run_key: int,
        from_state: State | None,
        to_state: State,
        record: Record,
        source: str,
        *,
        attempt: int,
        outcome: Outcome | None = None,
        why: str = "",
    ) -> None:
        row = bound(to_state.value, outcome and outcome.value, attempt, why, run_key)
        self._connection.execute("UPDATE runs SET state = ?, outcome = ?, attempt = ?, why = ? WHERE run_key = ?", row)
        self._connection.execute(
            """INSERT INTO transitions
               (run_key, position, source, seq, at, from_state, to_state, outcome, attempt, why)
               SELECT :run, coalesce(max(position), 0) + 1, :source, :seq, :at, :before, :after, :outcome, :attempt,
                      :why
               FROM transitions WHERE run_key = :run""",
            {
                "run": run_key, "source": source, "seq": record.seq, "at": record.ts,
                "before": from_state and from_state.value, "after": row[0], "outcome": row[1], "attempt": attempt,
                "why": row[3],
            },
        )  # fmt: skip

    def _insert_run(self, queued: RunQueued, created_at: float, state: State, *, imported: bool) -> int:
        if self._connection.execute("SELECT 1 FROM removed_runs WHERE run_id = ?", (queued.run_id,)).fetchone():
            raise Refused(f"{queued.run_id} was removed")
        rank = None if imported else self._next_rank()
        cursor = self._connection.execute(
            """INSERT INTO runs (run_id, name, kind, recipe_sha256, method, objective, model, max_steps, resumed_from,
                                 device, created_at, imported, state, queue_rank)
               VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)""",
            bound(
                queued.run_id, queued.name, queued.kind, queued.recipe_sha256, queued.method, queued.objective,
                queued.model, queued.max_steps, queued.resumed_from, queued.device, created_at, imported, state.value,
                rank,
            ),
        )  # fmt: skip
        text = self._recipe_text(queued.run_id)
        if text is not None:
            self._connection.execute(
                "INSERT INTO recipes (sha256, text) VALUES (?, ?) ON CONFLICT (sha256) DO NOTHING",
                bound(queued.recipe_sha256, text),
            )
        return int(cursor.lastrowid or 0)

    def _run_queued(self, record: Record) -> None:
        event = _as(record, RunQueued)
        state = State.HELD if event.held else State.QUEUED
        run_key = self._insert_run(event, record.ts, state, imported=False)
        self._move(run_key, None, state, record, JOURNALLED, attempt=1)

    def _resumed(self, record: Record) -> None:
        event = _as(record, Resumed)
        run_key, state, outcome, attempt = self._run(event.run_id)
        if not may_resume(state, outcome) or event.attempt != attempt + 1:
            raise Refused(f"{event.run_id} is {state}")
        rank = self._first_rank() if state is State.PAUSED else self._next_rank()
        self._connection.execute("UPDATE runs SET queue_rank = ? WHERE run_key = ?", (rank, run_key))
        self._move(run_key, state, State.QUEUED, record, JOURNALLED, attempt=event.attempt)

    def _held(self, record: Record) -> None:
        self._swap(_as(record, Held).run_id, {State.QUEUED}, State.HELD, record)

    def _released(self, record: Record) -> None:
        run_key = self._swap(_as(record, Released).run_id, {State.HELD}, State.QUEUED, record)
        self._connection.execute(
            "UPDATE runs SET queue_rank = ? WHERE run_key = ? AND queue_rank IS NULL", (self._next_rank(), run_key)
        )

    def _cancelled(self, record: Record) -> None:
        event = _as(record, Cancelled)
        self._swap(event.run_id, CANCELLABLE, State.FINISHED, record, outcome=Outcome.STOPPED, why="cancelled")

    def _swap(
        self,
        run_id: str,
        expected: set[State] | frozenset[State],
        to_state: State,
        record: Record,
        outcome: Outcome | None = None,
        why: str = "",
    ) -> int:
        run_key, state, _, attempt = self._run(run_id)
        if state not in expected:
            raise Refused(f"{run_id} is {state}")
        self._move(run_key, state, to_state, record, JOURNALLED, attempt=attempt, outcome=outcome, why=why)
        return run_key

    # --- queue order: only journal lines change ranks, so that the order does not depend on when moves were made

    def _next_rank(self) -> int:
        return int(self._connection.execute("SELECT coalesce(max(queue_rank), 0) + 1 FROM runs").fetchone()[0])

    def _first_rank(self) -> int:
        return int(self._connection.execute("SELECT coalesce(min(queue_rank), 0) - 1 FROM runs").fetchone()[0])

    def _queue_moved(self, record: Record) -> None:
        """Waiting runs swap the ranks they have among themselves: nobody else's place changes."""
        event = _as(record, QueueMoved)
        rows = self._connection.execute(
            "SELECT run_id, queue_rank FROM runs WHERE state IN ('queued', 'held') AND queue_rank IS NOT NULL"
            " ORDER BY queue_rank"
        ).fetchall()
        order = [row[0] for row in rows]
        if event.run_id not in order or (event.before is not None and event.before not in order):
            raise Refused("not in the queue")
        if event.run_id == event.before:
            return
        order.remove(event.run_id)
        order.insert(len(order) if event.before is None else order.index(event.before), event.run_id)
        self._connection.executemany(
            "UPDATE runs SET queue_rank = ? WHERE run_id = ?",
            [(row[1], run_id) for row, run_id in zip(rows, order, strict=True)],
        )

    # --- what people say about a run

    def _request_made(self, record: Record) -> None:
        event = _as(record, RequestMade)
        run_key = self._run(event.run_id)[0]
        arguments = json.dumps(event.arguments, sort_keys=True, allow_nan=False)
        self._connection.execute(
            """INSERT INTO requests (request_id, run_key, seq, at, action, arguments) VALUES (?,?,?,?,?,?)
               ON CONFLICT (request_id) DO NOTHING""",
            bound(event.request_id, run_key, record.seq, record.ts, event.action, arguments),
        )

    def _renamed(self, record: Record) -> None:
        event = _as(record, Renamed)
        run_key = self._run(event.run_id)[0]
        self._connection.execute("UPDATE runs SET name = ? WHERE run_key = ?", bound(event.name, run_key))

    def _noted(self, record: Record) -> None:
        event = _as(record, Noted)
        run_key = self._run(event.run_id)[0]
        self._connection.execute("UPDATE runs SET note = ? WHERE run_key = ?", bound(event.text, run_key))

    def _tagged(self, record: Record) -> None:
        event = _as(record, Tagged)
        run_key = self._run(event.run_id)[0]
        self._connection.execute(
            "INSERT INTO tags (run_key, tag) VALUES (?, ?) ON CONFLICT (run_key, tag) DO NOTHING",
            bound(run_key, event.tag),
        )

    def _untagged(self, record: Record) -> None:
        event = _as(record, Untagged)
        run_key = self._run(event.run_id)[0]
        self._connection.execute("DELETE FROM tags WHERE run_key = ? AND tag = ?", bound(run_key, event.tag))

    def _pinned(self, record: Record) -> None:
        event = _as(record, CheckpointPinned)
        run_key = self._run(event.run_id)[0]
        self._connection.execute(
            "INSERT INTO pinned_checkpoints (run_key, step) VALUES (?, ?) ON CONFLICT (run_key, step) DO NOTHING",
            bound(run_key, event.step),
        )

    def _unpinned(self, record: Record) -> None:
        event = _as(record, CheckpointUnpinned)
        run_key = self._run(event.run_id)[0]
        self._connection.execute(
            "DELETE FROM pinned_checkpoints WHERE run_key = ? AND step = ?", bound(run_key, event.step)
        )

    def _collected(self, record: Record) -> None:
        """The run's attempt is kept with it: a checkpoint that a later attempt saves at that step is a new one."""
        event = _as(record, CheckpointsCollected)
        run_key, _, _, attempt = self._run(event.run_id)
        self._connection.executemany(
            """INSERT INTO collected_checkpoints (run_key, step, attempt, at) VALUES (?,?,?,?)
               ON CONFLICT (run_key, step) DO UPDATE SET attempt = excluded.attempt, at = excluded.at""",
            [bound(run_key, step, attempt, record.ts) for step in event.steps],
        )

    def _removed(self, record: Record) -> None:
        event = _as(record, Removed)
        self._run(event.run_id)
        remove_run(self._connection, event.run_id)
        self._connection.execute(
            "INSERT INTO removed_runs (run_id, at, bytes) VALUES (?,?,?) ON CONFLICT (run_id) DO NOTHING",
            bound(event.run_id, record.ts, event.bytes),
        )


def remove_run(connection: sqlite3.Connection, run_id: str) -> None:
    """Delete every row that came from a run's lines, and recipes that no run uses any more."""
    row = connection.execute("SELECT run_key, recipe_sha256 FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        return
    for table in (*FROM_EVENTS, *FROM_MACHINE, *FROM_PEOPLE, "runs"):
        connection.execute(f"DELETE FROM {table} WHERE run_key = ?", (row[0],))
    connection.execute("DELETE FROM ingested_streams WHERE run_id = ?", (run_id,))
    connection.execute(
        "DELETE FROM recipes WHERE sha256 = ? AND NOT EXISTS (SELECT 1 FROM runs WHERE recipe_sha256 = ?)",
        (row[1], row[1]),
    )


def _as(record: Record, kind: type[EventType]) -> EventType:
    if not isinstance(record.event, kind):
        raise Refused("not the expected event")
    return record.event
