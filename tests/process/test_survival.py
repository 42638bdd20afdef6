"""Nothing is lost and nothing runs twice when supervisors are killed, doubled, rebooted, or the shell goes away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest

from core.events import Moved, StepLogged, WorkerSpawned
from core.locks import lock_holder
from core.runs import launch
from core.runs.identity import read_boot_id
from core.runs.launch import ensure_supervisor, module_command, supervisor_lives
from core.runs.queue import release, resume
from core.runs.requests import ask
from core.runs.spool import Spool, tail
from core.states import Outcome, State
from core.store.rebuild import differing_tables
from tests.conftest import wait_until
from tests.process.conftest import ROOT, Site, run_script, write_recipe
from tests.process.fake_worker import REFUSED


def steps_of(site: Site, run_id: str) -> list[int]:
    return [event.step for event in site.events(run_id) if isinstance(event, StepLogged)]


def test_a_killed_supervisor_is_replaced_and_adopts(site: Site) -> None:
    run_id = site.submit(steps=80, step_seconds=0.02)
    site.until_step(run_id, 3)
    pid = site.worker_pid(run_id)
    assert site.kill_supervisors() == 1
    ensure_supervisor(site.workspace)
    run = site.end(run_id)
    assert (run.outcome, run.step) == (Outcome.COMPLETED, 80)
    assert [event.pid for event in site.started(run_id)] == [pid]
    assert steps_of(site, run_id) == list(range(1, 81))
    assert "adopted" in site.log()


def test_an_adopted_worker_takes_requests_and_its_death_is_seen(site: Site) -> None:
    run_id = site.submit_long()
    site.until_step(run_id, 3)
    site.kill_supervisors()
    assert ask(site.workspace, run_id, "save").ok
    os.kill(site.worker_pid(run_id), signal.SIGKILL)
    killed_at = time.monotonic()
    run = site.end(run_id)
    assert run.outcome is Outcome.CRASHED
    assert time.monotonic() - killed_at < 3


def test_a_worker_that_ends_alone_wakes_a_supervisor(site: Site) -> None:
    run_id = site.submit(steps=40, step_seconds=0.02)
    after = site.submit(steps=2)
    site.until_step(run_id, 3)
    assert site.kill_supervisors() == 1
    events = site.workspace.run(after).events
    wait_until(lambda: events.exists() and b"Finished" in events.read_bytes(), "the next job to be done, by itself")
    assert site.end(run_id).outcome is site.end(after).outcome is Outcome.COMPLETED


def test_many_supervisor_kills_lose_nothing_and_run_nothing_twice(site: Site) -> None:
    run_ids = [site.submit(steps=12, step_seconds=0.01, checkpoint_every=4) for _ in range(5)]
    kills = 0
    deadline = time.monotonic() + 80
    while not all(site.run(run_id).state is State.FINISHED for run_id in run_ids):
        assert time.monotonic() < deadline, site.log()
        ensure_supervisor(site.workspace)
        wait_until(lambda: supervisor_lives(site.workspace), "a supervisor to live")
        time.sleep(0.04 * (kills % 6))  # from its first line of code to the middle of a pass
        kills += site.kill_supervisors()
        if kills > 20:
            time.sleep(1.0)
    assert kills >= 5
    for run_id in run_ids:
        run = site.run(run_id)
        assert (run.outcome, run.attempt) == (Outcome.COMPLETED, 1), (run, site.log())
        assert len(site.started(run_id)) == 1
        assert steps_of(site, run_id) == list(range(1, 13))
    site.leave()
    assert differing_tables(site.workspace) == ()


def test_a_second_supervisor_says_that_another_lives(site: Site) -> None:
    run_id = site.submit_long()
    site.until_step(run_id, 1)
    second = subprocess.run(
        module_command("core.supervisor", "--workspace", str(site.workspace.root), "--wait-for-lock", "0.3"),
        capture_output=True, text=True, timeout=20, check=False, cwd=ROOT,
    )  # fmt: skip
    assert second.returncode == 1
    assert "another supervisor lives" in second.stderr
    assert len(site.supervisor_pids()) == 1


def test_a_waiting_supervisor_takes_over_when_the_first_one_dies(site: Site) -> None:
    run_id = site.submit_long()
    site.until_step(run_id, 1)
    first = site.supervisor_pids()
    command = module_command("core.supervisor", "--workspace", str(site.workspace.root), "--no-samples")
    second = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    wait_until(lambda: len(site.supervisor_pids()) == 2, "the second one to begin")
    os.kill(first[0], signal.SIGKILL)
    wait_until(lambda: lock_holder(site.workspace.supervisor_lock) == second.pid, "the second one to take over")
    assert ask(site.workspace, run_id, "stop").ok
    _, log = second.communicate(timeout=30)
    assert second.returncode == 0
    assert f"adopted {run_id}" in log
    assert site.run(run_id).outcome is Outcome.STOPPED


def test_sigterm_ends_the_supervisor_and_leaves_the_worker(site: Site) -> None:
    run_id = site.submit(steps=60, step_seconds=0.02)
    site.until_step(run_id, 1)
    site.kill_supervisors(signal.SIGTERM)
    wait_until(lambda: not supervisor_lives(site.workspace), "the supervisor to end")
    assert "workers go on" in site.log()
    assert site.end(run_id).outcome is Outcome.COMPLETED
    assert len(site.started(run_id)) == 1


@pytest.mark.parametrize("was_process_made", [False, True])
def test_a_start_that_was_interrupted_is_begun_again_once(
    site: Site, was_process_made: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor that died before it let the worker run has left a run in `starting` that nobody runs."""
    run_id = site.submit(steps=3, held=True)
    paths = site.workspace.run(run_id)
    with monkeypatch.context() as patch:
        patch.setattr("core.runs.queue.ensure_supervisor", lambda workspace: False)
        release(site.workspace, run_id)
    with Spool.open(paths.supervisor, 1) as spool:
        spool.append(Moved(from_state="queued", to_state="starting", journal_seq=2))
        if was_process_made:
            spool.append(WorkerSpawned(pid=os.getpid(), boot_id=read_boot_id(), start_ticks=1))
    assert site.run(run_id).state is State.STARTING
    ensure_supervisor(site.workspace)
    assert site.end(run_id).outcome is Outcome.COMPLETED
    assert len(site.started(run_id)) == 1
    spawned = [r for _, r in tail(paths.supervisor, 0).records if isinstance(r.event, WorkerSpawned)]
    assert len(spawned) == 1 + was_process_made


def test_a_second_worker_for_an_attempt_steps_back(site: Site) -> None:
    run_id = site.submit_long()
    site.until_step(run_id, 1)
    environment = {**os.environ, "FINETUI_ATTEMPT": "1", "PYTHONPATH": str(ROOT)}
    command = module_command("tests.process.fake_worker", str(site.workspace.run(run_id).folder))
    second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode == REFUSED
    ask(site.workspace, run_id, "stop")
    assert site.end(run_id).outcome is Outcome.STOPPED
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert again.returncode == REFUSED
    assert len(site.started(run_id)) == 1


def test_after_a_reboot_live_runs_are_lost_and_the_queue_is_held(site: Site, tmp_path: Path) -> None:
    run_id = site.submit(steps=5000, step_seconds=0.02, checkpoint_every=2)
    waiting = site.submit(steps=2)
    site.until_step(run_id, 5)
    site.kill_supervisors()
    os.kill(site.worker_pid(run_id), signal.SIGKILL)
    boot = tmp_path / "boot_id"
    boot.write_text("another-boot\n")
    launch.SUPERVISOR_OPTIONS.extend(["--boot-id-file", str(boot)])
    ensure_supervisor(site.workspace)
    run = site.end(run_id)
    assert run.outcome is Outcome.LOST
    assert site.end(waiting).state is State.HELD
    assert site.started(waiting) == []
    del launch.SUPERVISOR_OPTIONS[-2:]
    wait_until(lambda: not supervisor_lives(site.workspace), "the supervisor to end")
    assert resume(site.workspace, run_id) == 2
    site.until(run_id, lambda run: run.state is State.RUNNING, "the lost run to resume")
    assert site.started(run_id)[-1].resumed_from_step is not None


SHELL = """
import sys
from pathlib import Path
from core.locks import lock_holder
from core.paths import Workspace
from core.recipe.load import load_recipe
from core.runs.queue import submit
run_id = submit(Workspace(Path(sys.argv[1])), load_recipe(Path(sys.argv[2])), device="cpu",
                arguments={"fake": {"steps": 150, "step_seconds": 0.02}})
print("queued", run_id, flush=True)
"""


def test_closing_the_terminal_changes_nothing(site: Site, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "recipe")
    script = tmp_path / "shell.py"
    options = f"from core.runs import launch\nlaunch.SUPERVISOR_OPTIONS[:] = {launch.SUPERVISOR_OPTIONS!r}\n"
    script.write_text(options + SHELL)
    shell = pexpect.spawn(
        "/bin/sh", encoding="utf-8", cwd=str(ROOT), env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=20
    )
    shell.sendline(f"{sys.executable} {script} {site.workspace.root} {recipe}; sleep 100")
    shell.expect(r"queued (\w{8})")
    run_id = str(shell.match.group(1))
    site.until_step(run_id, 5)
    shell.close(force=True)  # the terminal is gone: SIGHUP to its session, then SIGKILL to the shell
    run = site.end(run_id)
    assert (run.outcome, run.step) == (Outcome.COMPLETED, 150)
    assert len(site.started(run_id)) == 1


QUEUER = """
import sys
from pathlib import Path
from core.paths import Workspace
from core.recipe.load import load_recipe
from core.runs.labels import tag
from core.runs.queue import submit
workspace = Workspace(Path(sys.argv[1]))
recipe = load_recipe(Path(sys.argv[2]))
for number in range(int(sys.argv[4])):
    run_id = submit(workspace, recipe, device="none", arguments={"fake": {"steps": 1, "step_seconds": 0}})
    tag(workspace, run_id, f"{sys.argv[3]}-{number}")
    print(run_id, flush=True)
"""


def test_four_processes_queue_and_tag_at_once(site: Site, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "recipe")
    each = 4
    queuers = [
        run_script(QUEUER, str(site.workspace.root), str(recipe), f"process{number}", str(each)) for number in range(4)
    ]
    outputs = [queuer.communicate(timeout=60) for queuer in queuers]
    assert [queuer.returncode for queuer in queuers] == [0] * 4, outputs
    run_ids = [line for output, _ in outputs for line in output.split()]
    assert len(set(run_ids)) == 4 * each
    rows = [site.end(run_id) for run_id in run_ids]
    assert [row.outcome for row in rows] == [Outcome.COMPLETED] * 16
    tags = [f"process{number // each}-{number % each}" for number in range(4 * each)]
    assert [row.tags for row in rows] == [(tag,) for tag in tags]
    assert all(len(site.started(run_id)) == 1 for run_id in run_ids)
    records = tail(site.workspace.journal, 0)
    assert [record.seq for _, record in records.records] == list(range(1, 2 * 16 + 1))
    assert records.damaged_lines == 0
    site.leave()
    assert differing_tables(site.workspace) == ()


def test_no_secret_reaches_a_command_line_or_a_file(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "hf_CANARYCANARYCANARYCANARY"
    monkeypatch.setenv("HF_TOKEN", canary)
    monkeypatch.setenv("MY_SERVICE_TOKEN", "CANARYSERVICETOKEN")
    run_id = site.submit_long()
    site.until_step(run_id, 2)
    pid = site.worker_pid(run_id)
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert canary.encode() in environment
    assert b"CANARYSERVICETOKEN" not in environment
    for process in (pid, *site.supervisor_pids()):
        assert b"CANARY" not in Path(f"/proc/{process}/cmdline").read_bytes()
    ask(site.workspace, run_id, "stop")
    site.end(run_id)
    files = [path for path in site.workspace.root.rglob("*") if path.is_file()]
    assert len(files) > 6
    assert [path for path in files if b"CANARY" in path.read_bytes()] == []


def test_workers_are_detached_and_first_in_line_for_the_memory_killer(site: Site) -> None:
    run_id = site.submit_long()
    site.until_step(run_id, 1)
    pid = site.worker_pid(run_id)
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "500"
    assert (Path(f"/proc/{pid}/fd/0").readlink(), Path(f"/proc/{pid}/fd/1").readlink()) == (
        Path(os.devnull), site.workspace.run(run_id).log,
    )  # fmt: skip
    job = json.loads(site.workspace.run(run_id).job.read_text())
    assert job["arguments"]["choices"]
