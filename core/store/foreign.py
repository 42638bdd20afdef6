"""SQLite files of other trackers, read only: tables and columns by name, nothing that could change or run in the file.

Such a file may be hostile: views, triggers and virtual tables are not touched, values are checked by who asked. It must
not be used for experiments.db, and knows no tracker.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from core.errors import ForeignFileError

Cell: TypeAlias = "str | int | float | bytes | None"
MAGIC = b"SQLite format 3\x00"
_MAX_VALUE_BYTES = 64 * 1024 * 1024
_BUSY_SECONDS = 5.0
_WAL_VERSION = 2


class ForeignDatabase:
    """An open database of another program."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        self.tables: dict[str, frozenset[str]] = {}
        for name, sql in rows.fetchall():
            if isinstance(name, str) and isinstance(sql, str) and not sql.lstrip().upper().startswith("CREATE VIRTUAL"):
                columns = connection.execute(f"PRAGMA table_info({_quoted(name)})")
                self.tables[name] = frozenset(str(row[1]) for row in columns)

    def has(self, table: str, columns: Sequence[str]) -> bool:
        """Whether there is a real table with these columns."""
        return set(columns) <= self.tables.get(table, frozenset())

    def rows(
        self, table: str, columns: Sequence[str], *, where: dict[str, Cell] | None = None, order: Sequence[str] = ()
    ) -> Iterator[tuple[Cell, ...]]:
        """The named columns of a table's rows, where some columns equal some values.

        Raises:
            ForeignFileError: the table or a column is missing.
            sqlite3.Error: the file is damaged; `open_foreign` makes a sentence of it.
        """
        conditions = where or {}
        missing = [name for name in (*columns, *conditions, *order) if not self.has(table, (name,))]
        if missing:
            raise ForeignFileError(f"the table {table} has no column {missing[0]}", why="it is of an unknown version")
        sql = f"SELECT {', '.join(map(_quoted, columns))} FROM {_quoted(table)}"
        if conditions:
            sql += " WHERE " + " AND ".join(f"{_quoted(name)} = ?" for name in conditions)
        if order:
            sql += f" ORDER BY {', '.join(map(_quoted, order))}"
        yield from self._connection.execute(sql, tuple(conditions.values()))


@contextmanager
def open_foreign(path: Path) -> Iterator[ForeignDatabase]:
    """Open a database file without changing it or leaving files beside it.

    Raises:
        ForeignFileError: it can't be opened, is damaged, or something went wrong while the block read it.
    """
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{_how(path)}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
        )
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
        for pragma in ("query_only = ON", "trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
            connection.execute(f"PRAGMA {pragma}")
        yield ForeignDatabase(connection)
    except (sqlite3.Error, OSError) as error:
        raise ForeignFileError(
            f"{path} can't be read as a SQLite database", why=str(error), try_this="is it whole, and closed elsewhere?"
        ) from error
    finally:
        if connection is not None:
            connection.close()


def is_database(path: Path) -> bool:
    """Whether a file begins as a SQLite database does."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _how(path: Path) -> str:
    """A closed database in WAL mode is read as it lies: opening it the usual way would put two files beside it."""
    with path.open("rb") as file:
        header = file.read(20)
    is_wal = len(header) == 20 and header[18] == _WAL_VERSION
    waiting = path.with_name(f"{path.name}-wal")
    has_waiting = waiting.exists() and waiting.stat().st_size > 0
    return "immutable=1" if is_wal and not has_waiting else "mode=ro"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
