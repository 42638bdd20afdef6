"""The one way by which the app learns what happened: a thread that reads the store and posts messages.

It is the only part of the app that opens the database. It polls the store's data version a few times a second and reads
what is watched, no more; it must not write, decide or draw. Screens say what they look at, in any order and from any
thread, and are answered by messages (`tui.messages`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from textual.message import Message

from core.errors import FinetuiError
from core.paths import Workspace
from core.states import WITH_PROCESS, State
from core.store.reader import Reader, open_reader
from core.store.rows import RunRow
from core.store.run_query import RunQuery
from tui.messages import (
    HardwareChanged,
    QueueChanged,
    RunsChanged,
    RunsPage,
    StoreAvailable,
    StoreUnavailable,
    Summary,
)
from tui.run_watch import RunWatch

POLL_SECONDS = 0.25
PAGE_ROWS = 64
_WAITING_PAGES = 8
"""Pages asked for and not yet read; a person who scrolls past faster wants the last ones only."""
_LARGEST_SHARE = 10
"""A reading that took t seconds is followed by a pause of at least this many t: at most a tenth of a core."""
_RECENT_ENDS = 8


class Feed:
    """Reads one workspace in a daemon thread; `post` must take messages from any thread."""

    def __init__(
        self, workspace: Workspace, post: Callable[[Message], object], poll_seconds: float = POLL_SECONDS
    ) -> None:
        self.workspace = workspace
        self._post = post
        self._poll_seconds = poll_seconds
        self._wake = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._query: RunQuery | None = None
        self._stale_query = False
        self._cursor: str | None = None
        self._pages: deque[tuple[RunQuery, int, int]] = deque(maxlen=_WAITING_PAGES)
        self._run: RunWatch | None = None
        self._queue_on = False
        self._stale_queue = False
        # of the thread alone
        self._reader: Reader | None = None
        self._version = -1
        self._order: tuple[RunQuery, list[int]] | None = None
        self._list_changed = False
        self._list_due = 0.0
        self._summary: Summary | None = None
        self._complaint: str | None = None

    # --- from any thread

    def start(self) -> None:
        """Begin to read."""
        self._thread = threading.Thread(target=self._work, name="feed", daemon=True)
        self._thread.start()

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """End the thread; one that hangs in a read is left behind (it is a daemon and changes nothing)."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def watch_runs(self, query: RunQuery | None) -> None:
        """Post RunsChanged now and whenever the list may look different; None ends that."""
        with self._wake:
            self._query, self._stale_query = query, query is not None
            self._wake.notify()

    def set_cursor(self, run_id: str | None) -> None:
        """The run whose place in the list is told with every RunsChanged."""
        self._cursor = run_id

    def runs_page(self, query: RunQuery, start: int, limit: int = PAGE_ROWS) -> None:
        """Post the RunsPage with rows `start`…; a request may be dropped where newer ones came meanwhile."""
        with self._wake:
            if (query, start, limit) not in self._pages:
                self._pages.append((query, start, limit))
            self._wake.notify()

    def watch_run(self, run_id: str | None, keys: tuple[str, ...] = ()) -> None:
        """Post RunChanged, SeriesGrew and AxisGrew of this run from now on; None ends that.

        A key that ends in `*` means all metrics that begin so (`eval/*`). The same run with other keys goes on where it
        is; only curves that were not watched before are sent anew.
        """
        with self._wake:
            known = self._run
            if run_id is None:
                self._run = None
            elif known is not None and known.run_id == run_id:
                known.ask_for(keys)
            else:
                self._run = RunWatch(run_id, keys)
            self._wake.notify()

    def watch_queue(self, on: bool) -> None:
        """Post QueueChanged now and on every change, or no more."""
        with self._wake:
            self._queue_on, self._stale_queue = on, on
            self._wake.notify()

    # --- the thread

    def _work(self) -> None:
        pause = 0.0
        while True:
            with self._wake:
                if not self._stopping and not self._has_wishes():
                    self._wake.wait(max(pause, self._poll_seconds))
                if self._stopping:
                    break
            started = time.monotonic()
            self._look()
            pause = (time.monotonic() - started) * _LARGEST_SHARE
        if self._reader is not None:
            self._reader.close()

    def _has_wishes(self) -> bool:
        run = self._run
        return bool(self._stale_query or self._pages or self._stale_queue or (run is not None and run.has_wishes))

    def _look(self) -> None:
        try:
            reader = self._open()
            self._read(reader)
        except FinetuiError as error:
            self._drop_wishes()
            if str(error) != self._complaint:
                self._complaint = str(error)
                self._post(StoreUnavailable(str(error)))
            time.sleep(self._poll_seconds)

    def _open(self) -> Reader:
        if self._reader is None:
            self._reader = open_reader(self.workspace, timeout_seconds=1.0)
            self._post(StoreAvailable(self._reader.warning))
        return self._reader

    def _drop_wishes(self) -> None:
        """What can't be read now is read when the version is looked at again: every watch counts as stale then."""
        with self._wake:
            self._stale_query = self._stale_queue = False
            self._pages.clear()
        if self._run is not None:
            self._run.has_wishes = False
        self._version = -1
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _read(self, reader: Reader) -> None:
        version = reader.data_version()
        changed, self._version = version != self._version, version
        with self._wake:
            query, stale_query, self._stale_query = self._query, self._stale_query, False
            queue_on, stale_queue, self._stale_queue = self._queue_on, self._stale_queue, False
            pages, run = list(self._pages), self._run
            self._pages.clear()
        self._list_changed = self._list_changed or changed
        if query is not None and (stale_query or (self._list_changed and time.monotonic() >= self._list_due)):
            started, self._list_changed = time.monotonic(), False
            self._read_list(reader, query, version)
            self._list_due = time.monotonic() + (time.monotonic() - started) * _LARGEST_SHARE
        for wanted in pages:
            self._read_page(reader, *wanted)
        if run is not None and (changed or run.has_wishes):
            for message in run.read(reader, version >> 32):
                self._post(message)
        if queue_on and (changed or stale_queue):
            self._read_queue(reader)
        if changed or self._summary is None:
            self._read_summary(reader, query is None)
        if self._complaint is not None:
            self._complaint = None
            self._post(StoreAvailable(reader.warning))

    def _read_list(self, reader: Reader, query: RunQuery, version: int) -> None:
        is_new = self._order is None or self._order[0] != query
        if is_new and query.sort == "created":  # the first screenful before all are counted; no other order is quicker
            first = reader.matching(query, PAGE_ROWS)
            self._post_page(reader, query, 0, first)
        run_keys = reader.matching(query)
        self._order = (query, run_keys)
        self._summary = self._summarise(reader)
        run_id = self._cursor
        cursor = self._place(reader, run_keys, run_id)
        self._post(RunsChanged(version, query, len(run_keys), self._summary, cursor, run_id))

    def _place(self, reader: Reader, run_keys: list[int], run_id: str | None) -> int | None:
        number = reader.run_number(run_id) if run_id is not None else None
        try:
            return None if number is None else run_keys.index(number)
        except ValueError:
            return None

    def _read_page(self, reader: Reader, query: RunQuery, start: int, limit: int) -> None:
        if self._order is None or self._order[0] != query:
            self._order = (query, reader.matching(query))
        self._post_page(reader, query, start, self._order[1][start : start + limit])

    def _post_page(self, reader: Reader, query: RunQuery, start: int, run_keys: list[int]) -> None:
        page = reader.page(run_keys, query.columns)
        self._post(RunsPage(query, start, page.rows, page.values, page.trends, self._version))

    def _read_queue(self, reader: Reader) -> None:
        live = reader.runs(kind=None, states=sorted(WITH_PROCESS))
        waiting = reader.queue(with_held=True)
        ended = reader.runs(kind=None, states=[State.FINISHED, State.PAUSED], limit=_RECENT_ENDS)
        self._post(QueueChanged(live, waiting, ended))

    def _read_summary(self, reader: Reader, alone: bool) -> None:
        if alone:  # no list is watched, yet the app tells when a run has ended
            self._summary = self._summarise(reader)
            self._post(RunsChanged(self._version, RunQuery(), -1, self._summary))
        live = self._summary.live if self._summary is not None else ()
        samples = reader.hardware(live[0].run_id, limit=1) if live else ()
        self._post(HardwareChanged(samples[-1] if samples else None))

    def _summarise(self, reader: Reader) -> Summary:
        live = reader.runs(kind=None, states=sorted(WITH_PROCESS))
        waiting = reader.queue(with_held=True)
        before = self._summary.live if self._summary is not None else ()
        gone = [row.run_id for row in before if row.run_id not in {now.run_id for now in live}]
        held = sum(row.state is State.HELD for row in waiting)
        ended = tuple(row for row in (_find(reader, run_id) for run_id in gone) if row is not None)
        return Summary(live=live, queued=len(waiting) - held, held=held, ended=ended)


def _find(reader: Reader, run_id: str) -> RunRow | None:
    """A run that may have been removed since."""
    try:
        return reader.run(run_id)
    except FinetuiError:
        return None
