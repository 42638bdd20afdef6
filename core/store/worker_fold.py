"""What a worker says (events.jsonl) becomes curves, checkpoints, evaluations and answers of its run.

An event never moves a state. A new attempt that resumes at step S replaces what earlier ones said about later steps.
This module must not open files or decide when a transaction ends.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from math import isfinite
from operator import itemgetter
from typing import cast

from core.events import (
    Answered,
    BestChanged,
    CheckpointRemoved,
    CheckpointSaved,
    Evaluated,
    Event,
    ExamplesScored,
    Finished,
    HealthRaised,
    PhaseEntered,
    Planned,
    Record,
    RequestAnswered,
    Resolved,
    Started,
    StepLogged,
)
from core.paths import RUN_ID
from core.store.numbers import FINITE, bound, flag_of, pack_numbers
from core.store.summaries import Summaries

_KEY_AND_STEP = itemgetter(1, 2)
REPLACED_AFTER_RESUME = ("points", "axes", "best_changes", "answers")


class MetricKeys:
    """Numbers for metric names, shared by all runs of one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._ids: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        known = self._ids.get(name)
        return self._find(name) if known is None else known

    def _find(self, name: str) -> int:
        (text,) = bound(name)
        row = self._connection.execute("SELECT key_id FROM metric_keys WHERE name = ?", (text,)).fetchone()
        if row is None:
            cursor = self._connection.execute("INSERT INTO metric_keys (name) VALUES (?)", (text,))
            row = (cursor.lastrowid,)
        self._ids[name] = int(row[0])
        return self._ids[name]

    def forget(self) -> None:
        """Drop what is remembered, after a transaction that made keys was rolled back."""
        self._ids.clear()


class WorkerFold:
    """Applies the records of one run's events.jsonl; `flush` writes what was gathered."""

    def __init__(self, connection: sqlite3.Connection, run_key: int, run_id: str, keys: MetricKeys) -> None:
        self._connection = connection
        self._run_key = run_key
        self._run_id = run_id
        self._keys = keys
        self._summaries = Summaries(connection, run_key)
        self._points: list[tuple[int, int, int, float | None, int]] = []
        self._axes: list[tuple[int, int, float, float | None, int | None, float | None]] = []
        self.refused = 0
        connection.execute("INSERT INTO progress (run_key) VALUES (?) ON CONFLICT (run_key) DO NOTHING", (run_key,))
        self._apply: dict[type[Event], Callable[[Record], None]] = {
            StepLogged: self._step_logged,
            Started: self._started,
            Resolved: self._resolved,
            Planned: self._planned,
            PhaseEntered: self._phase_entered,
            Evaluated: self._evaluated,
            ExamplesScored: self._examples_scored,
            Answered: self._answered,
            CheckpointSaved: self._checkpoint_saved,
            CheckpointRemoved: self._checkpoint_removed,
            BestChanged: self._best_changed,
            HealthRaised: self._health_raised,
            RequestAnswered: self._request_answered,
            Finished: self._finished,
        }

    def apply(self, record: Record) -> None:
        """Apply one record; one that holds nonsense is refused and counted. Unknown (newer) events change nothing."""
        apply = None if record.event is None else self._apply.get(type(record.event))
        if apply is None:
            return
        try:
            apply(record)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, sqlite3.IntegrityError):
            self.refused += 1

    def flush(self) -> None:
        """Write gathered points; sorted by metric and step, as the table is: half the time of the logged order."""
        if self._points:
            self._points.sort(key=_KEY_AND_STEP)  # stable: of a step that was logged twice the later one stays
            self._connection.executemany(
                """INSERT INTO points (run_key, key_id, step, value, flag) VALUES (?,?,?,?,?)
                   ON CONFLICT (run_key, key_id, step) DO UPDATE SET value = excluded.value, flag = excluded.flag""",
                self._points,
            )
        if self._axes:
            self._connection.executemany(
                """INSERT INTO axes (run_key, step, at, epoch, tokens, elapsed_seconds) VALUES (?,?,?,?,?,?)
                   ON CONFLICT (run_key, step) DO UPDATE SET at = excluded.at, epoch = excluded.epoch,
                   tokens = excluded.tokens, elapsed_seconds = excluded.elapsed_seconds""",
                self._axes,
            )
            self._connection.execute(
                "UPDATE progress SET step = ? WHERE run_key = ?", (self._axes[-1][1], self._run_key)
            )
        self._summaries.flush()
        self._points.clear()
        self._axes.clear()

    # --- curves

    def _add(self, name: str, step: int, value: float) -> None:
        flag = FINITE if isfinite(value) else flag_of(value)
        kept = None if flag else value
        key_id = self._keys[name]
        self._points.append((self._run_key, key_id, step, kept, flag))
        self._summaries.add(key_id, step, kept, flag)

    def _step_logged(self, record: Record) -> None:
        event = cast(StepLogged, record.event)
        step = _step(event.step)
        epoch, tokens, elapsed = bound(event.epoch, event.tokens, event.elapsed_seconds)
        values = [(name, float(value)) for name, value in event.values.items()]
        for name, value in values:
            self._add(name, step, value)
        self._axes.append(
            cast(tuple[int, int, float, float, int, float], (self._run_key, step, record.ts, epoch, tokens, elapsed))
        )

    def _started(self, record: Record) -> None:
        event = cast(Started, record.event)
        row = bound(
            self._run_key, record.attempt, record.ts, event.pid, event.boot_id, event.start_ticks, event.device,
            event.resumed_from_step,
        )  # fmt: skip
        self._upsert(
            "worker_starts", "run_key, attempt, at, pid, boot_id, start_ticks, device, resumed_from_step", 2, row
        )
        if record.attempt > 1:
            self.flush()
            self._forget_after(-1 if event.resumed_from_step is None else event.resumed_from_step)

    def _forget_after(self, step: int) -> None:
        where = "WHERE run_key = ? AND step > ?"
        for table in REPLACED_AFTER_RESUME:
            self._connection.execute(f"DELETE FROM {table} {where}", (self._run_key, step))
        for table in ("evaluations", "examples"):
            self._connection.execute(f"DELETE FROM {table} {where} AND weights = 'memory'", (self._run_key, step))
        self._summaries.recompute_all()
        self._connection.execute(
            "UPDATE progress SET step = (SELECT max(step) FROM axes WHERE run_key = ?1) WHERE run_key = ?1",
            (self._run_key,),
        )
        self._set_best()

    def _upsert(self, table: str, columns: str, keys: int, row: tuple[str | int | float | None, ...]) -> None:
        names = columns.split(", ")
        updates = ", ".join(f"{name} = excluded.{name}" for name in names[keys:])
        self._connection.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({','.join('?' * len(names))})"
            f" ON CONFLICT ({', '.join(names[:keys])}) DO UPDATE SET {updates}",
            row,
        )

    # --- the plan

    def _resolved(self, record: Record) -> None:
        rows = [
            bound(self._run_key, position, choice.key, json.dumps(choice.value), choice.source, choice.reason)
            for position, choice in enumerate(cast(Resolved, record.event).choices)
        ]
        self._connection.execute("DELETE FROM choices WHERE run_key = ?", (self._run_key,))
        self._connection.executemany(
            "INSERT INTO choices (run_key, position, key, value, source, reason) VALUES (?,?,?,?,?,?)", rows
        )

    def _planned(self, record: Record) -> None:
        event = cast(Planned, record.event)
        row = bound(
            self._run_key, event.max_steps, event.num_train_epochs, json.dumps(event.rows, sort_keys=True),
            event.parameters_total, event.parameters_trained, event.tokens_per_epoch, event.tokens_trained_per_epoch,
        )  # fmt: skip
        self._upsert(
            "plans",
            "run_key, max_steps, num_train_epochs, rows, parameters_total, parameters_trained, tokens_per_epoch,"
            " tokens_trained_per_epoch",
            1,
            row,
        )
        self._set_progress("max_steps", event.max_steps)

    def _phase_entered(self, record: Record) -> None:
        self._set_progress("phase", cast(PhaseEntered, record.event).phase)

    def _set_progress(self, column: str, value: str | int | None) -> None:
        self._connection.execute(f"UPDATE progress SET {column} = ? WHERE run_key = ?", (*bound(value), self._run_key))

    # --- evaluations

    def _evaluated(self, record: Record) -> None:
        event = cast(Evaluated, record.event)
        step = _step(event.step)
        target, weights, at_step = self._target(event.checkpoint, step)
        metrics = {name: float(value) for name, value in event.metrics.items()}
        row = bound(
            self._run_key, target, weights, at_step, event.set_name, record.attempt, record.ts, event.role,
            pack_numbers(metrics), event.rows, event.seconds, event.set_sha256, event.checkpoint_sha256,
            event.generation,
        )  # fmt: skip
        self._upsert(
            "evaluations",
            "run_key, target_run_id, weights, step, set_name, attempt, at, role, metrics, rows, seconds, set_sha256,"
            " checkpoint_sha256, generation",
            5,
            row,
        )
        if weights != "memory":
            return
        for name, value in metrics.items():
            self._add(f"eval/{event.set_name}/{name}", step, value)
        if event.role == "validation" and "loss" in metrics:
            self._set_progress("validation_key", self._keys[f"eval/{event.set_name}/loss"])

    def _target(self, checkpoint: str | None, step: int) -> tuple[str, str, int]:
        """Which run's weights were evaluated: (run id, memory | checkpoint | base, step).

        Raises:
            ValueError: `checkpoint` is not RUN@STEP, RUN@base or base.
        """
        if checkpoint is None:
            return self._run_id, "memory", step
        run_id, _, at = checkpoint.rpartition("@")
        run_id = run_id or self._run_id
        if not RUN_ID.fullmatch(run_id):
            raise ValueError(f"{checkpoint} names no run")
        return (run_id, "base", 0) if at == "base" else (run_id, "checkpoint", _step(int(at)))

    def _examples_scored(self, record: Record) -> None:
        event = cast(ExamplesScored, record.event)
        target, weights, step = self._target(event.checkpoint, _step(event.step))
        rows = [
            bound(
                self._run_key,
                target,
                weights,
                step,
                event.set_name,
                event.metric,
                example.index,
                example.output,
                example.score,
                example.negative_log_likelihood,
                example.output_tokens,
            )
            for example in event.examples
        ]
        for row in rows:
            self._upsert(
                "examples",
                "run_key, target_run_id, weights, step, set_name, metric, example_index, output, score,"
                " negative_log_likelihood, output_tokens",
                7,
                row,
            )

    def _answered(self, record: Record) -> None:
        event = cast(Answered, record.event)
        row = bound(self._run_key, _step(event.step), event.prompt_index, event.prompt, event.answer, event.tokens)
        self._upsert("answers", "run_key, step, prompt_index, prompt, answer, tokens", 3, row)

    # --- checkpoints

    def _checkpoint_saved(self, record: Record) -> None:
        event = cast(CheckpointSaved, record.event)
        row = bound(
            self._run_key, _step(event.step), record.attempt, record.ts, event.folder, event.bytes,
            event.manifest_sha256, event.reason, event.seconds, None,
        )  # fmt: skip
        self._upsert(
            "checkpoints",
            "run_key, step, attempt, at, folder, bytes, manifest_sha256, reason, seconds, removed_because",
            2,
            row,
        )

    def _checkpoint_removed(self, record: Record) -> None:
        event = cast(CheckpointRemoved, record.event)
        self._connection.execute(
            "UPDATE checkpoints SET removed_because = ? WHERE run_key = ? AND step = ?",
            bound(event.reason, self._run_key, event.step),
        )

    def _best_changed(self, record: Record) -> None:
        event = cast(BestChanged, record.event)
        row = bound(self._run_key, record.seq, _step(event.step), event.metric, float(event.value))
        self._upsert("best_changes", "run_key, seq, step, metric, value", 2, row)
        self._set_best()

    def _set_best(self) -> None:
        self._connection.execute(
            """UPDATE progress SET (best_step, best_metric, best_value) =
               (SELECT step, metric, value FROM best_changes WHERE run_key = ?1 ORDER BY seq DESC LIMIT 1)
               WHERE run_key = ?1""",
            (self._run_key,),
        )

    # --- the rest

    def _health_raised(self, record: Record) -> None:
        event = cast(HealthRaised, record.event)
        row = bound(
            self._run_key, record.seq, record.attempt, record.ts, event.rule, event.level, event.message, event.step
        )
        self._upsert("health", "run_key, seq, attempt, at, rule, level, message, step", 2, row)

    def _request_answered(self, record: Record) -> None:
        event = cast(RequestAnswered, record.event)
        row = bound(self._run_key, event.request_id, record.ts, bool(event.ok), event.message, event.checkpoint_step)
        self._upsert("request_answers", "run_key, request_id, at, ok, message, checkpoint_step", 2, row)

    def _finished(self, record: Record) -> None:
        event = cast(Finished, record.event)
        row = bound(
            self._run_key, record.attempt, record.ts, event.outcome, event.message, event.step,
            json.dumps(list(event.advice)), pack_numbers(event.totals),
        )  # fmt: skip
        self._upsert("worker_ends", "run_key, attempt, at, outcome, message, step, advice, totals", 2, row)


def _step(value: int) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**62:
        raise ValueError(f"{value!r} is not a step")
    return value
