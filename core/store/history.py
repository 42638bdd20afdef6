"""Queries about one run: how it went, what it saved, measured and answered. Each opens one short read of its own."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import fields

from core.states import Outcome, State
from core.store.numbers import unpack, unpack_numbers
from core.store.rows import (
    AnswerRow,
    AttemptRow,
    CheckpointRow,
    ChoiceRow,
    DatasetVersionRow,
    EvaluationRow,
    ExampleRow,
    HealthRow,
    PlanRow,
    RequestRow,
    SampleRow,
    TransitionRow,
)

_READINGS = tuple(field.name for field in fields(SampleRow) if field.name not in ("at", "attempt"))
"""The columns of a hardware sample."""


def read_journal_seq(connection: sqlite3.Connection) -> int:
    """The last journal line that was taken in."""
    row = connection.execute("SELECT last_seq FROM ingested_streams WHERE run_id = '' AND stream = 'journal'")
    found = row.fetchone()
    return 0 if found is None else int(found[0])


def read_damaged_lines(connection: sqlite3.Connection) -> int:
    """Damaged lines of all files."""
    return int(connection.execute("SELECT coalesce(sum(damaged_lines), 0) FROM ingested_streams").fetchone()[0])


def read_recipe(connection: sqlite3.Connection, run_key: int) -> str | None:
    """The recipe's text."""
    row = connection.execute(
        "SELECT text FROM recipes JOIN runs ON runs.recipe_sha256 = recipes.sha256 WHERE run_key = ?", (run_key,)
    ).fetchone()
    return None if row is None else str(row[0])


def read_environment(connection: sqlite3.Connection, run_key: int) -> dict[str, object] | None:
    """The content of environment.json."""
    row = connection.execute("SELECT text FROM environments WHERE run_key = ?", (run_key,)).fetchone()
    return None if row is None else dict(json.loads(row[0]))


def read_dataset_versions(connection: sqlite3.Connection, run_key: int) -> tuple[DatasetVersionRow, ...]:
    """The data files of a run, in its own order."""
    rows = connection.execute(
        "SELECT path, fingerprint, rows, bytes FROM dataset_versions WHERE run_key = ? ORDER BY position", (run_key,)
    )
    return tuple(DatasetVersionRow(path=row[0], fingerprint=row[1], rows=row[2], bytes=row[3]) for row in rows)


def read_plan(connection: sqlite3.Connection, run_key: int) -> PlanRow | None:
    """The announced plan."""
    row = connection.execute(
        """SELECT max_steps, num_train_epochs, rows, parameters_total, parameters_trained, tokens_per_epoch,
                  tokens_trained_per_epoch FROM plans WHERE run_key = ?""",
        (run_key,),
    ).fetchone()
    if row is None:
        return None
    return PlanRow(
        max_steps=row[0], num_train_epochs=float(row[1]), rows=json.loads(row[2]), parameters_total=row[3],
        parameters_trained=row[4], tokens_per_epoch=row[5], tokens_trained_per_epoch=row[6],
    )  # fmt: skip


def read_choices(connection: sqlite3.Connection, run_key: int) -> tuple[ChoiceRow, ...]:
    """Chosen values in the worker's order."""
    rows = connection.execute(
        "SELECT key, value, source, reason FROM choices WHERE run_key = ? ORDER BY position", (run_key,)
    )
    return tuple(ChoiceRow(key=row[0], value=json.loads(row[1]), source=row[2], reason=row[3]) for row in rows)


def read_transitions(connection: sqlite3.Connection, run_key: int) -> tuple[TransitionRow, ...]:
    """All moves, oldest first."""
    rows = connection.execute(
        """SELECT at, from_state, to_state, outcome, attempt, source, why FROM transitions
           WHERE run_key = ? ORDER BY position""",
        (run_key,),
    )
    return tuple(
        TransitionRow(
            at=row[0], from_state=None if row[1] is None else State(row[1]), to_state=State(row[2]),
            outcome=None if row[3] is None else Outcome(row[3]), attempt=row[4], source=row[5], why=row[6],
        )
        for row in rows
    )  # fmt: skip


def read_attempts(connection: sqlite3.Connection, run_key: int) -> tuple[AttemptRow, ...]:
    """One row a worker; what the worker, its end and its exit said, side by side."""
    rows = connection.execute(
        """SELECT found.attempt, s.at, w.at, coalesce(w.pid, s.pid), coalesce(w.boot_id, s.boot_id),
                  coalesce(w.start_ticks, s.start_ticks), s.detached_by, w.device, w.resumed_from_step, e.at, e.outcome,
                  e.message, e.advice, e.totals, x.at, x.exit_code, x.signal, x.evidence
           FROM (SELECT attempt FROM worker_starts WHERE run_key = :run UNION SELECT attempt FROM spawns
                 WHERE run_key = :run UNION SELECT attempt FROM worker_ends WHERE run_key = :run
                 UNION SELECT attempt FROM exits WHERE run_key = :run) AS found
           LEFT JOIN spawns AS s ON s.run_key = :run AND s.attempt = found.attempt
           LEFT JOIN worker_starts AS w ON w.run_key = :run AND w.attempt = found.attempt
           LEFT JOIN worker_ends AS e ON e.run_key = :run AND e.attempt = found.attempt
           LEFT JOIN exits AS x ON x.run_key = :run AND x.attempt = found.attempt
           ORDER BY found.attempt""",
        {"run": run_key},
    )
    return tuple(
        AttemptRow(
            attempt=row[0], spawned_at=row[1], started_at=row[2], pid=row[3], boot_id=row[4], start_ticks=row[5],
            detached_by=row[6], device=row[7], resumed_from_step=row[8], finished_at=row[9], outcome=row[10],
            message=row[11] or "", advice=tuple(json.loads(row[12] or "[]")), totals=unpack_numbers(row[13] or "{}"),
            exited_at=row[14], exit_code=row[15], signal=row[16], evidence=row[17] or "",
        )
        for row in rows
    )  # fmt: skip


def read_checkpoints(connection: sqlite3.Connection, run_key: int, with_removed: bool) -> tuple[CheckpointRow, ...]:
    """Checkpoints by step. `gc` removed one where it collected that step in the same attempt or a later one."""
    rows = connection.execute(
        """SELECT c.step, c.attempt, c.at, c.folder, c.bytes, c.manifest_sha256, c.reason, c.seconds,
                  coalesce(c.removed_because, CASE WHEN g.attempt >= c.attempt THEN 'collected' END) AS because,
                  p.step IS NOT NULL, c.step IS progress.best_step
           FROM checkpoints AS c
           LEFT JOIN collected_checkpoints AS g ON g.run_key = c.run_key AND g.step = c.step
           LEFT JOIN pinned_checkpoints AS p ON p.run_key = c.run_key AND p.step = c.step
           LEFT JOIN progress ON progress.run_key = c.run_key
           WHERE c.run_key = ? AND (because IS NULL OR ?) ORDER BY c.step""",
        (run_key, with_removed),
    )
    return tuple(
        CheckpointRow(
            step=row[0], attempt=row[1], at=row[2], folder=row[3], bytes=row[4], manifest_sha256=row[5],
            reason=row[6], seconds=float(row[7]), removed_because=row[8], pinned=bool(row[9]), best=bool(row[10]),
        )
        for row in rows
    )  # fmt: skip


def read_evaluations(connection: sqlite3.Connection, run_id: str) -> tuple[EvaluationRow, ...]:
    """Evaluations of a run's weights; the same set evaluated again stands behind the earlier one."""
    rows = connection.execute(
        """SELECT target_run_id, runs.run_id, weights, step, set_name, role, metrics, rows, seconds, at, set_sha256,
                  checkpoint_sha256, generation
           FROM evaluations JOIN runs USING (run_key) WHERE target_run_id = ?
           ORDER BY step, set_name, at, runs.run_id""",
        (run_id,),
    )
    return tuple(
        EvaluationRow(
            run_id=row[0], source_run_id=row[1], weights=row[2], step=row[3], set_name=row[4], role=row[5],
            metrics=unpack_numbers(row[6]), rows=row[7], seconds=float(row[8]), at=row[9], set_sha256=row[10],
            checkpoint_sha256=row[11], generation=row[12],
        )
        for row in rows
    )  # fmt: skip


def read_examples(
    connection: sqlite3.Connection, run_id: str, step: int | None, set_name: str | None
) -> tuple[ExampleRow, ...]:
    """Single examples, by step, set and index."""
    rows = connection.execute(
        """SELECT runs.run_id, weights, step, set_name, metric, example_index, output, score, negative_log_likelihood,
                  output_tokens
           FROM examples JOIN runs USING (run_key)
           WHERE target_run_id = :run AND (:step IS NULL OR step = :step) AND (:name IS NULL OR set_name = :name)
           ORDER BY step, set_name, metric, runs.run_id, weights, example_index""",
        {"run": run_id, "step": step, "name": set_name},
    )
    return tuple(
        ExampleRow(
            source_run_id=row[0], weights=row[1], step=row[2], set_name=row[3], metric=row[4], index=row[5],
            output=row[6], score=unpack(row[7]), negative_log_likelihood=unpack(row[8]), output_tokens=row[9],
        )
        for row in rows
    )  # fmt: skip


def read_answers(connection: sqlite3.Connection, run_key: int) -> tuple[AnswerRow, ...]:
    """Answers by step and prompt."""
    rows = connection.execute(
        """SELECT step, prompt_index, prompt, answer, tokens FROM answers WHERE run_key = ?
           ORDER BY step, prompt_index""",
        (run_key,),
    )
    return tuple(
        AnswerRow(step=row[0], prompt_index=row[1], prompt=row[2], answer=row[3], tokens=row[4]) for row in rows
    )


def read_health(connection: sqlite3.Connection, run_key: int) -> tuple[HealthRow, ...]:
    """Health messages, oldest first."""
    rows = connection.execute(
        "SELECT at, attempt, rule, level, message, step FROM health WHERE run_key = ? ORDER BY seq", (run_key,)
    )
    return tuple(
        HealthRow(at=row[0], attempt=row[1], rule=row[2], level=row[3], message=row[4], step=row[5]) for row in rows
    )


def read_requests(connection: sqlite3.Connection, run_key: int) -> tuple[RequestRow, ...]:
    """Requests with their answers, oldest first."""
    rows = connection.execute(
        """SELECT r.request_id, r.seq, r.at, r.action, r.arguments, a.at, a.ok, a.message, a.checkpoint_step
           FROM requests AS r LEFT JOIN request_answers AS a USING (run_key, request_id)
           WHERE r.run_key = ? ORDER BY r.seq""",
        (run_key,),
    )
    return tuple(
        RequestRow(
            request_id=row[0], journal_seq=row[1], at=row[2], action=row[3], arguments=json.loads(row[4]),
            answered_at=row[5], ok=None if row[6] is None else bool(row[6]), message=row[7] or "",
            checkpoint_step=row[8],
        )
        for row in rows
    )  # fmt: skip


def read_hardware(
    connection: sqlite3.Connection, run_key: int, after: float, limit: int | None
) -> tuple[SampleRow, ...]:
    """Hardware samples, oldest first."""
    rows = connection.execute(
        f"""SELECT at, attempt, {", ".join(_READINGS)} FROM hardware_samples WHERE run_key = ? AND at > ?
            ORDER BY seq DESC LIMIT ?""",
        (run_key, after, -1 if limit is None else limit),
    ).fetchall()
    return tuple(
        SampleRow(at=row[0], attempt=row[1], **dict(zip(_READINGS, row[2:], strict=True))) for row in rows[::-1]
    )
