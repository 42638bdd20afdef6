"""The experiment store: `experiments.db` as an index over the journal and the run folders, and the only room with SQL.

One process at a time writes (it holds the ingest lock); everybody else reads. Nothing here starts a run or judges one.
Importing a part of this room must stay cheap: the standard library's sqlite3 only, on the reading and ingesting path.
"""

from core.store.ingest import IngestReport, ingest, ingest_once
from core.store.reader import Reader, open_reader
from core.store.rows import RunRow
from core.store.writer import Writer, open_writer

__all__ = ["IngestReport", "Reader", "RunRow", "Writer", "ingest", "ingest_once", "open_reader", "open_writer"]
