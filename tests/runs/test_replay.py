"""A recorded run, played: the same states, curves and log, at once or in its own rhythm, and nothing real starts."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.errors import LaunchError, RunError, UsageError
from core.events import Exited, Finished, Moved, Started, StepLogged, WorkerSpawned
from core.locks import FileLock, is_locked
from core.paths import Workspace
from core.runs.launch import supervisor_lives
from core.runs.recording import load_recording
from core.runs.replay import Replay, play, play_instantly
from core.runs.requests import ask
from core.runs.spool import Spool
from core.states import Outcome, State
from core.store.content import natural_content
from core.store.ingest import ingest_once
from core.store.reader import open_reader
from core.store.rebuild import rebuild
from tests.conftest import wait_until
from tests.runs.past_run import queue_run

RECORDED = Path(__file__).resolve().parents[1] / "data" / "recorded-run"


def content_of(workspace: Workspace) -> object:
    connection = sqlite3.connect(workspace.database)
    try:
        return natural_content(connection)
    finally:
        connection.close()


def test_an_instant_replay_is_the_recorded_run(workspace: Workspace, tmp_path: Path) -> None:
    recording = load_recording(RECORDED)
    assert len(recording.lines) > 400
    assert play_instantly(workspace, [recording]) == [recording.run_id]
    for name in ("events.jsonl", "supervisor.jsonl", "recipe.yaml", "environment.json", "worker.log"):
        assert (workspace.run(recording.run_id).folder / name).read_bytes() == (RECORDED / name).read_bytes()
    with open_reader(workspace) as reader:
        run = reader.run(recording.run_id)
        assert (run.state, run.outcome, run.step, run.created_at) == (
            State.FINISHED, Outcome.COMPLETED, 300, recording.began_at,
        )  # fmt: skip
        assert run.best_step == 240
        assert len(reader.series(run.run_id, "loss").steps) == 300
        assert len(reader.hardware(run.run_id)) > 30
        assert len(reader.health(run.run_id)) == 1
        assert len({row.step for row in reader.evaluations(run.run_id)}) == 6
        assert len(reader.answers(run.run_id)) == 18
    before = content_of(workspace)
    rebuild(workspace)
    assert content_of(workspace) == before
    other = Workspace(tmp_path / "other")
    play_instantly(other, [recording])
    assert content_of(other) == before


def test_the_same_recording_again_gets_an_id_of_its_own(workspace: Workspace) -> None:
    recording = load_recording(RECORDED)
    first, second, third = (*play_instantly(workspace, [recording]), *play_instantly(workspace, [recording] * 2))
    assert len({first, second, third}) == 3
    with open_reader(workspace) as reader:
        assert len(reader.series(third, "loss").steps) == 300
        assert {row.run_id for row in reader.evaluations(third) if row.weights == "base"} == {third}


def test_a_played_run_lives_until_its_end(workspace: Workspace) -> None:
    recording = load_recording(RECORDED)
    seen: list[tuple[State, int]] = []
    done: list[str] = []
    player = threading.Thread(target=lambda: done.extend(play(workspace, [recording], speed=250, name="live")))
    player.start()
    was_locked = False
    while player.is_alive():
        player.join(0.05)
        with open_reader(workspace) as reader:
            rows = reader.runs()
        seen += [(row.state, row.step or 0) for row in rows]
        was_locked |= any(is_locked(workspace.run(row.run_id).lock) for row in rows if row.state is State.RUNNING)
    assert was_locked
    assert len(done) == 1
    states = [state for state, _ in seen]
    assert State.RUNNING in states
    steps = [step for _, step in seen]
    assert steps == sorted(steps)
    assert len(set(steps)) > 5
    with open_reader(workspace) as reader:
        run = reader.run(done[0])
        assert (run.name, run.outcome, run.step) == ("live", Outcome.COMPLETED, 300)
        (attempt,) = reader.attempts(done[0])
        assert attempt.pid == os.getpid()
    assert not is_locked(workspace.run(done[0]).lock)
    assert not supervisor_lives(workspace)


def test_a_played_run_can_be_stopped(workspace: Workspace) -> None:
    player = subprocess.Popen(
        [sys.executable, "-P", "-m", "core.runs.replay", str(RECORDED), "--workspace", str(workspace.root),
         "--speed", "20"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(RECORDED.parents[2])},
    )  # fmt: skip
    try:

        def running() -> list[str]:
            with open_reader(workspace) as reader:
                return [row.run_id for row in reader.runs() if row.state is State.RUNNING and row.step]

        wait_until(running, "a step of the played run")
        (run_id,) = running()
        refused = ask(workspace, run_id, "save", timeout_seconds=20)
        assert (refused.ok, refused.message) == (False, "this run is a replay: it can only be stopped")
        assert ask(workspace, run_id, "stop", timeout_seconds=20).ok
        assert player.wait(20) == 0
        assert player.stdout is not None
        assert player.stdout.read().split() == [run_id]
    finally:
        player.kill()
        player.wait()
    ingest_once(workspace)
    with open_reader(workspace) as reader:
        run = reader.run(run_id)
        assert (run.state, run.outcome) == (State.FINISHED, Outcome.STOPPED)
        assert 0 < (run.step or 0) < 300


def test_a_recording_of_two_attempts(workspace: Workspace, tmp_path: Path) -> None:
    """The journal of the recording is not there: the replay writes the line that resumed the run."""
    elsewhere = Workspace(tmp_path / "elsewhere")
    paths = queue_run(elsewhere)
    for attempt, outcome in ((1, "crashed"), (2, "completed")):
        with Spool.open(paths.supervisor, attempt) as supervisor, Spool.open(paths.events, attempt) as events:
            supervisor.append(Moved(from_state="queued", to_state="starting", journal_seq=attempt))
            supervisor.append(Moved(from_state="starting", to_state="running", journal_seq=attempt))
            supervisor.append(WorkerSpawned(pid=1, boot_id="b", start_ticks=1))
            events.append(Started(kind="train", pid=1, boot_id="b", start_ticks=1, resumed_from_step=attempt - 1))
            events.append(StepLogged(step=attempt, values={"loss": 1.0}))
            if attempt == 2:
                events.append(Finished(outcome=outcome, message="", step=2))
            supervisor.append(Exited(exit_code=0, signal=None))
            supervisor.append(Moved(from_state="running", to_state="finished", journal_seq=attempt, outcome=outcome))
    recording = load_recording(paths.folder)
    for run_id in (*play_instantly(workspace, [recording]), *play(workspace, [recording], speed=1000)):
        with open_reader(workspace) as reader:
            run = reader.run(run_id)
            assert (run.outcome, run.attempt, run.step) == (Outcome.COMPLETED, 2, 2)
            assert [row.outcome for row in reader.transitions(run_id) if row.outcome] == ["crashed", "completed"]
    before = content_of(workspace)
    rebuild(workspace)
    assert content_of(workspace) == before


def test_a_replay_that_is_given_up_before_its_start_is_cancelled(workspace: Workspace) -> None:
    replay = Replay(workspace, load_recording(RECORDED), began_at=1_790_000_000.0)
    replay.close()
    ingest_once(workspace)
    with open_reader(workspace) as reader:
        assert reader.run(replay.run_id).outcome is Outcome.STOPPED
        assert reader.queue(with_held=True) == ()


def test_what_can_not_be_played_is_said(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(RunError):
        load_recording(tmp_path / "absent")
    with pytest.raises(RunError, match="nothing to replay"):
        load_recording(queue_run(workspace).folder)
    with pytest.raises(UsageError, match="a speed of 0"):
        play(workspace, [load_recording(RECORDED)], speed=0)


def test_it_keeps_away_from_a_supervisor(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.runs.replay.LOCK_TIMEOUT_SECONDS", 0.1)
    with FileLock(workspace.supervisor_lock) as lock:
        assert lock.try_acquire()
        with pytest.raises(LaunchError, match="a supervisor works"):
            play_instantly(workspace, [load_recording(RECORDED)])
    assert not workspace.runs.exists()
