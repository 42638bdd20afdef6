"""Fixtures of the store's tests."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from core.store import database


@pytest.fixture
def migrations_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real migrations without a process for each: a random history makes hundreds of databases."""

    def migrate_here(path: Path, backups: Path) -> None:
        from core.store.migrations import migrate

        connection = sqlite3.connect(path, isolation_level=None)
        migrate(connection)
        connection.close()

    monkeypatch.setattr(database, "_migrate_by_subprocess", migrate_here)
