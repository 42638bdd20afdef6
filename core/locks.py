"""Locks between processes, as POSIX record locks on files: the truth about who lives.

`lockf` and not `flock`: a `flock` stays held by forked data loaders after their parent was killed. Its trap: closing
*any* descriptor of the file drops the process's lock, so a locked file must be opened only through this module.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from pathlib import Path
from types import TracebackType

from core.errors import WorkspaceError
from core.paths import make_private_folder

_FLOCK = struct.Struct("hhqqi4x")  # l_type, l_whence, l_start, l_len, l_pid of 64-bit Linux

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


def lock_holder(path: Path) -> int | None:
    """The pid that holds the lock on `path`; None where it is free or the file is missing. Never creates the file.

    The kernel is asked (fcntl(2), F_GETLK): probing by taking the lock for an instant would make another prober, or
    its rightful owner, believe that it is held. The pid is 0 or negative where the holder is outside this process's
    pid namespace or on another host.

    Raises:
        OSError: the file can't be opened, or the file system has no locks.
    """
    if os.path.realpath(path) in _held:
        return os.getpid()
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    finally:
        os.close(descriptor)
    kind, _, _, _, pid = _FLOCK.unpack(answer)
    return None if kind == fcntl.F_UNLCK else int(pid)


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock on `path`.

    Raises:
        OSError: as `lock_holder`.
    """
    return lock_holder(path) is not None
