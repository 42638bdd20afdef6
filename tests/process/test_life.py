"""A run's life through a real supervisor and a torch-free worker: every end a person or a machine can give it."""

from __future__ import annotations

import os
import signal
import time

import pytest

from core.errors import RunError
from core.events import RequestMade, Resumed
from core.runs import launch
from core.runs.journal import decide
from core.runs.launch import ensure_supervisor
from core.runs.queue import cancel, hold, move, release, resume
from core.runs.requests import ask
from core.states import Outcome, State
from core.store.reader import open_reader
from tests.process.conftest import Site


def test_a_run_completes_and_the_supervisor_leaves(site: Site) -> None:
    run = site.end(site.submit(steps=8, checkpoint_every=4))
    assert (run.state, run.outcome, run.step) == (State.FINISHED, Outcome.COMPLETED, 8)
    assert run.message == "the fake worker ended as completed"
    site.until(run.run_id, lambda _: not site.supervisor_pids(), "the supervisor to leave")
    assert "nothing left to do" in site.log()
    assert "WARNING" not in site.log()


def test_jobs_run_one_after_the_other_in_queue_order_and_jobs_without_device_beside(site: Site) -> None:
    first = site.submit_long()
    site.until(first, lambda run: run.state is State.RUNNING, "running")
    second, third = site.submit(steps=2), site.submit(steps=2)
    beside = site.submit(device="none", steps=2)
    assert site.end(beside).outcome is Outcome.COMPLETED
    assert [site.run(run_id).state for run_id in (first, second, third)] == [
        State.RUNNING, State.QUEUED, State.QUEUED,
    ]  # fmt: skip
    move(site.workspace, third, before=second)
    ask(site.workspace, first, "stop")
    assert site.end(second).outcome is site.end(third).outcome is Outcome.COMPLETED
    began = {run_id: site.workspace.run(run_id).events.stat().st_ctime for run_id in (second, third)}
    assert began[third] < began[second]


def test_a_worker_that_hangs_after_its_last_word_does_not_keep_the_device(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "SUPERVISOR_OPTIONS", [*launch.SUPERVISOR_OPTIONS, "--tidy-up-seconds", "0.3"])
    hanging = site.submit(steps=2, end_seconds=600.0)
    waiting = site.submit(steps=2)
    assert site.end(hanging).outcome is Outcome.COMPLETED
    assert site.end(waiting).outcome is Outcome.COMPLETED
    assert f"{hanging}: its worker hung" in site.log()


def test_stop_saves_answers_and_ends(site: Site) -> None:
    run_id = site.submit_long()
    site.until_step(run_id, 3)
    answer = ask(site.workspace, run_id, "save")
    assert answer.ok and answer.checkpoint_step is not None
    answer = ask(site.workspace, run_id, "stop")
    assert answer.ok and answer.checkpoint_step is not None
    run = site.end(run_id)
    assert (run.state, run.outcome, run.step) == (State.FINISHED, Outcome.STOPPED, answer.checkpoint_step)
    with pytest.raises(RunError, match="has finished"):
        ask(site.workspace, run_id, "stop")


def test_pause_frees_the_device_and_resume_goes_in_front(site: Site) -> None:
    run_id = site.submit_long()
    site.until_step(run_id, 3)
    paused_at = ask(site.workspace, run_id, "pause").checkpoint_step
    assert paused_at is not None
    assert site.end(run_id).state is State.PAUSED
    blocking = site.submit_long()
    site.until(blocking, lambda run: run.state is State.RUNNING, "the next run to start")
    waiting = site.submit(steps=2)
    assert resume(site.workspace, run_id) == 2
    ask(site.workspace, blocking, "stop")
    site.until(run_id, lambda run: (run.step or 0) > paused_at, "the resumed run to go on")
    assert site.run(waiting).state is State.QUEUED
    assert site.started(run_id)[-1].resumed_from_step == paused_at
    ask(site.workspace, run_id, "stop")
    assert site.end(waiting).outcome is Outcome.COMPLETED
    assert site.run(run_id).attempt == 2


def test_paused_and_held_runs_keep_no_supervisor(site: Site) -> None:
    held = site.submit(held=True)
    assert site.run(held).state is State.HELD
    run_id = site.submit(steps=5, fail="pause")
    run = site.end(run_id)
    assert run.state is State.PAUSED
    site.until(run_id, lambda _: not site.supervisor_pids(), "the supervisor to leave")
    release(site.workspace, held)
    assert site.end(held).outcome is Outcome.COMPLETED


def test_hold_release_and_cancel_a_queued_run(site: Site) -> None:
    blocking = site.submit_long()
    site.until(blocking, lambda run: run.state is State.RUNNING, "running")
    one, other = site.submit(steps=2), site.submit(steps=2)
    hold(site.workspace, one)
    cancel(site.workspace, other)
    with pytest.raises(RunError, match="stop or pause"):
        cancel(site.workspace, blocking)
    with pytest.raises(RunError, match="can't be released"):
        release(site.workspace, other)
    ask(site.workspace, blocking, "stop")
    site.end(blocking)
    assert site.run(one).state is State.HELD
    assert (site.run(other).state, site.run(other).outcome) == (State.FINISHED, Outcome.STOPPED)
    assert site.started(other) == []
    release(site.workspace, one)
    assert site.end(one).outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("fail", "outcome", "message"),
    [
        ("raise", Outcome.CRASHED, "told to fail"),
        ("silent", Outcome.CRASHED, "no last word"),
        ("crash", Outcome.CRASHED, "SIGKILL"),
        ("before_started", Outcome.COULD_NOT_START, "told to fail"),
        ("out_of_memory", Outcome.OUT_OF_MEMORY, "ended as out_of_memory"),
    ],
)
def test_each_way_to_fail_has_its_outcome(site: Site, fail: str, outcome: Outcome, message: str) -> None:
    run = site.end(site.submit(steps=6, fail=fail))
    assert (run.state, run.outcome) == (State.FINISHED, outcome)
    assert message in run.message


def test_a_killed_worker_is_seen_within_three_seconds_and_resumes(site: Site) -> None:
    run_id = site.submit(steps=60, step_seconds=0.02, checkpoint_every=5)
    site.until_step(run_id, 12)
    os.kill(site.worker_pid(run_id), signal.SIGKILL)
    killed_at = time.monotonic()
    assert site.end(run_id).outcome is Outcome.CRASHED
    assert time.monotonic() - killed_at < 3
    assert resume(site.workspace, run_id) == 2
    run = site.end(run_id)
    assert (run.outcome, run.attempt, run.step) == (Outcome.COMPLETED, 2, 60)
    resumed_from = site.started(run_id)[-1].resumed_from_step
    assert resumed_from is not None and resumed_from >= 10


def test_a_stopped_but_living_worker_is_never_judged_dead(site: Site) -> None:
    run_id = site.submit(steps=30, step_seconds=0.02)
    site.until_step(run_id, 3)
    pid = site.worker_pid(run_id)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5)
    assert site.run(run_id).state is State.RUNNING
    os.kill(pid, signal.SIGCONT)
    assert site.end(run_id).outcome is Outcome.COMPLETED


def test_a_completed_run_is_not_resumed(site: Site) -> None:
    run_id = site.submit(steps=1)
    site.end(run_id)
    with pytest.raises(RunError, match="completed"):
        resume(site.workspace, run_id)


def test_nothing_a_run_leaves_can_be_read_by_others(site: Site) -> None:
    run_id = site.submit(steps=6, checkpoint_every=2, held=True)
    os.umask(0)  # a command sets its own; what is checked here are the supervisor and the worker
    release(site.workspace, run_id)
    site.end(run_id)
    files = [path for path in (site.workspace.root, *site.workspace.root.rglob("*")) if not path.is_symlink()]
    assert len(files) > 12
    assert [str(path) for path in files if path != site.workspace.root and path.stat().st_mode & 0o077] == []


def test_a_pause_while_starting_waits_for_the_worker_and_a_stop_overrides_it(site: Site) -> None:
    run_id = site.submit(steps=5000, step_seconds=0.02, start_seconds=1.0)
    site.until(run_id, lambda run: run.state is State.STARTING, "starting")
    asked = [
        RequestMade(request_id="pause-1", run_id=run_id, action="pause"),
        RequestMade(request_id="stop-1", run_id=run_id, action="stop"),
    ]
    decide(site.workspace, *asked)
    run = site.end(run_id)
    assert (run.state, run.outcome) == (State.FINISHED, Outcome.STOPPED)
    with open_reader(site.workspace) as reader:
        moves = [str(row.to_state) for row in reader.transitions(run_id)]
        answers = {row.request_id: row.ok for row in reader.requests(run_id)}
    assert moves == ["queued", "starting", "pausing", "stopping", "finished"]
    assert answers == {"pause-1": True, "stop-1": True}


def test_resuming_twice_at_once_makes_one_attempt(site: Site) -> None:
    run_id = site.submit(steps=5, fail="crash", checkpoint_every=2)
    assert site.end(run_id).outcome is Outcome.CRASHED
    site.leave()
    decide(site.workspace, *[Resumed(run_id=run_id, attempt=2)] * 2)
    ensure_supervisor(site.workspace)
    site.until(run_id, lambda run: run.outcome is Outcome.COMPLETED, "the resumed run to complete")
    assert site.run(run_id).attempt == 2
    assert [event.resumed_from_step for event in site.started(run_id)] == [None, 2]


def test_wishes_of_an_earlier_attempt_are_not_handed_on(site: Site) -> None:
    run_id = site.submit(steps=8, fail="crash", fail_step=3)
    assert site.end(run_id).outcome is Outcome.CRASHED
    decide(site.workspace, RequestMade(request_id="late", run_id=run_id, action="stop"))
    resume(site.workspace, run_id)
    run = site.end(run_id)
    assert (run.outcome, run.step) == (Outcome.COMPLETED, 8)
    assert not site.workspace.run(run_id).control.exists()
