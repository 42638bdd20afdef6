"""What a person decided is on the disk when `decide` returns, in order, whoever else writes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import StoreBusyError, WorkspaceError
from core.events import Noted, Tagged
from core.locks import FileLock
from core.paths import Workspace
from core.runs import journal
from core.runs.journal import decide
from core.runs.spool import tail

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import sys
from pathlib import Path
from core.events import Tagged
from core.paths import Workspace
from core.runs.journal import decide
for number in range(25):
    decide(Workspace(Path(sys.argv[1])), Tagged(run_id="0abcdef0", tag=f"{sys.argv[2]}-{number}"))
"""


def test_decisions_are_numbered_in_order_and_private(workspace: Workspace) -> None:
    one, two = Noted(run_id="0abcdef0", text="ü\n"), Tagged(run_id="0abcdef0", tag="x")
    os.umask(0)
    assert decide(workspace, one) == (1,)
    assert decide(workspace, two, one) == (2, 3)
    records = [record for _, record in tail(workspace.journal, 0).records]
    assert [(record.seq, record.attempt, record.event) for record in records] == [(1, 0, one), (2, 0, two), (3, 0, one)]
    assert workspace.journal.stat().st_mode & 0o077 == 0


def test_four_writers_lose_nothing(workspace: Workspace) -> None:
    command = [sys.executable, "-c", WRITER, str(workspace.root)]
    writers = [
        subprocess.Popen([*command, f"w{number}"], env={**os.environ, "PYTHONPATH": str(ROOT)}) for number in range(4)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0] * 4
    found = tail(workspace.journal, 0)
    assert found.damaged_lines == 0
    assert [record.seq for _, record in found.records] == list(range(1, 101))
    tags = [record.event.tag for _, record in found.records if isinstance(record.event, Tagged)]
    for number in range(4):
        assert [tag for tag in tags if tag.startswith(f"w{number}-")] == [f"w{number}-{n}" for n in range(25)]


def test_a_torn_line_is_mended_before_the_next(workspace: Workspace) -> None:
    decide(workspace, Noted(run_id="0abcdef0", text="kept"))
    with workspace.journal.open("ab") as file:
        file.write(b'1234abcd {"v":1,"seq":2')
    assert decide(workspace, Noted(run_id="0abcdef0", text="next")) == (2,)
    assert tail(workspace.journal, 0).damaged_lines == 0


def test_a_full_disk_is_said_and_nothing_half_written_stays(workspace: Workspace) -> None:
    decide(workspace, Noted(run_id="0abcdef0", text="kept"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (workspace.journal.stat().st_size + 30, hard))
    try:
        with pytest.raises(WorkspaceError, match=r"journal\.jsonl"):
            decide(workspace, Noted(run_id="0abcdef0", text="lost"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert workspace.journal.read_bytes().endswith(b"}\n")
    assert decide(workspace, Noted(run_id="0abcdef0", text="next")) == (2,)


def test_a_journal_that_is_held_is_said(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_SECONDS", 0.1)
    with FileLock(workspace.journal_lock) as lock:
        assert lock.try_acquire()
        with pytest.raises(StoreBusyError):
            decide(workspace, Noted(run_id="0abcdef0", text=""))
    assert not workspace.journal.exists()
