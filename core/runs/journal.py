"""Write down what a person decided, before it takes effect: the only writer of `journal.jsonl`.

It must not judge a decision: whether a run may still be held or resumed is decided where the line is applied.
"""

from __future__ import annotations

import errno

from core.errors import StoreBusyError, WorkspaceError
from core.events import Event
from core.locks import FileLock
from core.paths import Workspace, make_private_folder
from core.runs.spool import Spool

LOCK_TIMEOUT_SECONDS = 10.0


def decide(workspace: Workspace, *events: Event, at: float | None = None) -> tuple[int, ...]:
    """Append the decisions, in this order, and return their numbers once they are on the disk.

    `at` is when they were made (seconds since 1970), for a replay of what was recorded; None means now.

    Raises:
        WorkspaceError: the workspace can't be written, or the disk is full.
        StoreBusyError: another process has held the journal for ten seconds.
    """
    lock = FileLock(workspace.journal_lock)
    if not lock.acquire(LOCK_TIMEOUT_SECONDS):
        raise StoreBusyError(
            "another process has been writing the journal for ten seconds",
            try_this="try again; if it stays so, `finetui doctor` names the process",
        )
    try:
        make_private_folder(workspace.root)
        with Spool.open(workspace.journal, attempt=0) as spool:
            numbers = spool.append_all(events, None if at is None else (at,) * len(events))
            spool.sync()
            return numbers
    except OSError as error:
        raise WorkspaceError(
            f"can't write {workspace.journal}: {error.strerror}",
            try_this="free some space and try again; nothing was changed"
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else "check that the folder is yours and writable",
        ) from error
    finally:
        lock.release()
