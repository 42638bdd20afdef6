"""A real worker process: what it writes, how it answers, and how it ends."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from core.events import (
    Answered,
    CheckpointSaved,
    ControlGiven,
    Evaluated,
    Finished,
    PhaseEntered,
    RequestAnswered,
    Started,
    StepLogged,
)
from core.locks import FileLock, is_locked
from core.paths import RunPaths, Workspace
from core.runs.checkpoints import list_checkpoints, verify
from core.runs.spool import Spool
from tests.conftest import wait_until
from tests.worker.tiny import events, make_recipe, make_run, records, run_worker, start_worker

PATIENCE_SECONDS = 90.0
"""Importing the training stack takes 5 s alone, and ten times that on a busy machine."""


def ask(paths: RunPaths, attempt: int, **requests: str) -> None:
    """Hand requests on as the supervisor does; name → action."""
    with Spool.open(paths.control, attempt) as spool:
        for request_id, action in requests.items():
            spool.append(ControlGiven(request_id=request_id, action=action))


def answer(paths: RunPaths, request_id: str) -> RequestAnswered | None:
    """The answer to a request, None where it is not there yet."""
    return next((event for event in events(paths, RequestAnswered) if event.request_id == request_id), None)


def wait_for_answer(paths: RunPaths, request_id: str) -> RequestAnswered:
    wait_until(lambda: answer(paths, request_id), f"the answer to {request_id}", PATIENCE_SECONDS)
    found = answer(paths, request_id)
    assert found is not None
    return found


@pytest.mark.timeout(240)
def test_requests_pause_and_signal(workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    """Waits for its device, saves, evaluates, pauses; as attempt 2 goes on where it was, and SIGTERM stops it."""
    recipe = make_recipe(
        tmp_path, tiny_model, tiny_rows, "train.max_steps=100000", "checkpoints.every_steps=100000",
        "evaluate.prompts=[a 3]", method="qlora",
    )  # fmt: skip
    run = make_run(workspace, recipe)
    ask(run, 7, elsewhere="stop")  # a line for another attempt must not reach this one
    other_job = FileLock(workspace.cpu_lock)
    assert other_job.try_acquire()
    worker = start_worker(run, HF_TOKEN="hf_a_secret_that_must_not_be_kept")
    try:
        wait_until(lambda: events(run, PhaseEntered), "the worker to wait for the CPU", PATIENCE_SECONDS)
        assert "waiting" in events(run, PhaseEntered)[0].phase and events(run, Started) == []
        other_job.release()
        wait_until(lambda: len(events(run, StepLogged)) >= 3, "three steps", PATIENCE_SECONDS)
        assert is_locked(run.lock) and is_locked(workspace.cpu_lock)
        assert run_worker(run) == 1, "a second worker of the same run must refuse"
        ask(run, 1, first="save", second="evaluate")
        saved, evaluated = wait_for_answer(run, "first"), wait_for_answer(run, "second")
        assert saved.ok and saved.checkpoint_step is not None
        verify(run.checkpoint(saved.checkpoint_step))
        assert evaluated.ok and len(events(run, Evaluated)) == 1
        assert [event.prompt for event in events(run, Answered)] == ["a 3"]
        ask(run, 1, third="pause")
        assert worker.wait(PATIENCE_SECONDS) == 0
    finally:
        worker.kill()
    paused = wait_for_answer(run, "third")
    finished = events(run, Finished)[-1]
    assert paused.ok and finished.outcome == "paused" and finished.step == paused.checkpoint_step
    assert answer(run, "elsewhere") is None
    assert not is_locked(run.lock) and not is_locked(workspace.cpu_lock)

    worker = start_worker(run, attempt=2)
    try:
        wait_until(lambda: len(events(run, StepLogged, attempt=2)) >= 2, "two more steps", PATIENCE_SECONDS)
        worker.send_signal(signal.SIGHUP)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_SECONDS) == 0
    finally:
        worker.kill()
    started = events(run, Started, attempt=2)
    assert [event.resumed_from_step for event in started] == [paused.checkpoint_step]
    assert events(run, StepLogged, attempt=2)[0].step == (paused.checkpoint_step or 0) + 1
    finished = events(run, Finished)[-1]
    assert finished.outcome == "stopped"
    assert [manifest.step for manifest in list_checkpoints(run)][-1] == finished.step
    assert events(run, CheckpointSaved)[-1].reason == "stopped"

    seqs = [record.seq for record in records(run)]
    assert seqs == list(range(1, len(seqs) + 1))
    environment = json.loads(run.environment.read_text())
    assert environment["attempt"] == 2 and environment["packages"]["torch"] and environment["datasets"]
    files = [path for path in workspace.root.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert b"hf_a_secret" not in path.read_bytes(), path
        assert not path.stat().st_mode & 0o077, path


@pytest.mark.timeout(240)
def test_error_reaches_a_person_without_traceback(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """Exit status 0 says that the outcome is on disk; the traceback is in the log alone."""
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(tiny_rows.read_bytes())
    run = make_run(workspace, make_recipe(tmp_path, tiny_model, rows))
    rows.unlink()
    assert run_worker(run, timeout_seconds=PATIENCE_SECONDS) == 0
    kinds = [type(record.event).__name__ for record in records(run)]
    assert kinds[0] == "Started" and kinds[-1] == "Finished"
    finished = events(run, Finished)[-1]
    assert finished.outcome == "could_not_start" and "rows.jsonl" in finished.message
    assert "Traceback" not in finished.message
    assert "Traceback" in run.log.read_text()
