"""Opening the store: nothing there, too new, left half done by a kill, on a network disk."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from core.errors import StoreBusyError, StoreError, StoreNewerError
from core.locks import FileLock
from core.paths import Workspace
from core.store import ingest_once, open_reader, open_writer, policy
from core.store.ingest import ingest
from core.store.policy import file_system_of, journal_policy
from tests.store.line_files import Lines

KILLS = 20


def test_a_missing_database_reads_as_empty_and_is_noticed_once_made(workspace: Workspace) -> None:
    with open_reader(workspace) as reader:
        version = reader.data_version()
        assert (reader.runs(), reader.journal_seq(), reader.queue()) == ((), 0, ())
        assert not workspace.database.exists()
        Lines(workspace).queue(1)
        assert ingest_once(workspace)
        assert reader.data_version() != version
        assert len(reader.runs()) == 1
    assert workspace.database.stat().st_mode & 0o077 == 0


def test_an_empty_file_reads_as_empty(workspace: Workspace) -> None:
    workspace.root.mkdir(parents=True, exist_ok=True)
    workspace.database.touch()
    with open_reader(workspace) as reader:
        assert reader.runs() == ()


def test_a_newer_database_is_read_and_never_written(workspace: Workspace) -> None:
    Lines(workspace).queue(1)
    assert ingest_once(workspace)
    connection = sqlite3.connect(workspace.database)
    connection.execute("ALTER TABLE runs ADD COLUMN mood TEXT")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = workspace.database.read_bytes()
    with pytest.raises(StoreNewerError):
        open_writer(workspace)
    with pytest.raises(StoreNewerError):
        ingest_once(workspace)
    with open_reader(workspace) as reader:
        assert "newer" in reader.warning
        assert len(reader.runs()) == 1
    assert workspace.database.read_bytes() == before


def test_a_file_that_is_no_database_is_named(workspace: Workspace) -> None:
    workspace.root.mkdir(parents=True, exist_ok=True)
    workspace.database.write_bytes(b"not a database at all, but long enough to be read as one" * 100)
    with pytest.raises(StoreError, match="rebuild"):
        open_reader(workspace)
    with pytest.raises(StoreError, match="rebuild"):
        ingest_once(workspace)


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from core.locks import FileLock
from core.paths import Workspace
from core.store import open_writer
workspace = Workspace(Path(sys.argv[1]))
lock = FileLock(workspace.ingest_lock)
assert lock.acquire(30)
writer = open_writer(workspace)
writer.connection.execute("PRAGMA cache_size = 5")  # so that half a transaction reaches the file
number = 0
print("ready", flush=True)
while True:
    with writer.transaction():
        for _ in range(200):
            number += 1
            writer.connection.execute(
                "INSERT INTO recipes (sha256, text) VALUES (?, ?)"
                " ON CONFLICT (sha256) DO UPDATE SET text = excluded.text",
                (f"{number % 1000:064d}", f"{number} " * 60),
            )
"""


HOLD_THE_LOCK = """
import sys, time
from pathlib import Path
from core.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.try_acquire()
print("held", flush=True)
time.sleep(60)
"""


def needs_recovery(database: Path) -> bool:
    """Whether a plain read-only open is refused."""
    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK
    finally:
        connection.close()
    return False


def test_readers_recover_after_a_killed_writer(workspace: Workspace) -> None:
    """TRUNCATE mode: a journal that a killed writer leaves must be rolled back before a read-only open works."""
    Lines(workspace).queue(1)
    assert ingest_once(workspace)
    chance = random.Random(1)
    hot = 0
    for _ in range(KILLS):
        command = [sys.executable, "-c", WRITE_FOR_EVER, str(workspace.root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.0, 0.05))
            process.send_signal(signal.SIGKILL)
        hot += needs_recovery(workspace.database)
        with open_reader(workspace) as reader:
            assert len(reader.runs()) == 1
        assert not needs_recovery(workspace.database)
        connection = sqlite3.connect(workspace.database)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM recipes").fetchone()[0] % 200 in (0, 1)
        connection.close()
    assert hot >= 3, f"only {hot} of {KILLS} kills left a journal"


def test_a_reader_that_was_open_survives_the_kill_and_says_when_it_must_wait(workspace: Workspace) -> None:
    Lines(workspace).queue(1)
    assert ingest_once(workspace)
    with open_reader(workspace, timeout_seconds=0.2) as reader:
        assert len(reader.runs()) == 1
        for _ in range(40):
            command = [sys.executable, "-c", WRITE_FOR_EVER, str(workspace.root)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None and process.stdout.readline() == "ready\n"
                time.sleep(0.02)
                process.kill()
            if needs_recovery(workspace.database):
                break
        assert needs_recovery(workspace.database)
        with subprocess.Popen(
            [sys.executable, "-c", HOLD_THE_LOCK, str(workspace.ingest_lock)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None and process.stdout.readline() == "held\n"
            with pytest.raises(StoreBusyError, match="recovering"):
                reader.runs()
            process.kill()
        assert len(reader.runs()) == 1


def test_one_ingester_at_a_time(workspace: Workspace) -> None:
    Lines(workspace).queue(1)
    with FileLock(workspace.ingest_lock) as lock:
        assert lock.try_acquire()
        assert not ingest_once(workspace)
    assert ingest_once(workspace)


def test_a_migration_killed_at_any_point_leaves_no_mixed_schema(workspace: Workspace) -> None:
    Lines(workspace).queue(1)
    chance = random.Random(2)
    for delay in [chance.uniform(0.0, 0.4) for _ in range(6)]:
        workspace.database.unlink(missing_ok=True)
        command = [sys.executable, "-m", "core.store.migrate", str(workspace.database), str(workspace.backups)]
        with subprocess.Popen(command) as process:
            time.sleep(delay)
            process.kill()
        with open_reader(workspace) as reader:
            assert reader.runs() == ()
        tables = 0
        if workspace.database.exists():
            connection = sqlite3.connect(workspace.database)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            connection.close()
            assert (version == 0) == (tables == 0)
        assert ingest_once(workspace)
        with open_reader(workspace) as reader:
            assert len(reader.runs()) == 1


def test_a_full_disk_stops_the_ingest_and_not_the_reading(workspace: Workspace) -> None:
    lines = Lines(workspace)
    lines.queue(1)
    assert ingest_once(workspace)
    with open_writer(workspace) as writer:
        pages = writer.connection.execute("PRAGMA page_count").fetchone()[0]
        writer.connection.execute(f"PRAGMA max_page_count = {pages}")  # what SQLite answers on a full disk
        for number in range(2, 300):
            lines.queue(number, name="a long name " * 40 + str(number))
        with pytest.raises(Exception, match="full"):
            ingest(writer, workspace)
        with open_reader(workspace) as reader:
            assert len(reader.runs()) == 1
        writer.connection.execute("PRAGMA max_page_count = 1000000")
        ingest(writer, workspace)
    with open_reader(workspace) as reader:
        assert len(reader.runs()) == 299


@pytest.mark.parametrize(
    ("version", "file_system", "mode"),
    [
        ((3, 40, 1), "ext4", "TRUNCATE"),
        ((3, 51, 2), "ext4", "TRUNCATE"),
        ((3, 51, 3), "ext4", "WAL"),
        ((3, 54, 1), "", "WAL"),
        ((3, 54, 1), "nfs4", "TRUNCATE"),
        ((3, 54, 1), "cifs", "TRUNCATE"),
        ((3, 54, 1), "fuse.sshfs", "TRUNCATE"),
        ((3, 54, 1), "overlay", "WAL"),
    ],
)
def test_the_journal_mode_and_its_reason(tmp_path: Path, version: tuple[int, ...], file_system: str, mode: str) -> None:
    found = journal_policy(tmp_path, sqlite_version=version, file_system=file_system)
    assert found.mode == mode
    assert found.reason


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    spaced = tmp_path / "my data"
    spaced.mkdir()
    escaped = str(spaced).replace(" ", "\\040")
    mounts.write_text(
        "1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
        f"2 1 0:5 / {escaped} rw - nfs4 server:/x rw\n"
        f"3 1 0:6 / {tmp_path}/my rw - tmpfs tmpfs rw\n"
    )
    assert file_system_of(spaced / "workspace", mounts) == "nfs4"
    assert file_system_of(tmp_path, mounts) == "ext4"
    assert file_system_of(tmp_path, tmp_path / "missing") == ""


READ_AS_ANOTHER_USER = """
import os, sys
from pathlib import Path
from core.paths import Workspace
from core.store import open_reader
if os.geteuid() == 0:
    os.setuid(65534)  # root writes wherever it likes
with open_reader(Workspace(Path(sys.argv[1]))) as reader:
    print(len(reader.runs()), bool(reader.warning))
"""


def test_a_wal_database_in_a_folder_that_cannot_be_written_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "FIRST_SAFE_WAL", (3, 0, 0))
    with tempfile.TemporaryDirectory() as root:
        workspace = Workspace(Path(root))
        Lines(workspace).queue(1)
        assert ingest_once(workspace)
        connection = sqlite3.connect(workspace.database)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()
        workspace.database.chmod(0o644)
        workspace.root.chmod(0o555)
        command = [sys.executable, "-c", READ_AS_ANOTHER_USER, root]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        finally:
            workspace.root.chmod(0o755)
    assert done.stdout == "1 True\n", done.stderr
