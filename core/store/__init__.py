"""The experiment store: `experiments.db` as an index over the journal and the run folders, and the only room with SQL.

One process at a time writes (it holds the ingest lock); everybody else reads. Nothing here starts a run or judges one.
Importing a part of this room must stay cheap: the standard library's sqlite3 only, on the reading and ingesting path.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.store.ingest import IngestReport, ingest_once
    from core.store.reader import Reader, open_reader
    from core.store.rows import RunRow
    from core.store.writer import Writer, open_writer

__all__ = ["IngestReport", "Reader", "RunRow", "Writer", "ingest_once", "open_reader", "open_writer"]

_HOMES = {
    "IngestReport": "ingest",
    "ingest_once": "ingest",
    "Reader": "reader",
    "open_reader": "reader",
    "RunRow": "rows",
    "Writer": "writer",
    "open_writer": "writer",
}


def __getattr__(name: str) -> object:
    """The name from its module, imported now: who only reads must not pay for ingesting (30 ms)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
