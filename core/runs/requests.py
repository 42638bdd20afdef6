"""Ask a living run something and wait for its answer, or for its end.

A request is a journal line; the supervisor hands it on, the worker answers with an event. This module must not signal
a process nor write a run's files.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import RunError, StoreBusyError, UsageError
from core.events import RequestMade
from core.paths import Workspace
from core.runs.journal import decide
from core.runs.launch import ensure_supervisor, supervisor_lives
from core.runs.seen import read_run
from core.states import WITH_PROCESS, State
from core.store.ingest import ingest_once
from core.store.reader import open_reader
from core.store.rows import RunRow

ACTIONS = ("stop", "pause", "save", "evaluate")
POLL_SECONDS = 0.1
AT_REST = frozenset({State.FINISHED, State.PAUSED, State.HELD})
"""States that a run does not leave by itself."""


@dataclass(frozen=True, slots=True)
class RequestAnswer:
    """What came of a request; `checkpoint_step` names the checkpoint that was written for it."""

    ok: bool
    message: str
    checkpoint_step: int | None


def ask(workspace: Workspace, run_id: str, action: str, timeout_seconds: float = 60.0) -> RequestAnswer:
    """Ask a living run to stop, pause, save or evaluate, and wait for its answer.

    For stop and pause the answer comes when the checkpoint is safe, shortly before the run is at rest.

    Raises:
        UsageError: there is no such action.
        RunError: the run is unknown, has no process, or has not answered within `timeout_seconds` (the request
            stays: it is answered when the worker gets to it).
        WorkspaceError: the journal can't be written.
    """
    if action not in ACTIONS:
        raise UsageError(f"can't ask a run to {action}", try_this=f"one of {', '.join(ACTIONS)}")
    run = read_run(workspace, run_id)
    if run.state not in WITH_PROCESS:
        standing = f"has finished ({run.outcome})" if run.state is State.FINISHED else f"is {run.state}"
        raise RunError(
            f"run {run_id} can't be asked to {action}: it {standing}",
            try_this="cancel it instead" if run.state in (State.QUEUED, State.HELD, State.PAUSED) else "",
        )
    request_id = secrets.token_hex(8)
    decide(workspace, RequestMade(request_id=request_id, run_id=run_id, action=action))
    return _wait_for_answer(workspace, run, request_id, action, timeout_seconds)


def _wait_for_answer(
    workspace: Workspace, asked: RunRow, request_id: str, action: str, timeout_seconds: float
) -> RequestAnswer:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        ensure_supervisor(workspace)
        run = _look(workspace, asked.run_id)
        if run is not None:
            answer = _find_answer(workspace, asked.run_id, request_id)
            if answer is not None:
                return answer
            if run.state not in WITH_PROCESS or run.attempt != asked.attempt:
                return RequestAnswer(False, "the run ended before it could answer", None)
        time.sleep(POLL_SECONDS)
    raise RunError(
        f"run {asked.run_id} has not answered within {timeout_seconds:g} s",
        why=f"the request to {action} stays and is answered when the worker gets to it",
        try_this=f"`finetui logs {asked.run_id} -f` shows what it is busy with",
    )


def _find_answer(workspace: Workspace, run_id: str, request_id: str) -> RequestAnswer | None:
    with open_reader(workspace) as reader:
        for row in reader.requests(run_id):
            if row.request_id == request_id and row.answered_at is not None:
                return RequestAnswer(bool(row.ok), row.message or "", row.checkpoint_step)
    return None


def wait_for_end(workspace: Workspace, run_id: str, on_progress: Callable[[RunRow], None] | None = None) -> RunRow:
    """Wait until the run is at rest (finished, paused or held) and return it as it then is.

    `on_progress` is called at first and whenever the row has changed. A supervisor that dies meanwhile is replaced.

    Raises:
        RunError: the run is unknown.
    """
    last: RunRow | None = None
    while True:
        run = _look(workspace, run_id)
        if run is not None:
            if on_progress is not None and run != last:
                on_progress(run)
            last = run
            if run.state in AT_REST:
                return run
        ensure_supervisor(workspace)
        time.sleep(POLL_SECONDS)


def _look(workspace: Workspace, run_id: str) -> RunRow | None:
    """The run now; None while the store is being recovered or written by a process that was killed."""
    try:
        if not supervisor_lives(workspace):
            ingest_once(workspace)
        with open_reader(workspace) as reader:
            return reader.run(run_id)
    except StoreBusyError:
        return None
