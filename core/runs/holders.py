"""Ask who holds a lock without touching it.

Probing a lock by taking it for an instant would make another prober, or its rightful owner, believe that it is held.
The kernel can be asked instead (fcntl(2), F_GETLK). This module must not take a lock, and must not be asked about a
lock of the calling process: closing any descriptor of the file would drop it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

_FLOCK = struct.Struct("hhqqi4x")  # l_type, l_whence, l_start, l_len, l_pid of 64-bit Linux


def lock_holder(path: Path) -> int | None:
    """The pid that holds the lock on `path`; None where it is free or the file is missing.

    The pid is 0 or negative where the holder is outside this process's pid namespace or on another host.

    Raises:
        OSError: the file can't be opened, or the file system has no locks.
    """
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
    return None if kind == fcntl.F_UNLCK else pid
