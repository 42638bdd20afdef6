"""What the supervisor saw of a run's process and of the machine: spawned, exited, hardware samples.

Moves between states stand in the same file and are not its business (`core.store.state_fold`).
"""

from __future__ import annotations

import sqlite3
from dataclasses import fields

from core.events import Exited, HardwareSampled, Record, WorkerSpawned
from core.store.numbers import bound

READINGS = tuple(field.name for field in fields(HardwareSampled))
_INSERT_SAMPLE = (
    f"INSERT INTO hardware_samples (run_key, seq, attempt, at, {', '.join(READINGS)})"
    f" VALUES (?,?,?,?{',?' * len(READINGS)}) ON CONFLICT (run_key, seq) DO NOTHING"
)


def apply_machine_record(connection: sqlite3.Connection, run_key: int, record: Record) -> bool:
    """Apply one line inside the caller's transaction; False where it holds nonsense and was refused."""
    event = record.event
    head = (run_key, record.seq, record.attempt, record.ts)
    try:
        if isinstance(event, HardwareSampled):
            connection.execute(_INSERT_SAMPLE, bound(*head, *(getattr(event, name) for name in READINGS)))
        elif isinstance(event, WorkerSpawned):
            connection.execute(
                """INSERT INTO spawns (run_key, attempt, at, pid, boot_id, start_ticks, detached_by)
                   VALUES (?,?,?,?,?,?,?) ON CONFLICT (run_key, attempt) DO UPDATE SET at = excluded.at,
                   pid = excluded.pid, boot_id = excluded.boot_id, start_ticks = excluded.start_ticks,
                   detached_by = excluded.detached_by""",
                bound(
                    run_key, record.attempt, record.ts, event.pid, event.boot_id, event.start_ticks, event.detached_by
                ),
            )
        elif isinstance(event, Exited):
            connection.execute(
                """INSERT INTO exits (run_key, attempt, at, exit_code, signal, evidence) VALUES (?,?,?,?,?,?)
                   ON CONFLICT (run_key, attempt) DO UPDATE SET at = excluded.at, exit_code = excluded.exit_code,
                   signal = excluded.signal, evidence = excluded.evidence""",
                bound(run_key, record.attempt, record.ts, event.exit_code, event.signal, event.evidence),
            )
    except (ValueError, TypeError, sqlite3.IntegrityError):
        return False
    return True
