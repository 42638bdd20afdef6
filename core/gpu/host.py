"""Processor, memory and disk of this machine, and what a worker with its children takes of it.

psutil is imported inside the functions: a light command must not pay for it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReading:
    """One look at the machine; `None` is not measured.

    `cpu_percent` is over all cores (0 to 100) since the last look of this process; the first look has none.
    `memory_used_bytes` is what can't be given to a new process (total less available).
    """

    cpu_percent: float | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    disk_free_bytes: int | None
    worker_memory_bytes: int | None


class Host:
    """The machine, looked at again and again: keeps the processor times between two looks."""

    def __init__(self, disk: Path, worker_pid: int | None = None) -> None:
        self._disk = disk
        self._worker_pid = worker_pid
        self._looked = False

    def read(self) -> HostReading:
        """One reading; never raises for a worker that is gone or a disk that does not answer."""
        import psutil

        percent = psutil.cpu_percent(interval=None)
        memory = psutil.virtual_memory()
        reading = HostReading(
            cpu_percent=percent if self._looked else None,
            memory_used_bytes=memory.total - memory.available,
            memory_total_bytes=memory.total,
            disk_free_bytes=disk_free_bytes(self._disk),
            worker_memory_bytes=None if self._worker_pid is None else process_memory_bytes(self._worker_pid),
        )
        self._looked = True
        return reading


def disk_free_bytes(path: Path) -> int | None:
    """Bytes that this user may still write on the disk of `path`, or None where it can't be asked."""
    try:
        disk = os.statvfs(path)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def process_memory_bytes(pid: int) -> int | None:
    """Resident memory of a process and all its children; None where it is gone.

    Pages that they share are counted for each: an upper bound, cheap enough for every two seconds.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        total = int(process.memory_info().rss)
        children = process.children(recursive=True)
    except psutil.Error:
        return None
    for child in children:
        try:
            total += int(child.memory_info().rss)
        except psutil.Error:
            continue  # it ended between the list and the look
    return total
