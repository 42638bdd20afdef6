"""The life of a run as one table: which states exist, which outcomes, and which moves are legal.

This module must not store or decide anything: the supervisor makes moves, the store refuses those not listed here.

    queued ⇄ held
    queued → starting → running ⇄ pausing → paused → queued (resume)
                        running → stopping → finished
    any live state → finished (with an outcome); finished → queued (resume, attempt + 1)
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a run stands now."""

    QUEUED = "queued"
    HELD = "held"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    STOPPING = "stopping"
    FINISHED = "finished"


class Outcome(StrEnum):
    """How a finished run ended; a run that is not finished has none."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    EARLY_STOPPED = "early_stopped"
    OUT_OF_MEMORY = "out_of_memory"
    DIVERGED = "diverged"
    CRASHED = "crashed"
    COULD_NOT_START = "could_not_start"
    LOST = "lost"


MOVES: frozenset[tuple[State, State]] = frozenset(
    {
        (State.QUEUED, State.HELD),
        (State.HELD, State.QUEUED),
        (State.QUEUED, State.STARTING),
        (State.QUEUED, State.FINISHED),  # cancelled, or its data changed before the start
        (State.HELD, State.FINISHED),  # cancelled
        (State.STARTING, State.RUNNING),
        (State.STARTING, State.STOPPING),
        (State.STARTING, State.PAUSING),
        (State.STARTING, State.QUEUED),  # the spawn was interrupted before a process existed
        (State.STARTING, State.FINISHED),
        (State.RUNNING, State.PAUSING),
        (State.RUNNING, State.STOPPING),
        (State.RUNNING, State.FINISHED),
        (State.PAUSING, State.PAUSED),
        (State.PAUSING, State.STOPPING),
        (State.PAUSING, State.FINISHED),
        (State.PAUSED, State.QUEUED),
        (State.PAUSED, State.FINISHED),  # cancelled
        (State.STOPPING, State.FINISHED),
        (State.FINISHED, State.QUEUED),  # resume
    }
)

WITH_PROCESS: frozenset[State] = frozenset({State.STARTING, State.RUNNING, State.PAUSING, State.STOPPING})
"""States in which a worker process exists or is being made."""

WAITED_FOR_AS_SUCCESS: frozenset[Outcome] = frozenset({Outcome.COMPLETED, Outcome.STOPPED, Outcome.EARLY_STOPPED})
"""Outcomes for which `--wait` exits with 0."""


def is_legal(from_state: State, to_state: State) -> bool:
    """Whether a run may move from one state to the other."""
    return (from_state, to_state) in MOVES


def may_resume(state: State, outcome: Outcome | None) -> bool:
    """Whether `resume` is allowed: a paused run, or a finished one that did not complete."""
    return state is State.PAUSED or (state is State.FINISHED and outcome is not Outcome.COMPLETED)
