"""Name a process for ever, so that a recycled pid is never taken for a worker.

Boot id, pid and start ticks together name one process. This module must not signal or judge: a lock says who lives,
this says who it was.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """`start_ticks` is field 22 of /proc/<pid>/stat (proc_pid_stat(5)): clock ticks from boot to its start."""

    boot_id: str
    pid: int
    start_ticks: int


def read_boot_id(file: Path = BOOT_ID_FILE) -> str:
    """The id of this boot of the machine, empty where the system has none."""
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def identify(pid: int, boot_id: str | None = None) -> ProcessIdentity | None:
    """The identity of a process that exists now, None where there is none; a zombie counts as gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rfind(b")") + 2 :].split()  # the name before it may hold spaces and brackets
    if fields[0] in (b"Z", b"X"):
        return None
    return ProcessIdentity(read_boot_id() if boot_id is None else boot_id, pid, int(fields[19]))


def this_process() -> ProcessIdentity:
    """The identity of the calling process.

    Raises:
        OSError: the system has no /proc.
    """
    identity = identify(os.getpid())
    if identity is None:
        raise OSError("this system has no /proc")
    return identity


def is_alive(identity: ProcessIdentity, boot_id: str | None = None) -> bool:
    """Whether exactly this process exists now; `boot_id` is the current boot's, read where it is not given."""
    return identify(identity.pid, boot_id) == identity
