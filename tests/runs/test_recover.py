"""How an attempt ended is judged from what it left behind, and never from a guess."""

from __future__ import annotations

from signal import SIGKILL, SIGSEGV

import pytest

from core.events import Event, Finished, Job, Moved, RunQueued, Started, WorkerSpawned
from core.paths import RunPaths, Workspace
from core.runs.folder import create_run_folder
from core.runs.identity import ProcessIdentity
from core.runs.recover import Ending, attempt_facts, judge, last_spawned
from core.runs.spool import Spool, last_line
from core.states import Outcome


def judged(**facts: object) -> Ending:
    known: dict[str, object] = {
        "finished": None, "started": True, "same_boot": True, "exit_code": None, "signal": None,
        "memory_evidence": "", "last_line": "",
    }  # fmt: skip
    return judge(**{**known, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "outcome", "why"),
    [
        ({"finished": Finished(outcome="completed", message="done"), "signal": SIGKILL}, Outcome.COMPLETED, "done"),
        ({"finished": Finished(outcome="paused", message="saved")}, None, "saved"),
        ({"finished": Finished(outcome="nonsense", message=""), "exit_code": 0}, Outcome.CRASHED, "no last word"),
        ({"finished": Finished(outcome="diverged", message="nan"), "same_boot": False}, Outcome.DIVERGED, "nan"),
        ({"same_boot": False}, Outcome.LOST, "restarted"),
        ({"signal": SIGSEGV, "last_line": "boom"}, Outcome.CRASHED, "SIGSEGV: boom"),
        ({"signal": 64}, Outcome.CRASHED, "SIGRTMAX"),
        ({"signal": SIGKILL, "last_line": "step 3"}, Outcome.CRASHED, "SIGKILL"),
        ({"exit_code": 1, "last_line": "no such model"}, Outcome.CRASHED, "status 1 and no last word: no such model"),
        ({"exit_code": 1, "started": False, "last_line": "x"}, Outcome.COULD_NOT_START, "before it had started"),
        ({}, Outcome.CRASHED, "disappeared"),
        ({"signal": SIGKILL, "memory_evidence": "counted"}, Outcome.OUT_OF_MEMORY, "counted"),
        ({"memory_evidence": "counted"}, Outcome.OUT_OF_MEMORY, "counted"),
        ({"exit_code": 1, "memory_evidence": "counted"}, Outcome.CRASHED, "status 1"),
    ],
)
def test_each_ending_has_its_outcome(facts: dict[str, object], outcome: Outcome | None, why: str) -> None:
    ending = judged(**facts)
    assert ending.outcome is outcome
    assert why in ending.why


@pytest.fixture
def paths(workspace: Workspace) -> RunPaths:
    queued = RunQueued(run_id="0abcdef0", name="try", kind="train", recipe_sha256="")
    return create_run_folder(workspace, Job(queued=queued, created_at=0.0), "")


def write(paths: RunPaths, file: str, attempt: int, *events: Event) -> None:
    with Spool.open(getattr(paths, file), attempt) as spool:
        spool.append_all(events)


STARTED = Started(kind="train", pid=5, boot_id="b", start_ticks=9)
DONE = Finished(outcome="completed", message='{"type":"Started"}')


def test_facts_belong_to_one_attempt(paths: RunPaths) -> None:
    assert attempt_facts(paths, 1) == (None, None)
    write(paths, "events", 1, STARTED)
    write(paths, "events", 2, DONE)
    assert attempt_facts(paths, 1) == (STARTED, None)
    assert attempt_facts(paths, 2) == (None, DONE)


def test_the_process_of_a_start_is_the_one_named_since_its_last_move(paths: RunPaths) -> None:
    starting = Moved(from_state="queued", to_state="starting", journal_seq=1)
    assert last_spawned(paths, 1) is None
    write(paths, "supervisor", 1, starting, WorkerSpawned(pid=5, boot_id="b", start_ticks=9))
    assert last_spawned(paths, 1) == ProcessIdentity("b", 5, 9)
    assert last_spawned(paths, 2) is None
    write(paths, "supervisor", 1, Moved(from_state="starting", to_state="running", journal_seq=1))
    assert last_spawned(paths, 1) == ProcessIdentity("b", 5, 9)
    write(paths, "supervisor", 1, Moved(from_state="starting", to_state="queued", journal_seq=1), starting)
    assert last_spawned(paths, 1) is None


def test_the_last_line_of_a_log_is_found_in_any_noise(paths: RunPaths) -> None:
    assert last_line(paths.log) == ""
    paths.log.write_bytes(b"x" * 100_000 + b"\n 10%\r 20%\r last \xff\n\n  \n")
    assert last_line(paths.log) == "last \ufffd"
