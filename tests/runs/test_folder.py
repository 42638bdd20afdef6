"""A run folder appears whole or not at all, under an id that sorts by creation."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import RunError, WorkspaceError
from core.events import Job, RunQueued
from core.paths import RUN_ID, Workspace
from core.runs.folder import create_run_folder, new_run_id, read_job


def make_job(run_id: str) -> Job:
    queued = RunQueued(run_id=run_id, name="try", kind="train", recipe_sha256="0" * 64)
    return Job(queued=queued, created_at=1.5, arguments={"sets": ["task"]})


def test_ids_are_valid_and_sort_by_creation(monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.time()
    ids = []
    for half_seconds in range(0, 4_000_000, 40_001):
        monkeypatch.setattr(time, "time", lambda moment=start + half_seconds / 2: moment)
        ids.append(new_run_id())
    assert len(ids) == 100
    assert all(RUN_ID.fullmatch(run_id) for run_id in ids)
    assert ids == sorted(ids)


def test_what_is_written_is_read_back_and_private(workspace: Workspace) -> None:
    os.umask(0)
    job = make_job("0abcdef0")
    paths = create_run_folder(workspace, job, "name: try\n")
    assert read_job(paths) == job
    assert paths.recipe.read_text() == "name: try\n"
    modes = {path.name: path.stat().st_mode & 0o077 for path in (paths.folder, paths.job, paths.recipe)}
    assert modes == dict.fromkeys(modes, 0)
    assert [path.name for path in workspace.runs.iterdir()] == ["0abcdef0"]


def test_an_id_that_is_taken_is_refused_and_the_run_untouched(workspace: Workspace) -> None:
    create_run_folder(workspace, make_job("0abcdef0"), "first")
    with pytest.raises(FileExistsError):
        create_run_folder(workspace, make_job("0abcdef0"), "second")
    assert workspace.run("0abcdef0").recipe.read_text() == "first"
    assert [path.name for path in workspace.runs.iterdir()] == ["0abcdef0"]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="run folder"):
        create_run_folder(Workspace(tmp_path / "file"), make_job("0abcdef0"), "")


def test_a_broken_job_file_is_a_clear_error(workspace: Workspace) -> None:
    paths = create_run_folder(workspace, make_job("0abcdef0"), "")
    paths.job.write_text('{"version": 1}')
    with pytest.raises(RunError, match=r"job\.json"):
        read_job(paths)
    with pytest.raises(RunError):
        read_job(replace(paths, folder=workspace.runs / "missing0"))
