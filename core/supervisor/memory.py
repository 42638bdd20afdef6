"""Evidence that the kernel ended a process for want of memory: its own counters, before and after.

A SIGKILL alone says nothing about who sent it. Sources: cgroup v2 `memory.events` (kernel documentation,
admin-guide/cgroup-v2) and `/proc/vmstat`. This module must not judge a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class MemoryKills:
    """How often the kernel had killed for memory, by counter file, when it was read."""

    counts: dict[Path, int]


def read_memory_kills(pid: int) -> MemoryKills:
    """The counters of the process's control group and of the one above it; of the whole machine where there is none.

    The group above is read too, since a group of its own disappears with its last process.
    """
    counts = {file: count for file in _files_of(pid) if (count := _read(file)) is not None}
    if not counts:
        whole = Path("/proc/vmstat")
        machine = _read(whole)
        counts = {} if machine is None else {whole: machine}
    return MemoryKills(counts)


def memory_evidence(before: MemoryKills) -> str:
    """A sentence where a counter has grown since `before`, else an empty text."""
    for file, count in before.counts.items():
        now = _read(file)
        if now is not None and now > count:
            return f"the kernel ended the worker because memory ran out ({file} counted it)"
    return ""


def _files_of(pid: int) -> list[Path]:
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        if line.startswith("0::/"):
            own = _CGROUPS / line[4:]
            return [own / "memory.events", own.parent / "memory.events"]
    return []


def _read(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return None
