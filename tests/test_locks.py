"""A lock excludes other processes, ends with its holder, and is never dropped by looking at it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import WorkspaceError
from core.locks import FileLock, is_locked, lock_holder
from tests.conftest import wait_until

HOLDER = """
import sys, time
from pathlib import Path
from core.locks import FileLock
assert FileLock(Path(sys.argv[1])).try_acquire()
print("held", flush=True)
time.sleep(60)
"""

PROBE = """
import sys
from pathlib import Path
from core.locks import is_locked
sys.exit(is_locked(Path(sys.argv[1])))
"""


def _hold_elsewhere(path: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_lock_of_another_process_is_seen_and_ends_with_its_death(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.lock"
    with _hold_elsewhere(path) as holder:
        lock = FileLock(path)
        assert is_locked(path)
        assert lock_holder(path) == holder.pid
        assert not lock.try_acquire()
        assert not lock.acquire(timeout_seconds=0.1)
        holder.kill()
    wait_until(lock.try_acquire, "the lock of a killed process is free")
    lock.release()
    assert not is_locked(path)


def test_looking_at_an_own_lock_does_not_drop_it(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with FileLock(path) as lock:
        assert lock.try_acquire()
        assert lock_holder(path) == os.getpid()
        assert not FileLock(path).try_acquire()
        assert subprocess.run([sys.executable, "-c", PROBE, str(path)], check=False).returncode == 1
    assert not is_locked(path)


def test_a_missing_file_is_not_locked_and_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not is_locked(tmp_path / "absent")
    assert not is_locked(tmp_path / "file" / "below.lock")
    assert not (tmp_path / "absent").exists()


def test_a_link_in_place_of_the_lock_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WorkspaceError, match="lock file"):
        FileLock(tmp_path / "x.lock").try_acquire()
    assert not (tmp_path / "elsewhere").exists()
