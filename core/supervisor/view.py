"""The supervisor's own window on the store: ingest what is new, then which runs live and which wait.

Rows are read again only where something was ingested, so that an idle pass costs some `stat` calls. This module must
not decide anything.
"""

from __future__ import annotations

from core.paths import Workspace
from core.states import WITH_PROCESS
from core.store.ingest import Writer, ingest, open_writer
from core.store.reader import Reader, open_reader
from core.store.rows import RunRow


class StoreView:
    """What the store says as of the last `refresh()`; the caller holds the ingest lock."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._writer: Writer | None = None
        self._reader: Reader | None = None
        self._is_current = False
        self.journal_seq = 0
        self.live: tuple[RunRow, ...] = ()
        self.queued: tuple[RunRow, ...] = ()

    def refresh(self) -> None:
        """Ingest, then read the rows again where anything was new.

        Raises:
            StoreNewerError: the database belongs to a newer finetui.
            StoreError, WorkspaceError: it can't be read or written now (full disk): what is known is out of date.
        """
        if self._writer is None:
            self._writer = open_writer(self._workspace)
        report = ingest(self._writer, self._workspace)
        if report.lines == 0 and not report.runs_changed and self._is_current:
            return
        self._is_current = False
        if self._reader is None:
            self._reader = open_reader(self._workspace)
        self.journal_seq = self._reader.journal_seq()
        self.live = self._with_folder(self._reader.runs(kind=None, states=sorted(WITH_PROCESS)))
        self.queued = self._with_folder(self._reader.queue())
        self._is_current = True

    def _with_folder(self, rows: tuple[RunRow, ...]) -> tuple[RunRow, ...]:
        """Without runs whose folder a person deleted: nothing can be written about them."""
        return tuple(row for row in rows if self._workspace.run(row.run_id).folder.is_dir())

    def close(self) -> None:
        """Close both connections."""
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
