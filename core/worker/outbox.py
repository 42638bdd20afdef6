"""What a worker says, on its way to the spool: a full disk may delay a line, it must not end the training.

The order of lines is kept; nothing here decides what is said, and nothing is dropped without a word.
"""

from __future__ import annotations

import errno
import sys
import time
from collections import deque

from core.errors import StoreError
from core.events import Event
from core.runs.spool import Spool

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says where a file can't grow: disk full, quota used up, size limit reached."""

_BACKLOG_LIMIT = 20_000


class Outbox:
    """Appends events to a run's spool; while the disk is full they wait in memory, in order."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._waiting: deque[Event] = deque()

    @property
    def waiting(self) -> int:
        """How many events are not on disk yet."""
        return len(self._waiting)

    def say(self, event: Event) -> None:
        """Append `event` behind all that were said before.

        Raises:
            StoreError: the spool refuses for another reason than space, or too much is waiting.
        """
        if not self._waiting and self._append(event):
            return
        self._waiting.append(event)
        self._drain()
        if len(self._waiting) > _BACKLOG_LIMIT:
            raise StoreError(
                f"the disk has been full for {len(self._waiting)} events",
                try_this="free some space on the workspace's disk, then resume the run from its last checkpoint",
            )

    def sync(self) -> None:
        """Have all that was said on disk, as far as there is space."""
        self._drain()
        try:
            self._spool.sync()
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise StoreError(f"the run's events can't be written: {error.strerror}") from error

    def flush(self, timeout_seconds: float) -> bool:
        """Try to get everything on disk before the worker ends; False where events are still waiting then."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            self.sync()
            if not self._waiting:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.2)

    def close(self) -> None:
        """Close the spool; what still waits is named in the log, since it is lost."""
        for event in self._waiting:
            sys.stderr.write(f"not written, the disk is full: {event}\n")
        self._spool.close()

    def _drain(self) -> None:
        while self._waiting and self._append(self._waiting[0]):
            self._waiting.popleft()

    def _append(self, event: Event) -> bool:
        """Whether the line is written; False while the disk is full."""
        before = self._spool.last_seq
        try:
            self._spool.append(event)
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise StoreError(f"the run's events can't be written: {error.strerror}") from error
            return self._spool.last_seq > before  # the line may be there, and only the wait for the disk have failed
        return True
