"""How a checkpoint comes to be: staged, flushed to disk, described by a manifest, renamed into place, then announced.

Until the rename nobody can see it, after the rename every byte is on disk: a kill or a full disk at any moment leaves
either the whole checkpoint or none. This module must not know what the files mean; no torch here. It is the front door
of its neighbours `manifests` (reading and proving) and `retention` (deleting).
"""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from core.errors import CheckpointError, WorkspaceError
from core.paths import RunPaths, make_private_folder
from core.runs.manifests import (
    MANIFEST_NAME,
    MANIFEST_VERSION,
    Json,
    Manifest,
    ManifestFile,
    is_plain_name,
    is_real_folder,
    list_checkpoints,
    manifest_content,
    newest_valid,
    open_without_links,
    read_manifest,
    verify,
    walk_files,
)
from core.runs.retention import move_aside, remove_checkpoint, retain, sweep_staging
from core.runs.spool import sync_folder
from core.units import format_bytes

__all__ = [
    "Manifest",
    "ManifestFile",
    "Published",
    "discard",
    "ensure_space",
    "list_checkpoints",
    "newest_valid",
    "publish",
    "read_manifest",
    "remove_checkpoint",
    "retain",
    "stage",
    "sweep_staging",
    "verify",
]

RESERVE_BYTES = 64 * 1024 * 1024
"""What must stay free beside checkpoints, for spools, logs and the database."""


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that is in place; `bytes` counts all its files, manifest included."""

    folder: Path
    manifest_sha256: str
    bytes: int


def ensure_space(path: Path, expected_bytes: int) -> None:
    """Refuse early where a checkpoint of `expected_bytes` would not fit on the disk of `path`.

    Twice the size is asked for, since a new checkpoint is whole before an old one is deleted, plus `RESERVE_BYTES`.

    Raises:
        WorkspaceError: too little space is free for this user; the message has the numbers.
    """
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    disk = os.statvfs(existing)
    free = disk.f_bavail * disk.f_frsize
    needed = 2 * expected_bytes + RESERVE_BYTES
    if free < needed:
        raise WorkspaceError(
            f"the disk of {existing} has {format_bytes(free)} free, and a checkpoint needs {format_bytes(needed)}",
            why=f"that is twice its {format_bytes(expected_bytes)}, and {format_bytes(RESERVE_BYTES)} for the records",
            try_this="free some space, for example with `finetui gc`, or choose another --workspace",
        )


def stage(run_paths: RunPaths, step: int) -> Path:
    """A new private folder beside the checkpoints, to be filled and then published (or discarded).

    Raises:
        WorkspaceError: the folder can't be made (full disk, no permission, `checkpoints` is a link).
    """
    try:
        make_private_folder(run_paths.checkpoints)
        if not (is_real_folder(run_paths.folder) and is_real_folder(run_paths.checkpoints)):
            raise WorkspaceError(
                f"{run_paths.checkpoints} is a symbolic link",
                try_this="use real folders; to keep checkpoints on another disk choose a --workspace there",
            )
        staging = run_paths.checkpoints / f".staging-{run_paths.checkpoint(step).name}-{secrets.token_hex(4)}"
        staging.mkdir(mode=0o700)
        sync_folder(run_paths.folder)
    except OSError as error:
        raise _not_saved(step, error) from error
    return staging


def discard(staging: Path) -> None:
    """Delete a staging folder that will not be published; a missing one is fine."""
    if staging.name.startswith(".staging-") and is_real_folder(staging):
        shutil.rmtree(staging, ignore_errors=True)


def publish(staging: Path, *, step: int, run_id: str, recipe_sha256: str, extra: Mapping[str, object]) -> Published:
    """Flush and hash every file of `staging`, write its manifest, and rename it to `step-NNNNNN`.

    Where the step has a valid checkpoint already (an earlier attempt published it just before it died), that one stays
    and the staging folder is dropped: a checkpoint once announced is never replaced. A damaged one is moved away.

    Args:
        extra: what else belongs to the checkpoint (parameter types, metrics); JSON values, a non-finite number becomes
            null.

    Raises:
        CheckpointError: `staging` is empty, or holds a link or another thing that is not a file.
        WorkspaceError: the disk is full or refuses; the staging folder is gone, older checkpoints are untouched.
    """
    target = RunPaths(staging.parent.parent).checkpoint(step)
    try:
        content = manifest_content(
            {
                "version": MANIFEST_VERSION,
                "run_id": run_id,
                "step": step,
                "recipe_sha256": recipe_sha256,
                "created_at": round(time.time(), 3),
                "files": [{"name": f.name, "size": f.size, "sha256": f.sha256} for f in _flushed_files(staging)],
                "extra": _finite(dict(extra)),
            }
        )
        _write_flushed(staging / MANIFEST_NAME, content)
        _sync_folders(staging)
        if target.is_symlink() or target.exists():
            kept = _keep_if_valid(target, run_id, recipe_sha256)
            if kept is not None:
                discard(staging)
                return kept
            move_aside(target)
        staging.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        discard(staging)
        raise _not_saved(step, error) from error
    except CheckpointError:
        discard(staging)
        raise
    size = sum((target / name).lstat().st_size for name, _ in walk_files(target))
    return Published(target, hashlib.sha256(content).hexdigest(), size)


def _keep_if_valid(target: Path, run_id: str, recipe_sha256: str) -> Published | None:
    try:
        manifest = verify(target, deep=True)
    except CheckpointError:
        return None
    if (manifest.run_id, manifest.recipe_sha256) != (run_id, recipe_sha256):
        return None
    return Published(target, manifest.sha256, manifest.bytes)


def _flushed_files(staging: Path) -> list[ManifestFile]:
    """Every file with its hash, after its bytes are on disk; the read that hashes is the read that would fail later."""
    files = []
    for name, is_regular in walk_files(staging):
        if not is_regular or not is_plain_name(name):
            raise CheckpointError(
                f"{name!r} in a checkpoint that is being saved is not a regular file with a plain name"
            )
        with open_without_links(staging / name) as stream:
            os.fsync(stream.fileno())
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            files.append(ManifestFile(name, os.fstat(stream.fileno()).st_size, digest))
    if not files:
        raise CheckpointError("a checkpoint without files can't be published", why=f"{staging} is empty")
    return sorted(files, key=lambda file: file.name)


def _write_flushed(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folders(folder: Path) -> None:
    parents = {Path(name).parent for name, _ in walk_files(folder)}
    for parent in sorted({ancestor for path in parents for ancestor in (path, *path.parents)}, reverse=True):
        sync_folder(folder / parent)


def _finite(value: object) -> Json:
    """`value` as JSON can carry it: a metric that is nan must not make the checkpoint unsavable."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return cast(Json, value)


def _not_saved(step: int, error: OSError) -> WorkspaceError:
    return WorkspaceError(
        f"the checkpoint of step {step} could not be saved: {error.strerror}",
        why="older checkpoints are untouched",
        try_this="free some space on the workspace's disk, then ask for a save again",
    )
