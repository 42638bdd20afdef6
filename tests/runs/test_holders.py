"""Who holds a lock is learned without disturbing anybody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from core.runs.holders import lock_holder

HOLDER = """
import sys
from pathlib import Path
from core.locks import FileLock
assert FileLock(Path(sys.argv[1])).try_acquire()
print("held", flush=True)
input()
"""


def test_the_holder_is_named_while_it_lives(tmp_path: Path) -> None:
    path = tmp_path / "some.lock"
    assert lock_holder(path) is None
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert lock_holder(path) == process.pid
    process.kill()
    process.communicate()
    assert path.exists()
    assert lock_holder(path) is None


def test_a_missing_folder_holds_nothing(tmp_path: Path) -> None:
    assert lock_holder(tmp_path / "no" / "such.lock") is None
    (tmp_path / "file").write_text("")
    assert lock_holder(tmp_path / "file" / "such.lock") is None
