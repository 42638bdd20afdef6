"""The whole content of a store by natural keys (run ids and metric names instead of numbers), to compare two stores.

Where lines were read to is left out: it says how a database was made, not what it holds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TypeAlias

from core.store.schema import FROM_EVENTS, FROM_MACHINE, FROM_PEOPLE

Row: TypeAlias = "tuple[str | int | float | None, ...]"

TABLES = ("runs", "recipes", "removed_runs", *FROM_PEOPLE, *FROM_EVENTS, *FROM_MACHINE)
_NATURAL = {
    "run_key": "(SELECT run_id FROM runs AS r WHERE r.run_key = t.run_key)",
    "key_id": "(SELECT name FROM metric_keys AS k WHERE k.key_id = t.key_id)",
    "validation_key": "(SELECT name FROM metric_keys AS k WHERE k.key_id = t.validation_key)",
}


def natural_content(connection: sqlite3.Connection) -> dict[str, list[Row]]:
    """Every table's rows in order; equal for two databases exactly where a reader can see no difference.

    Raises:
        sqlite3.Error: the database is damaged or has another schema.
    """
    return {table: list(natural_rows(connection, table)) for table in TABLES}


def natural_rows(connection: sqlite3.Connection, table: str) -> Iterator[Row]:
    """The rows of one table by natural keys, in order; read as they are asked for."""
    columns = [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")]
    if not columns:
        raise sqlite3.DatabaseError(f"no such table: {table}")
    if table == "runs":
        columns.remove("run_key")
    selected = ", ".join(_NATURAL.get(column, f"t.{column}") for column in columns)
    order = ", ".join(str(position) for position in range(1, len(columns) + 1))
    yield from connection.execute(f"SELECT {selected} FROM {table} AS t ORDER BY {order}")
