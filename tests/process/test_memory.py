"""A kill for want of memory is told by the kernel's counters alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.supervisor import memory
from core.supervisor.memory import MemoryKills, memory_evidence, read_memory_kills


def test_a_counter_that_grew_is_evidence_and_one_that_did_not_is_none(tmp_path: Path) -> None:
    file = tmp_path / "memory.events"
    file.write_text("low 0\noom 3\noom_kill 2\n")
    before = MemoryKills({file: 2})
    assert memory_evidence(before) == ""
    file.write_text("low 0\noom 4\noom_kill 3\n")
    assert "memory ran out" in memory_evidence(before)
    file.unlink()
    assert memory_evidence(before) == ""


def test_some_counter_is_found_for_this_process() -> None:
    found = read_memory_kills(os.getpid())
    assert found.counts
    assert all(count >= 0 for count in found.counts.values())


def test_without_control_groups_the_whole_machine_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    assert list(read_memory_kills(os.getpid()).counts) in ([Path("/proc/vmstat")], [])
