"""Make and read a run folder: everything a worker needs to know before it starts, written once.

A folder appears whole (staged beside, then renamed) or not at all. This module must not start or judge a run.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from core.errors import RunError, WorkspaceError
from core.events import Job
from core.paths import RunPaths, Workspace, make_private_folder
from core.runs.spool import sync_folder

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_EPOCH = 1_735_689_600  # 2025-01-01T00:00:00Z
_UNITS_PER_SECOND = 2  # 30 bits of half seconds last until 2042; then ids start again, which costs only their order


def new_run_id() -> str:
    """8 characters of Crockford's base32 (https://www.crockford.com/base32.html): 6 of time, so that ids sort by
    creation to half a second, and 2 random ones."""
    ticks = int((time.time() - _EPOCH) * _UNITS_PER_SECOND) % 2**30
    number = ticks << 10 | secrets.randbits(10)
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(35, -1, -5))


def create_run_folder(
    workspace: Workspace, job: Job, recipe_text: str | None, fill: Callable[[RunPaths], None] | None = None
) -> RunPaths:
    """Make `runs/<id>/` with job.json and recipe.yaml, staged and renamed; both are on the disk afterwards.

    A run that was imported has no recipe (None). `fill` writes more files into the staged folder, before anybody can
    see it; what it raises besides OSError passes through, and nothing is left then.

    Raises:
        FileExistsError: a run of this id exists already: draw another.
        WorkspaceError: the workspace can't be written, or the disk is full.
    """
    paths = workspace.run(job.queued.run_id)
    staging = workspace.runs / f".staging-{paths.run_id}-{secrets.token_hex(4)}"
    try:
        make_private_folder(workspace.runs)
        staging.mkdir(mode=0o700)
        _write_synced(staging / "job.json", job.to_text())
        if recipe_text is not None:
            _write_synced(staging / "recipe.yaml", recipe_text)
        if fill is not None:
            fill(RunPaths(staging))
        sync_folder(staging)
        os.rename(staging, paths.folder)  # noqa: PTH104  # fails where the target is a folder with content
        sync_folder(workspace.runs)
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        if paths.folder.exists():
            raise FileExistsError(f"run {paths.run_id} exists already") from error
        raise WorkspaceError(
            f"can't make the run folder {paths.folder}: {error.strerror}",
            try_this="check that the workspace is yours and writable, and that the disk is not full",
        ) from error
    except BaseException:  # what `fill` raised; nothing half made may stay, whatever it was
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return paths


def read_job(paths: RunPaths) -> Job:
    """What the run was asked to do.

    Raises:
        RunError: job.json is missing or not ours.
    """
    try:
        return Job.from_text(paths.job.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"can't read {paths.job}: {error}",
            try_this="`finetui fsck` lists what is missing in the workspace",
        ) from error


def _write_synced(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
