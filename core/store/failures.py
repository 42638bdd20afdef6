"""What SQLite's errors mean to a person: the one place where they become errors of ours.

This module must not retry or repair anything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import FinetuiError, StoreBusyError, StoreError, WorkspaceError

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
REBUILD = "run `finetui rebuild`: it makes the database anew from the journal and the run folders"


@contextmanager
def translated(database: Path) -> Iterator[None]:
    """Turn the sqlite3 errors of the block into errors of ours about `database`.

    Raises:
        StoreBusyError: another process kept the database locked for longer than the timeout.
        WorkspaceError: the disk is full, or the file can't be written.
        StoreError: the database is damaged or has another shape than expected.
    """
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise explained(error, database) from error


def primary_code(error: Exception) -> int:
    """The primary result code (https://www.sqlite.org/rescode.html), 0 where the error carries none."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return 0 if code is None else code & 0xFF


def explained(error: Exception, database: Path) -> FinetuiError:
    """The error of ours for one of SQLite's, or for a stored value that makes no sense (ValueError)."""
    code = primary_code(error)
    if code in _BUSY:
        return StoreBusyError(f"{database.name} is locked by another process", try_this="try again in a moment")
    if code == sqlite3.SQLITE_FULL:
        return WorkspaceError(
            f"the disk of {database} is full",
            why="nothing was lost: the run folders hold every event",
            try_this="free some space; `finetui gc` names checkpoints that can go",
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return WorkspaceError(f"{database} can't be written", why=str(error), try_this="check who owns the folder")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
        return WorkspaceError(
            f"{database} can't be opened or read", why=str(error), try_this="check the disk, its space and permissions"
        )
    if code in _DAMAGED or isinstance(error, ValueError):
        return StoreError(f"{database} is damaged", why=str(error), try_this=REBUILD)
    return StoreError(f"{database} could not be read or written", why=str(error), try_this=REBUILD)
