"""The one writing connection of a workspace, with what it remembers between polls.

It must not know what a line means (`core.store.ingest`), nor take the ingest lock: that is the caller's for as long as
a Writer is open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from core.paths import Workspace
from core.store.database import connect_writer
from core.store.discovery import Discovery
from core.store.environment import EnvironmentFiles
from core.store.failures import translated
from core.store.policy import JournalPolicy
from core.store.positions import Positions
from core.store.streams import BEHIND
from core.store.worker_fold import MetricKeys


class Writer:
    """The one writing connection with what it remembers between polls; the caller holds the ingest lock."""

    def __init__(
        self, connection: sqlite3.Connection, workspace: Workspace, policy: JournalPolicy, *, sweep: bool = True
    ) -> None:
        self.connection = connection
        self.workspace = workspace
        self.policy = policy
        self.positions = Positions(connection)
        is_behind = self.positions.get("", BEHIND).offset == 1
        self.discovery = Discovery(connection, workspace, sweep=sweep or is_behind)
        self.keys = MetricKeys(connection)
        self.environments = EnvironmentFiles(connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One `BEGIN IMMEDIATE` transaction; an error rolls back, and what was remembered is read anew."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:  # whatever it was, half of it must not stay; raised again
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self.keys.forget()
            self.environments.forget()
            self.discovery.sweep()
            self.positions.forget()
            raise

    def close(self) -> None:
        """Close the connection; the lock is the caller's."""
        self.connection.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_writer(workspace: Workspace, *, sweep: bool = True) -> Writer:
    """Open the database for ingesting, made or migrated first where needed; the caller holds the ingest lock.

    The first ingest looks at every run (`sweep`), or at unfinished and new ones where no kill left others behind.

    Raises: see `core.store.database.connect_writer`.
    """
    connection, policy = connect_writer(workspace)
    try:
        with translated(workspace.database):
            return Writer(connection, workspace, policy, sweep=sweep)
    except BaseException:  # an open handle would keep the file locked; raised again
        connection.close()
        raise
