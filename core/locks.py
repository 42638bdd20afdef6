"""Locks between processes, as POSIX record locks on files: the truth about who lives.

`lockf` and not `flock`: a `flock` stays held by forked data loaders after their parent was killed. Its trap: closing
*any* descriptor of the file drops the process's lock, so a locked file must be opened only through this module.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from core.errors import WorkspaceError
from core.paths import make_private_folder

_held: set[str] = set()
"""Files this process has locked: opening one of them again and closing it would silently drop the lock."""


class FileLock:
    """An exclusive lock on `path`, held until `release()` or the death of the process.

    Raises:
        WorkspaceError: the file system has no locks, or the folder is not writable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def try_acquire(self) -> bool:
        """Take the lock if it is free; False where another process, or another object here, holds it."""
        key = os.path.realpath(self.path)
        if key in _held:
            return False
        try:
            make_private_folder(self.path.parent)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise WorkspaceError(
                f"can't open the lock file {self.path}: {error.strerror}",
                try_this="check that the folder is yours and writable, and that the disk is not full",
            ) from error
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            raise WorkspaceError(
                f"the file system of {self.path} has no file locks: {error.strerror}",
                try_this="choose a workspace on a local disk with --workspace",
            ) from error
        self._descriptor = descriptor
        _held.add(key)
        return True

    def acquire(self, timeout_seconds: float, poll_seconds: float = 0.02) -> bool:
        """Take the lock, waiting up to `timeout_seconds`; False where it was still held then."""
        deadline = time.monotonic() + timeout_seconds
        while not self.try_acquire():
            if time.monotonic() >= deadline:
                return False
            time.sleep(poll_seconds)
        return True

    def release(self) -> None:
        """Give the lock back; does nothing where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            _held.discard(os.path.realpath(self.path))

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock on `path`; a missing file is not locked. Never creates the file."""
    if os.path.realpath(path) in _held:
        return True
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return True
        raise
    finally:
        os.close(descriptor)
    return False
