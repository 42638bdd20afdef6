"""`python -P -m core.store.migrate DATABASE BACKUPS`: make or migrate one database, in a process of its own.

The caller holds the ingest lock for as long as this runs. An existing database is checked and copied to BACKUPS first.
Says what failed as one line on stderr; the exit status is 0 only when the schema is up to date.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path

from core.store.schema import SCHEMA_VERSION

BUSY_SECONDS = 10.0


def main(arguments: list[str]) -> int:
    """Migrate the database named first; back it up into the folder named second."""
    # sqlite_utils looks for these two at import and takes 0.4 s longer where it finds them; nothing here needs them
    for package in ("numpy", "pandas"):
        sys.modules[package] = None  # type: ignore[assignment]
    from core.store.migrations import migrate

    database, backups = Path(arguments[0]), Path(arguments[1])
    connection = sqlite3.connect(database, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            sys.stderr.write(f"schema {version} is newer than {SCHEMA_VERSION}\n")
            return 3
        if 0 < version < SCHEMA_VERSION:
            back_up(connection, backups, f"experiments-v{version}")
        migrate(connection)
    except sqlite3.Error as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        connection.close()
    return 0


def back_up(connection: sqlite3.Connection, backups: Path, stem: str) -> Path:
    """Check the database, copy it (VACUUM INTO: a plain copy of a live database can be torn), return the copy's path.

    Raises:
        sqlite3.DatabaseError: it is damaged, or the disk is full.
    """
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise sqlite3.DatabaseError(f"quick_check: {problem}")
    backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy = backups / f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09d}.db"
    connection.execute("VACUUM INTO ?", (str(copy),))
    copy.chmod(0o600)
    return copy


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
