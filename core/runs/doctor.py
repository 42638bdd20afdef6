"""What `finetui doctor` says about this machine, installation and workspace: facts, each with what to do about it.

It looks and never mends; nothing here imports a training library (versions come from the installed metadata), so it
also works where the installation is what is broken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from core.errors import FinetuiError
from core.gpu.host import disk_free_bytes
from core.locks import FileLock
from core.paths import Workspace, is_private
from core.runs.findings import Finding
from core.runs.installation import check_core_package, check_packages, check_python
from core.runs.launch import supervisor_lives
from core.runs.machine import check_detaching, check_gpus
from core.store.policy import is_network, journal_policy
from core.units import GIB, format_bytes

__all__ = ["Finding", "doctor"]

LOW_DISK_BYTES = 5 * GIB


def doctor(workspace: Workspace) -> tuple[Finding, ...]:
    """Everything worth knowing before a run, in the order in which it can fail."""
    checks = (
        check_python(),
        check_packages(),
        check_core_package(),
        _umask(),
        _disk(workspace),
        _locks(workspace),
        _permissions(workspace),
        _sqlite(workspace),
        _supervisor(workspace),
        check_detaching(),
        check_gpus(),
    )
    return tuple(finding for check in checks for finding in check)


def _umask() -> Iterator[Finding]:
    mask = os.umask(0o077)
    os.umask(mask)
    if mask & 0o077 == 0o077:
        yield Finding("ok", "umask", f"new files are private (umask {mask:03o})")
    else:
        yield Finding(
            "ok", "umask", f"your shell's umask is {mask:03o}; finetui makes its own files private (077) all the same"
        )


def _disk(workspace: Workspace) -> Iterator[Finding]:
    folder = _existing(workspace.root)
    free = disk_free_bytes(folder)
    kind = journal_policy(folder).file_system
    if is_network(kind):
        yield Finding(
            "warning",
            "file system",
            f"the workspace is on a {kind} file system: slower, and its locks may not hold between hosts",
            "choose a local folder with --workspace",
        )
    else:
        yield Finding("ok", "file system", f"the workspace is on {kind or 'a file system of unknown kind'}")
    if free is not None and free < LOW_DISK_BYTES:
        message = f"only {format_bytes(free)} are free for the workspace"
        yield Finding("warning", "disk", message, "free some space, for example with `finetui gc`")
    else:
        yield Finding("ok", "disk", f"{format_bytes(free)} free for the workspace")


def _locks(workspace: Workspace) -> Iterator[Finding]:
    if not workspace.state.is_dir():
        yield Finding("ok", "locks", "the workspace is made on first use; its locks are checked then")
        return
    probe = workspace.state / f"doctor-{os.getpid()}.lock"
    try:
        with FileLock(probe) as lock:
            works = lock.try_acquire()
        probe.unlink(missing_ok=True)
    except (FinetuiError, OSError) as error:
        yield Finding("error", "locks", f"files can't be locked here: {error}", "choose a local disk with --workspace")
        return
    yield Finding(
        "ok" if works else "error", "locks", "file locks work" if works else "a fresh lock file is held already"
    )


def _permissions(workspace: Workspace) -> Iterator[Finding]:
    root = _existing(workspace.root)
    if not os.access(root, os.W_OK | os.X_OK):
        yield Finding("error", "permissions", f"{root} is not writable", "choose another folder with --workspace")
        return
    loose = []
    for path in (workspace.database, workspace.journal, workspace.runs, workspace.state, workspace.cache):
        if path.exists() and not is_private(path):
            loose.append(path)
        if path.exists() and path.stat().st_uid != os.getuid():
            yield Finding("warning", "permissions", f"{path} belongs to another user", f"chown {os.getuid()} {path}")
    if loose:
        names = ", ".join(path.name for path in loose)
        fix = "chmod go-rwx " + " ".join(str(path) for path in loose)
        yield Finding("warning", "permissions", f"others on this machine can reach {names}", fix)
    else:
        yield Finding("ok", "permissions", "what finetui wrote here is private")


def _sqlite(workspace: Workspace) -> Iterator[Finding]:
    policy = journal_policy(_existing(workspace.root))
    yield Finding("ok", "sqlite", f"SQLite {policy.sqlite_version}, journal mode {policy.mode}: {policy.reason}")


def _supervisor(workspace: Workspace) -> Iterator[Finding]:
    try:
        lives = supervisor_lives(workspace)
    except OSError as error:
        yield Finding("warning", "supervisor", f"can't tell whether a supervisor lives: {error.strerror}")
        return
    yield Finding(
        "ok", "supervisor", "a supervisor works here" if lives else "none lives now; queueing a run starts one"
    )


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
