"""A worker runs if and only if it was let run; detached by the service manager where that outlives the login."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import LaunchError
from core.events import Job, RunQueued
from core.paths import RunPaths, Workspace
from core.runs import launch
from core.runs.folder import create_run_folder
from core.runs.identity import is_alive, read_boot_id
from core.runs.launch import PendingWorker, module_command, scope_prefix, spawn_worker


@pytest.fixture
def paths(workspace: Workspace) -> RunPaths:
    queued = RunQueued(run_id="0abcdef0", name="try", kind="train", recipe_sha256="")
    return create_run_folder(workspace, Job(queued=queued, created_at=0.0), "")


def spawn(paths: RunPaths) -> PendingWorker:
    return spawn_worker(paths, attempt=1, device="cpu", module="no_such_module", boot_id=read_boot_id())


def test_a_worker_that_is_abandoned_has_run_nothing(paths: RunPaths) -> None:
    pending = spawn(paths)
    assert is_alive(pending.identity)
    pending.abandon()
    assert not is_alive(pending.identity)
    assert paths.log.read_bytes() == b""


def test_a_worker_that_is_released_runs_under_the_same_identity(paths: RunPaths) -> None:
    pending = spawn(paths)
    pending.release()
    pid, status = os.waitpid(pending.identity.pid, 0)
    assert (pid, os.waitstatus_to_exitcode(status)) == (pending.identity.pid, 1)
    assert "no_such_module" in paths.log.read_text()


def test_a_planted_log_is_refused(paths: RunPaths, tmp_path: Path) -> None:
    paths.log.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LaunchError, match=r"worker\.log"):
        spawn(paths)
    assert not (tmp_path / "elsewhere").exists()


def test_no_module_of_the_current_folder_is_imported() -> None:
    assert module_command("core.worker", "x")[1:] == ["-P", "-m", "core.worker", "x"]


def test_a_scope_is_used_only_where_it_outlives_the_login(
    paths: RunPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, runtime, linger = tmp_path / "bin", tmp_path / "runtime", tmp_path / "linger"
    for folder in (programs, runtime, linger):
        folder.mkdir()
    program = programs / "systemd-run"
    program.write_text('#!/bin/sh\nwhile [ "$1" != "--" ]; do shift; done; shift; echo scoped; exec "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(launch, "LINGER_FOLDER", linger)
    environment = {"PATH": str(programs), "XDG_RUNTIME_DIR": str(runtime), "USER": "ada"}
    assert scope_prefix("unit", environment) == []
    (runtime / "bus").touch()
    assert scope_prefix("unit", environment) == []
    (linger / "ada").touch()
    assert scope_prefix("unit", environment)[:3] == [str(program), "--user", "--scope"]
    assert scope_prefix("unit", {**environment, "PATH": "/nowhere"}) == []

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    pending = spawn(paths)
    assert pending.detached_by == "systemd"
    pending.release()
    assert os.waitpid(pending.identity.pid, 0)[0] == pending.identity.pid
    assert paths.log.read_text().startswith("scoped\n")
