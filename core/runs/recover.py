"""Decide what became of an attempt from what it left behind: its events, its lock, its process, the boot it ran in.

A heartbeat is never a reason to fail a run: only a free lock together with a process that is gone is. This module
reads; it must not move a run nor signal a process.
"""

from __future__ import annotations

from dataclasses import dataclass
from signal import SIGKILL, Signals

from core.events import Event, Finished, Moved, Record, Started, WorkerSpawned, decode_line
from core.locks import lock_holder
from core.paths import RunPaths
from core.runs.identity import ProcessIdentity, is_alive
from core.runs.spool import read_from
from core.states import Outcome, State

PAUSED = "paused"
"""The one thing besides an outcome that a worker's Finished may say."""
_OUTCOMES = frozenset(outcome.value for outcome in Outcome) | {PAUSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended: an `Outcome`, or None where it was paused; and why, for the person."""

    outcome: Outcome | None
    why: str


class LineFilter:
    """Follows one line file and decodes only lines of the wanted event types.

    A spool of a long run holds a hundred thousand lines of which a handful matter here: the others are told by a byte
    search, which can't be fooled, since a quotation mark inside a JSON string is escaped.
    """

    def __init__(self, *wanted: type[Event]) -> None:
        self._needles = tuple(f'"type":"{each.__name__}"'.encode() for each in wanted)
        self._offset = 0

    def read(self, data_from: RunPaths, which: str) -> list[Record]:
        """The new records of the file `which` (`events`, `supervisor` or `control`) since the last call."""
        data = read_from(getattr(data_from, which), self._offset)
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        records = []
        for line in whole.split(b"\n"):
            if any(needle in line for needle in self._needles):
                try:
                    records.append(decode_line(line))
                except ValueError:
                    continue  # damaged: the ingester counts it
        return records


def attempt_facts(paths: RunPaths, attempt: int) -> tuple[Started | None, Finished | None]:
    """Whether this attempt's worker has said Started, and Finished."""
    started: Started | None = None
    finished: Finished | None = None
    for record in LineFilter(Started, Finished).read(paths, "events"):
        if record.attempt == attempt and isinstance(record.event, Started):
            started = record.event
        elif record.attempt == attempt and isinstance(record.event, Finished):
            finished = record.event
    return started, finished


def last_spawned(paths: RunPaths, attempt: int) -> ProcessIdentity | None:
    """The process made for this attempt since it was last moved to `starting`, None where none was made."""
    identity: ProcessIdentity | None = None
    for record in LineFilter(Moved, WorkerSpawned).read(paths, "supervisor"):
        event = record.event
        if record.attempt != attempt:
            continue
        if isinstance(event, Moved) and event.to_state == State.STARTING:
            identity = None
        elif isinstance(event, WorkerSpawned):
            identity = ProcessIdentity(event.boot_id, event.pid, event.start_ticks)
    return identity


def worker_lives(paths: RunPaths, identity: ProcessIdentity | None, boot_id: str) -> bool:
    """Whether the run's worker exists: its process does, or some process holds its lock."""
    return (identity is not None and is_alive(identity, boot_id)) or lock_holder(paths.lock) is not None


def judge(
    *,
    finished: Finished | None,
    started: bool,
    same_boot: bool,
    exit_code: int | None,
    signal: int | None,
    memory_evidence: str,
    last_line: str,
) -> Ending:
    """How an attempt ended whose worker is gone.

    `exit_code` and `signal` are None where it was not our child. `memory_evidence` says that the kernel ran out of
    memory meanwhile; `last_line` is the end of the worker's log.
    """
    if finished is not None and finished.outcome in _OUTCOMES:
        outcome = None if finished.outcome == PAUSED else Outcome(finished.outcome)
        return Ending(outcome=outcome, why=finished.message)
    if not same_boot:
        return Ending(outcome=Outcome.LOST, why="the machine was restarted while the run lived")
    is_how_unknown = exit_code is None and signal is None
    if memory_evidence and (signal == SIGKILL or is_how_unknown):
        return Ending(outcome=Outcome.OUT_OF_MEMORY, why=memory_evidence)
    how = _describe_exit(exit_code, signal)
    detail = f"{how}: {last_line}" if last_line and signal != SIGKILL else how
    if not started:
        return Ending(outcome=Outcome.COULD_NOT_START, why=f"before it had started, {detail}")
    return Ending(outcome=Outcome.CRASHED, why=detail)


def _describe_exit(exit_code: int | None, signal: int | None) -> str:
    if signal is not None:
        try:
            return f"the worker was ended by {Signals(signal).name}"
        except ValueError:
            return f"the worker was ended by signal {signal}"
    if exit_code is None:
        return "the worker's process disappeared"
    return f"the worker ended with status {exit_code} and no last word"
