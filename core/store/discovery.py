"""Which run folders need a look at this poll: ten thousand finished ones must cost nothing.

A run that is not finished is looked at each time, a finished one for a minute longer (a worker's last lines). At the
start it is the newest ones, or all in a sweep: a supervisor's first look, or after a kill. New folders are found by the
mtime of `runs/`. This module must not read line files.
"""

from __future__ import annotations

import os
import sqlite3
import time

from core.events import Job
from core.paths import RUN_ID, RunPaths, Workspace
from core.store.streams import size_of

LINGER_SECONDS = 60.0
NEWEST = 100
LIST_EVERY_SECONDS = 10.0
_YOUNG_SECONDS = 3.0  # within its granularity the mtime of a folder may not show a later change


class Discovery:
    """What one ingester remembers of the runs folder between polls."""

    def __init__(self, connection: sqlite3.Connection, workspace: Workspace, *, sweep: bool) -> None:
        self._connection = connection
        self._workspace = workspace
        self.is_sweep_due = sweep
        self._is_first = True
        self._watched_until: dict[str, float] = {}
        self._folders: frozenset[str] = frozenset()
        self._listed_at = float("-inf")
        self._listed_mtime_ns = -1

    def sweep(self) -> None:
        """Look at every run at the next poll."""
        self.is_sweep_due = True
        self._listed_mtime_ns = -1

    def watched(self) -> list[str]:
        """The runs in the database whose files may have grown, by id."""
        now = time.monotonic()
        if self._is_first:
            self._is_first = False
            newest = f"SELECT run_id FROM runs ORDER BY created_at DESC, run_id DESC LIMIT {NEWEST}"
            self._watched_until.update((row[0], now + LINGER_SECONDS) for row in self._connection.execute(newest))
        if self.is_sweep_due:
            self.is_sweep_due = False
            return [row[0] for row in self._connection.execute("SELECT run_id FROM runs ORDER BY run_id")]
        rows = self._connection.execute("SELECT run_id FROM runs WHERE state <> 'finished'")
        for (run_id,) in rows:
            self._watched_until[run_id] = now + LINGER_SECONDS
        self._watched_until = {run_id: until for run_id, until in self._watched_until.items() if until > now}
        return sorted(self._watched_until)

    def unknown_folders(self) -> list[str]:
        """Ids of run folders that the database does not know (removed runs left out), by id."""
        self._list()
        if not self._folders:
            return []
        known = {row[0] for row in self._connection.execute("SELECT run_id FROM runs")}
        known.update(row[0] for row in self._connection.execute("SELECT run_id FROM removed_runs"))
        # what is known stays out of the list until the next listing: the common case is "nothing new"
        self._folders = self._folders - known
        return sorted(self._folders)

    def _list(self) -> None:
        try:
            mtime_ns = self._workspace.runs.stat().st_mtime_ns
        except OSError:
            self._folders = frozenset()
            return
        now = time.monotonic()
        is_young = abs(time.time() - mtime_ns / 1e9) < _YOUNG_SECONDS
        if mtime_ns == self._listed_mtime_ns and not is_young and now - self._listed_at < LIST_EVERY_SECONDS:
            return
        self._listed_mtime_ns, self._listed_at = mtime_ns, now
        with os.scandir(self._workspace.runs) as entries:
            self._folders = frozenset(entry.name for entry in entries if RUN_ID.fullmatch(entry.name))


def job_to_import(run: RunPaths) -> Job | None:
    """The job of a folder that has no line in the journal; None where it is not one to take in (yet).

    A folder without any line of a worker or supervisor is being queued at this moment, or its making was interrupted.
    """
    if size_of(run.events) == 0 and size_of(run.supervisor) == 0:
        return None
    try:
        job = Job.from_text(run.job.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return job if job.queued.run_id == run.run_id else None
