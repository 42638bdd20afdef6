"""A process is named for ever: a recycled pid, a zombie or another boot is never taken for it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from core.runs.identity import identify, is_alive, read_boot_id, this_process


def test_this_process_is_alive_and_known() -> None:
    me = this_process()
    assert me.pid == os.getpid()
    assert me.boot_id == read_boot_id() != ""
    assert is_alive(me)


def test_another_start_or_boot_is_another_process() -> None:
    me = this_process()
    assert not is_alive(replace(me, start_ticks=me.start_ticks + 1))
    assert not is_alive(me, boot_id="another boot")


def test_a_zombie_counts_as_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = identify(process.pid)
    assert identity is not None and is_alive(identity)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, not yet reaped
    assert not is_alive(identity)
    process.communicate()
    assert identify(process.pid) is None


def test_a_missing_boot_id_is_empty(tmp_path: Path) -> None:
    assert read_boot_id(tmp_path / "nothing") == ""
