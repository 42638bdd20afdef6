"""What the holder of the ingest lock says in `supervisor.jsonl`: moves between states, spawned workers, exits.

`journal_seq` is the last journal line known when a move was made. It orders moves against what people decided without
trusting a clock, so that a rebuilt database ends in the same states.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.events.lines import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved(Event):
    """A run moved from one state to another; `outcome` is given when `to_state` is finished."""

    from_state: str
    to_state: str
    journal_seq: int
    why: str = ""
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpawned(Event):
    """A worker process was made. Together boot id, pid and start ticks name one process for ever."""

    pid: int
    boot_id: str
    start_ticks: int
    detached_by: str = "session"  # session | systemd


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited(Event):
    """A worker's process is gone. Code and signal are None where it was not our child (adopted)."""

    exit_code: int | None
    signal: int | None
    evidence: str = ""
