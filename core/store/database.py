"""How experiments.db is opened: one writer under the ingest lock, any number of readers that change nothing.

This module must not read or write a table. Trap: closing any plain descriptor of the database file drops the locks that
SQLite holds on it in this process, so the file is only ever opened through SQLite, and looked at with `stat`.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from core.errors import StoreBusyError, StoreError, StoreNewerError
from core.locks import FileLock
from core.paths import Workspace, make_private_folder
from core.store.failures import REBUILD, primary_code, translated
from core.store.policy import JournalPolicy, journal_policy
from core.store.schema import SCHEMA_VERSION, STEPS, statements

BUSY_SECONDS = 10.0
_MIGRATION_SECONDS = 600.0


def connect_writer(workspace: Workspace, database: Path | None = None) -> tuple[sqlite3.Connection, JournalPolicy]:
    """A connection that may write; the caller holds the ingest lock and keeps it until the connection is closed.

    `database` is another file than the workspace's, for a rebuild. Makes or migrates the schema where needed, in a
    subprocess. Transactions are the caller's: `BEGIN IMMEDIATE`.

    Raises:
        StoreNewerError: the database was made by a newer finetui.
        StoreError: it is damaged or could not be migrated.
        StoreBusyError, WorkspaceError: see `core.store.failures`.
    """
    make_private_folder(workspace.root)
    database = workspace.database if database is None else database
    with translated(database):
        version = version_for_writing(database)
    if version > SCHEMA_VERSION:
        raise newer_error(database, version)
    if version < SCHEMA_VERSION:
        _migrate_by_subprocess(database, workspace.backups)
    policy = journal_policy(workspace.root)
    with translated(database):
        return _open_writable(database, policy), policy


def version_for_writing(database: Path) -> int:
    """The schema version of a file that is about to be written; 0 for one that is missing or empty."""
    if not database.exists():
        return 0
    connection = sqlite3.connect(database, timeout=BUSY_SECONDS, isolation_level=None)
    try:  # opening read-write: the first read rolls back what a killed writer left half done
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def _migrate_by_subprocess(database: Path, backups: Path) -> None:
    command = [sys.executable, "-P", "-m", "core.store.migrate", str(database.absolute()), str(backups.absolute())]
    # -P leaves the current folder out of the path: a checkout that is not installed must be named
    package_root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([package_root, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=_MIGRATION_SECONDS, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode == 3:
        raise newer_error(database, None)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        why = lines[-1] if lines else f"the migration ended with status {done.returncode}"
        raise StoreError(f"{database} could not be brought to this version's schema", why=why, try_this=REBUILD)


def _open_writable(database: Path, policy: JournalPolicy) -> sqlite3.Connection:
    connection = sqlite3.connect(database, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        try:
            connection.execute(f"PRAGMA journal_mode = {policy.mode}")
        except sqlite3.OperationalError as error:
            # leaving WAL needs all readers gone; the mode that the file has is safe while there is one writer
            if primary_code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -16000")
        connection.execute("PRAGMA wal_autocheckpoint = 1000")
        _harden(connection)
    except BaseException:  # an open handle would keep the file locked; raised again
        connection.close()
        raise
    return connection


def _harden(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")  # a memory map turns a damaged disk block into a bus error


def connect_reader(workspace: Workspace, timeout_seconds: float = BUSY_SECONDS) -> tuple[sqlite3.Connection, str]:
    """A read-only connection, and a sentence about what is unusual with it ("" where nothing is).

    A missing or still empty database reads as one without rows. A newer one is opened as far as it can be read.

    Raises:
        StoreBusyError: a rollback journal waits to be recovered and another process holds the ingest lock.
        StoreError, WorkspaceError: see `core.store.failures`.
    """
    database = workspace.database
    if not database.exists():
        return empty_connection(), ""
    with translated(database):
        try:
            connection, version = _open_read_only(database, "mode=ro", timeout_seconds)
        except sqlite3.OperationalError as error:
            return _open_after(error, workspace, timeout_seconds)
    return _checked(connection, version, database)


def _open_after(
    error: sqlite3.OperationalError, workspace: Workspace, timeout_seconds: float
) -> tuple[sqlite3.Connection, str]:
    """Open read-only where the plain way failed with `error`: recover a rollback journal, or do without any."""
    database = workspace.database
    if has_rollback_journal(database):
        recover(workspace)
        connection, version = _open_read_only(database, "mode=ro", timeout_seconds)
        return _checked(connection, version, database)
    if primary_code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY):
        raise error
    # in WAL mode even reading creates files beside the database; a full disk or a folder of another user refuses them
    connection, version = _open_read_only(database, "immutable=1", timeout_seconds)
    connection, warning = _checked(connection, version, database)
    reason = "the disk is full or the folder can't be written; shown as of the last clean close"
    return connection, f"{warning}. {reason}" if warning else reason


def _checked(connection: sqlite3.Connection, version: int, database: Path) -> tuple[sqlite3.Connection, str]:
    if version == 0:
        connection.close()
        return empty_connection(), ""
    if version > SCHEMA_VERSION:
        return connection, f"{database.name} was made by a newer finetui (schema {version}): it is only read"
    return connection, ""


def _open_read_only(database: Path, how: str, timeout_seconds: float) -> tuple[sqlite3.Connection, int]:
    connection = sqlite3.connect(
        f"{database.absolute().as_uri()}?{how}", uri=True, timeout=timeout_seconds, isolation_level=None
    )
    try:
        _harden(connection)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return connection, int(connection.execute("PRAGMA user_version").fetchone()[0])
    except BaseException:  # an open handle would keep the file locked; raised again
        connection.close()
        raise


def has_rollback_journal(database: Path) -> bool:
    """Whether a rollback journal with content lies beside the database: of a living writer, or of a killed one."""
    try:
        return database.with_name(database.name + "-journal").stat().st_size > 0
    except FileNotFoundError:
        return False


def recover(workspace: Workspace) -> None:
    """Roll back what a killed writer left half done: opens read-write once, under the ingest lock.

    Raises:
        StoreBusyError: another process holds the ingest lock; it recovers the database itself.
    """
    lock = FileLock(workspace.ingest_lock)
    if not lock.acquire(1.0):
        raise StoreBusyError(
            f"{workspace.database.name} is recovering", why="a writer was killed", try_this="try again in a moment"
        )
    with lock:
        connection = sqlite3.connect(workspace.database, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()


def empty_connection() -> sqlite3.Connection:
    """A database in memory with this version's schema and no rows."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for _, sql in STEPS:
        for statement in statements(sql):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("PRAGMA query_only = ON")
    return connection


def newer_error(database: Path, version: int | None) -> StoreNewerError:
    """The error for a database that this version must not write."""
    spelled = "" if version is None else f" (schema {version})"
    return StoreNewerError(
        f"{database} was made by a newer finetui{spelled}; this one only reads it",
        why=f"this version knows schema {SCHEMA_VERSION}",
        try_this="use the newer finetui",
    )
