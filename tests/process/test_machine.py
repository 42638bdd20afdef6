"""The supervisor against a machine that refuses: a full disk, a missing folder, a start that fails; and its cost."""

from __future__ import annotations

import os
import resource
import shutil
import time
from pathlib import Path

import pytest

from core.errors import LaunchError
from core.events import HardwareSampled, Moved
from core.runs import launch
from core.runs.queue import cancel, release
from core.runs.requests import ask
from core.runs.spool import tail
from core.states import Outcome, State
from core.store.rebuild import differing_tables
from tests.conftest import wait_until
from tests.process.conftest import Site


def moves(site: Site, run_id: str) -> list[tuple[str, str]]:
    records = tail(site.workspace.run(run_id).supervisor, 0).records
    found = [record.event for _, record in records if isinstance(record.event, Moved)]
    return [(event.from_state, event.to_state) for event in found]


LIFE = [("queued", "starting"), ("starting", "running"), ("running", "finished")]


def test_a_supervisor_outlives_a_full_disk(site: Site) -> None:
    """All its writes fail from some moment on: its spools and the database; afterwards nothing is missing."""
    run_id = site.submit(steps=60, step_seconds=0.02)
    after = site.submit(steps=3)
    site.until_step(run_id, 5)
    (pid,) = site.supervisor_pids()
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (10, hard))
    events = site.workspace.run(run_id).events
    wait_until(lambda: b"Finished" in events.read_bytes(), "the worker to finish")
    time.sleep(0.5)
    assert site.supervisor_pids() == [pid]
    assert site.run(run_id).state is State.RUNNING
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    assert site.end(run_id).outcome is site.end(after).outcome is Outcome.COMPLETED
    assert site.run(run_id).step == 60
    assert moves(site, run_id) == moves(site, after) == LIFE
    for path in (site.workspace.run(run_id).supervisor, site.workspace.journal):
        found = tail(path, 0)
        assert found.damaged_lines == 0
        assert [record.seq for _, record in found.records] == list(range(1, len(found.records) + 1))
    site.leave()
    assert differing_tables(site.workspace) == ()


def test_a_start_that_keeps_failing_ends_as_could_not_start_and_the_queue_goes_on(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = site.submit(steps=2, held=True)
    site.workspace.run(first).log.symlink_to(tmp_path / "elsewhere")
    site.workspace.settings.write_text("gpu: 0\n")
    release(site.workspace, first)
    second = site.submit(steps=2)
    assert site.end(second).outcome is Outcome.COMPLETED
    run = site.end(first)
    assert run.outcome is Outcome.COULD_NOT_START
    assert "worker.log" in run.message
    assert not (tmp_path / "elsewhere").exists()


def test_a_run_whose_folder_was_deleted_keeps_nobody_waiting(site: Site) -> None:
    held = site.submit(held=True)
    blocking = site.submit_long()
    gone = site.submit(steps=2)
    after = site.submit(steps=2)
    site.until_step(blocking, 1)
    shutil.rmtree(site.workspace.run(gone).folder)
    ask(site.workspace, blocking, "stop")
    assert site.end(after).outcome is Outcome.COMPLETED
    wait_until(lambda: not site.supervisor_pids(), "the supervisor to leave")
    cancel(site.workspace, gone)
    cancel(site.workspace, held)
    assert site.run(gone).outcome is Outcome.STOPPED


def test_hardware_is_sampled_while_a_run_lives(site: Site) -> None:
    launch.SUPERVISOR_OPTIONS.remove("--no-samples")
    run_id = site.submit_long()
    path = site.workspace.run(run_id).supervisor

    def samples() -> list[HardwareSampled]:
        found = [record.event for _, record in tail(path, 0).records]
        return [event for event in found if isinstance(event, HardwareSampled)]

    wait_until(samples, "a reading of the machine")
    assert samples()[0].host_memory_total_bytes
    (sampler,) = site.sampler_pids()
    os.kill(sampler, 9)
    before = len(samples())
    ask(site.workspace, run_id, "stop")
    assert site.end(run_id).outcome is Outcome.STOPPED
    assert before >= 1
    wait_until(lambda: not site.sampler_pids(), "the sampler to end")


def test_an_idle_pass_is_cheap(site: Site) -> None:
    """The budget: a supervisor that watches a slow run takes under 3 % of one core."""
    run_id = site.submit(steps=100, step_seconds=0.5)
    site.until_step(run_id, 1)
    (pid,) = site.supervisor_pids()

    def cpu_seconds() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before, began = cpu_seconds(), time.monotonic()
    time.sleep(3.0)
    share = (cpu_seconds() - before) / (time.monotonic() - began)
    ask(site.workspace, run_id, "stop")
    assert share < 0.03


def test_a_supervisor_that_cannot_live_is_not_started_for_ever(site: Site) -> None:
    launch.SUPERVISOR_OPTIONS.append("--no-such-option")
    run_id = site.submit(steps=1)
    with pytest.raises(LaunchError, match="ends as soon as it is started"):
        site.end(run_id)
    launch.SUPERVISOR_OPTIONS.pop()
    assert site.end(run_id).outcome is Outcome.COMPLETED
