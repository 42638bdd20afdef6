"""The schema's history as sqlite-utils `Migrations`: small named steps, all of them in one transaction.

Imported by `core.store.migrate` alone, in a process of its own: sqlite_utils pulls numpy and pandas where they are
installed, and no light command may pay for that. It must not be told about a workspace, only about a connection.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

from core.store.schema import SCHEMA_VERSION, STEPS, statements

migrations = Migrations("finetui")


def _register(name: str, sql: str) -> None:
    def step(database: Database) -> None:
        for statement in statements(sql):
            database.execute(statement)

    migrations(name=name)(step)


for _name, _sql in STEPS:
    _register(_name, _sql)


def migrate(connection: sqlite3.Connection) -> int:
    """Bring the schema up to date in one exclusive transaction; returns how many steps were applied.

    sqlite-utils runs each step in a savepoint of this transaction: a kill leaves the old schema or the new one, never
    a schema between.
    """
    database = Database(connection, execute_plugins=False)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        pending = len(migrations.pending(database))
        migrations.apply(database)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:  # never between two schemas; raised again
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return pending
