"""What the supervisor needs to know of the journal: requests to hand on, and in which boot a job was queued.

It follows the file itself, since it must know that it has read all of it before it ends. It must not write.
"""

from __future__ import annotations

from core.events import Event, Released, RequestMade, Resumed, RunQueued
from core.paths import Workspace
from core.runs.spool import tail


class Decisions:
    """A fold over `journal.jsonl`, read once from its beginning and then followed."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.journal
        self._begin()

    def _begin(self) -> None:
        self._offset = 0
        self._requests: dict[str, list[RequestMade]] = {}
        self._boot_ids: dict[str, str] = {}
        self.last_seq = 0

    def read(self) -> bool:
        """Take in new lines; True where there were any.

        Raises:
            OSError: the journal can't be read.
        """
        size = self._path.stat().st_size if self._path.exists() else 0
        if size == self._offset:
            return False
        if size < self._offset:  # a person put an older journal in its place
            self._begin()
        found = tail(self._path, self._offset)
        self._offset = found.offset
        for _, record in found.records:
            self.last_seq = record.seq
            if record.event is not None:
                self._apply(record.event)
        return bool(found.records)

    def _apply(self, event: Event) -> None:
        if isinstance(event, RequestMade):
            self._requests.setdefault(event.run_id, []).append(event)
        elif isinstance(event, (RunQueued, Resumed, Released)):
            self._boot_ids[event.run_id] = event.boot_id
            if isinstance(event, Resumed):
                self._requests.pop(event.run_id, None)  # wishes of an earlier attempt

    def requests(self, run_id: str) -> tuple[RequestMade, ...]:
        """What was asked of the run's present attempt, in order."""
        return tuple(self._requests.get(run_id, ()))

    def queued_in_boot(self, run_id: str) -> str | None:
        """The boot in which the job last entered the queue; None where the journal does not know it (imported)."""
        return self._boot_ids.get(run_id)
