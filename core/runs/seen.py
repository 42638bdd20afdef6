"""Look at the store after a decision: wait until a journal line is in it, read a run as it stands now.

Whoever lives ingests: the supervisor, else the caller for a moment. This module must not decide anything.
"""

from __future__ import annotations

import time

from core.paths import Workspace
from core.store.ingest import ingest_once
from core.store.reader import open_reader
from core.store.rows import RunRow

SEEN_TIMEOUT_SECONDS = 5.0


def read_run(workspace: Workspace, run_id: str) -> RunRow:
    """The run as the store knows it now, what is still in the line files included where no supervisor lives.

    Raises:
        RunError: there is no such run.
    """
    ingest_once(workspace)
    with open_reader(workspace) as reader:
        return reader.run(run_id)


def wait_until_seen(workspace: Workspace, seq: int, timeout_seconds: float = SEEN_TIMEOUT_SECONDS) -> bool:
    """Wait until the journal's line `seq` is in the database, ingesting it here where nobody else does.

    False where it did not get there in time (a full disk): the line is safe in the journal and is ingested later.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        ingest_once(workspace)
        with open_reader(workspace) as reader:
            if reader.journal_seq() >= seq:
                return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
