"""Make experiments.db anew from the journal and the run folders: beside the old one, checked, then put in its place.

The old database is kept as a backup. Needs the ingest lock for as long as it takes. It must not read anything from the
old database: that may be what is damaged.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from core.errors import StoreBusyError, StoreError, WorkspaceError
from core.locks import FileLock
from core.paths import Workspace, make_private_folder
from core.store.content import TABLES, natural_rows
from core.store.database import BUSY_SECONDS, connect_reader, connect_writer, newer_error, version_for_writing
from core.store.failures import REBUILD, translated
from core.store.ingest import IngestReport, ingest
from core.store.schema import SCHEMA_VERSION
from core.store.writer import Writer

_SIDECARS = ("-journal", "-wal", "-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildReport:
    """What a rebuild found; `backup` is where the old database lies now, None where there was none."""

    runs: int
    lines: int
    damaged_lines: int
    refused_lines: int
    seconds: float
    backup: Path | None


def rebuild(workspace: Workspace) -> RebuildReport:
    """Recreate the database, row for row; runs that were removed do not come back.

    Raises:
        StoreBusyError: a supervisor or another command holds the ingest lock.
        StoreNewerError: the present database belongs to a newer finetui.
        StoreError, WorkspaceError: the new database could not be made; the old one stands as it was.
    """
    began = time.monotonic()
    with _ingest_lock(workspace):
        _refuse_newer(workspace.database)
        fresh = workspace.database.with_name(workspace.database.name + ".rebuild")
        try:
            report, runs = _make(workspace, fresh)
            backup = _put_in_place(workspace, fresh)
        finally:
            _delete(fresh)
    return RebuildReport(
        runs=runs,
        lines=report.lines,
        damaged_lines=report.damaged_lines,
        refused_lines=report.refused_lines,
        seconds=time.monotonic() - began,
        backup=backup,
    )


def check_database(workspace: Workspace) -> tuple[str, ...]:
    """What SQLite itself finds wrong with the file; empty where it is sound or missing. 0.1 s for 13 MB.

    SQLite keeps no checksums: a changed byte within a value is found by `differing_tables` alone.
    """
    connection = None
    try:
        connection, _ = connect_reader(workspace)
        found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(20)")]
        found += [f"{row[0]}: row {row[1]} refers to nothing" for row in connection.execute("PRAGMA foreign_key_check")]
    except (sqlite3.Error, UnicodeDecodeError, StoreError, WorkspaceError) as error:
        return (str(error),)
    finally:
        if connection is not None:
            connection.close()
    return tuple(problem for problem in found if problem != "ok")


def differing_tables(workspace: Workspace) -> tuple[str, ...]:
    """Tables whose content is not what the journal and the run folders say; empty where all are equal.

    Takes as long as a rebuild. Raises: as `rebuild`; StoreError where the present database can't be read at all.
    """
    with _ingest_lock(workspace):
        fresh = make_private_folder(workspace.state) / "experiments.db.compare"
        connection, _ = connect_reader(workspace)
        try:
            with _fresh_writer(workspace, fresh) as writer, translated(workspace.database):
                ingest(writer, workspace)
                return tuple(table for table in TABLES if _differs(table, connection, writer.connection))
        finally:
            connection.close()
            _delete(fresh)


def _differs(table: str, one: sqlite3.Connection, other: sqlite3.Connection) -> bool:
    return any(row != same for row, same in zip_longest(natural_rows(one, table), natural_rows(other, table)))


@contextmanager
def _ingest_lock(workspace: Workspace) -> Iterator[None]:
    lock = FileLock(workspace.ingest_lock)
    if not lock.try_acquire():
        raise StoreBusyError(
            "a supervisor is at work in this workspace, so the database can't be replaced now",
            try_this="wait until nothing is queued or running, then run `finetui rebuild` again",
        )
    with lock:
        yield


@contextmanager
def _fresh_writer(workspace: Workspace, fresh: Path) -> Iterator[Writer]:
    _delete(fresh)
    connection, policy = connect_writer(workspace, fresh)
    with translated(fresh):
        # one file without companions, that nobody else knows yet: it is synced once, at the end
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute("PRAGMA synchronous = OFF")
        writer = Writer(connection, workspace, policy)
    with writer:
        yield writer


def _make(workspace: Workspace, fresh: Path) -> tuple[IngestReport, int]:
    with _fresh_writer(workspace, fresh) as writer:
        report = ingest(writer, workspace)
        with translated(fresh):
            problem = writer.connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            orphans = writer.connection.execute("PRAGMA foreign_key_check").fetchall()
            runs = int(writer.connection.execute("SELECT count(*) FROM runs").fetchone()[0])
    if problem != "ok" or orphans:
        raise StoreError(f"the new database is not sound: {problem}", why="the disk may be failing", try_this=REBUILD)
    return report, runs


def _refuse_newer(database: Path) -> None:
    if not database.exists():
        return
    try:
        version = version_for_writing(database)
    except (sqlite3.Error, UnicodeDecodeError):
        return  # damaged: what it was can't be learned, and a backup is kept
    if version > SCHEMA_VERSION:
        raise newer_error(database, version)


def _put_in_place(workspace: Workspace, fresh: Path) -> Path | None:
    """Rename `fresh` over the database. The old one's journal must never lie beside the new one: SQLite would play it
    into the wrong file."""
    database = workspace.database
    _sync(fresh)
    backup = None
    if database.exists():
        _close_old(database)
        make_private_folder(workspace.backups)
        stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09d}"
        backup = workspace.backups / f"experiments-before-rebuild-{stamp}.db"
        _set_aside(database, backup)
    fresh.replace(database)
    _sync(database.parent)
    return backup


def _close_old(database: Path) -> None:
    """Let SQLite finish what lies beside the old database where it still can."""
    try:
        connection = sqlite3.connect(database, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = TRUNCATE").fetchone()
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    except (sqlite3.Error, UnicodeDecodeError):
        return  # too damaged, or a reader holds a WAL: what lies beside it is set aside with it


def _set_aside(database: Path, backup: Path) -> None:
    companions = [path for suffix in _SIDECARS if (path := _beside(database, suffix)).exists()]
    if not any(path.stat().st_size for path in companions) and not _beside(database, "-wal").exists():
        try:
            os.link(database, backup)  # no moment without a database
            return
        except OSError:
            pass  # a file system without hard links: renamed below
    database.replace(backup)  # first: SQLite drops a journal that it finds without its database
    for path in companions:
        path.replace(_beside(backup, path.name.removeprefix(database.name)))


def _beside(database: Path, suffix: str) -> Path:
    return database.with_name(database.name + suffix)


def _delete(database: Path) -> None:
    for suffix in ("", *_SIDECARS):
        _beside(database, suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
