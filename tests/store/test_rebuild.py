"""A rebuilt database equals the one that grew, by natural keys, whatever happened on the way."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import FinetuiError, StoreBusyError, StoreNewerError
from core.locks import FileLock
from core.paths import Workspace
from core.store import ingest_once, open_reader
from core.store.content import Row, natural_content
from core.store.rebuild import check_database, differing_tables, rebuild
from tests.store.history_maker import History
from tests.store.line_files import Lines, queued_event, run_id
from tests.store.test_ingest import started, steps

HISTORIES = 15


def content(workspace: Workspace) -> dict[str, list[Row]]:
    connection = sqlite3.connect(f"{workspace.database.as_uri()}?mode=ro", uri=True)
    try:
        return natural_content(connection)
    finally:
        connection.close()


@pytest.mark.usefixtures("migrations_in_process")
def test_random_histories_rebuild_equal(tmp_path: Path) -> None:
    refused = transitions = 0
    for seed in range(HISTORIES):
        workspace = Workspace(tmp_path / f"history-{seed}")
        history = History(workspace, seed)
        history.play(80)
        history.close()
        grown = content(workspace)
        report = rebuild(workspace)
        rebuilt = content(workspace)
        for table, rows in grown.items():
            assert rebuilt[table] == rows, f"seed {seed}, {table}"
        assert report.runs == len(grown["runs"])
        refused += history.refused
        transitions += len(grown["transitions"])
    assert refused > 10 * HISTORIES, "the histories hold no races"
    assert transitions > 10 * HISTORIES


def grown_workspace(workspace: Workspace) -> Lines:
    lines = Lines(workspace)
    for number in (1, 2, 3):
        run = lines.queue(number, name=f"run {number}")
        lines.move(run, "queued", "starting", "running")
        lines.events(run, started(), *steps(1, 200))
    assert ingest_once(workspace)
    return lines


@pytest.mark.usefixtures("migrations_in_process")
def test_flipped_bytes_are_detected_and_mended(workspace: Workspace) -> None:
    grown_workspace(workspace)
    before = content(workspace)
    sound = workspace.database.read_bytes()
    chance = random.Random(5)
    detected = harmless = 0
    for _ in range(25):
        damaged = bytearray(sound)
        for _ in range(12):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        workspace.database.write_bytes(bytes(damaged))
        try:
            found = bool(check_database(workspace)) or bool(differing_tables(workspace))
        except FinetuiError:
            found = True
        if found:
            detected += 1
        else:
            harmless += 1
            assert content(workspace) == before
        rebuild(workspace)
        assert content(workspace) == before
        for backup in workspace.backups.iterdir():
            backup.unlink()
    assert detected >= 12, f"{detected} detected, {harmless} without effect"


def test_the_old_database_is_kept_and_readers_follow(workspace: Workspace) -> None:
    lines = grown_workspace(workspace)
    with open_reader(workspace) as reader:
        version = reader.data_version()
        report = rebuild(workspace)
        assert report.backup is not None and report.backup.parent == workspace.backups
        assert (report.runs, report.damaged_lines, report.refused_lines) == (3, 0, 0)
        assert reader.data_version() != version
        lines.queue(4)
        assert ingest_once(workspace)
        assert len(reader.runs()) == 4
    assert differing_tables(workspace) == ()


def test_a_deleted_database_comes_back(workspace: Workspace) -> None:
    grown_workspace(workspace)
    before = content(workspace)
    workspace.database.unlink()
    with open_reader(workspace) as reader:
        assert reader.runs() == ()
        assert ingest_once(workspace)
        assert len(reader.runs()) == 3
    assert content(workspace) == before


def test_a_journal_of_a_killed_writer_never_meets_the_new_database(workspace: Workspace) -> None:
    grown_workspace(workspace)
    before = content(workspace)
    workspace.database.write_bytes(b"garbage" * 1000)
    journal = workspace.database.with_name("experiments.db-journal")
    journal.write_bytes(bytes.fromhex("d9d505f920a163d7") + b"\0" * 4096)
    report = rebuild(workspace)
    assert content(workspace) == before
    assert report.backup is not None and report.backup.read_bytes() == b"garbage" * 1000
    assert not journal.exists() or journal.stat().st_size == 0


def test_a_living_supervisor_and_a_newer_database_refuse(workspace: Workspace) -> None:
    grown_workspace(workspace)
    with FileLock(workspace.ingest_lock) as lock:
        assert lock.try_acquire()
        with pytest.raises(StoreBusyError):
            rebuild(workspace)
    connection = sqlite3.connect(workspace.database)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreNewerError):
        rebuild(workspace)
    assert not list(workspace.root.glob("*.rebuild*"))


def test_four_processes_ingest_at_once(workspace: Workspace) -> None:
    """Nobody sees "database is locked", and every line enters once."""
    program = """
import sys
from core.paths import Workspace
from pathlib import Path
from core.store import ingest_once, open_reader
workspace = Workspace(Path(sys.argv[1]))
for _ in range(12):
    ingest_once(workspace)
    with open_reader(workspace) as reader:
        reader.runs()
"""
    lines = grown_workspace(workspace)
    command = [sys.executable, "-c", program, str(workspace.root)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    number = 3
    while number < 40 and any(process.poll() is None for process in processes):
        number += 1
        lines.queue(number)
        lines.events(run_id(number), started(), *steps(1, 5))
        time.sleep(0.02)
    for process in processes:
        assert process.wait(60) == 0, process.communicate()[1]
    assert ingest_once(workspace)
    assert number > 4
    with open_reader(workspace) as reader:
        assert len(reader.runs()) == number
        assert reader.journal_seq() == number
    assert differing_tables(workspace) == ()


def test_removed_runs_stay_away_even_with_their_folder(workspace: Workspace) -> None:
    from core.events import Removed

    lines = grown_workspace(workspace)
    lines.journal.add(Removed(run_id=run_id(2), bytes=1), queued_event(run_id(2)))
    report = rebuild(workspace)
    assert (report.runs, report.refused_lines) == (2, 1)
    with open_reader(workspace) as reader:
        assert {row.run_id for row in reader.runs()} == {run_id(1), run_id(3)}
