"""The schema as it was released, and what reading the store may not import."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from core.paths import Workspace
from core.states import State
from core.store import ingest_once, open_reader
from core.store.content import TABLES, natural_content
from core.store.database import empty_connection
from core.store.rebuild import differing_tables
from core.store.schema import SCHEMA_VERSION, STEPS, statements

OF_LIBRARIES = ("_sqlite_migrations", "idx__sqlite_migrations", "sqlite_")
FIXTURES = Path(__file__).parent / "fixtures"


def shape(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Every table and index of ours with its SQL, white space apart."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    return [(name, " ".join(sql.split())) for name, sql in rows if not name.startswith(OF_LIBRARIES)]


def test_migrations_make_the_whole_schema(workspace: Workspace) -> None:
    workspace.root.mkdir(parents=True, exist_ok=True)
    assert ingest_once(workspace)
    connection = sqlite3.connect(workspace.database)
    made = shape(connection)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    applied = connection.execute("SELECT name FROM _sqlite_migrations ORDER BY rowid").fetchall()
    connection.close()
    assert made == shape(empty_connection())
    assert [name for (name,) in applied] == [name for name, _ in STEPS]
    tables = [name for name, sql in made if sql.startswith("CREATE TABLE")]
    assert sorted(tables) == sorted([*TABLES, "ingested_streams", "metric_keys"])
    assert len(made) == sum(len(statements(sql)) for _, sql in STEPS)


def test_the_first_released_schema_still_opens(workspace: Workspace) -> None:
    """The fixture is a dump of a small store as version 1 wrote it; its shape is that of the release, word for word."""
    workspace.root.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(workspace.database, isolation_level=None)
    connection.executescript((FIXTURES / "experiments-v1.sql").read_text("utf-8"))
    released = shape(connection)
    before = natural_content(connection)
    connection.close()
    if SCHEMA_VERSION == 1:
        assert released == shape(empty_connection())
    shutil.copytree(FIXTURES / "workspace-v1", workspace.root, dirs_exist_ok=True)
    with open_reader(workspace) as reader:
        assert [row.state for row in reader.runs()] == [State.FINISHED]
        assert len(reader.series(reader.find("first"), "loss").steps) == 4
    assert ingest_once(workspace)
    assert differing_tables(workspace) == ()
    assert sum(len(rows) for rows in before.values()) > 20


def test_reading_and_ingesting_import_nothing_heavy() -> None:
    program = (
        "import sys, core.store, core.store.rebuild, core.store.connect\n"
        "print([name for name in ('numpy', 'pandas', 'sqlite_utils', 'torch', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
