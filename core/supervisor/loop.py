"""The supervisor's loop: what it does, in which order, again and again until nothing is left to do.

Each duty starts from what the files say, so that a kill between any two lines costs nothing: the successor's first pass
ends where this one was going. It must not keep anything in memory alone that a successor would need.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import partial

from core.errors import FinetuiError, LaunchError, StoreNewerError, WorkspaceError
from core.events import Exited
from core.locks import FileLock, lock_holder
from core.paths import Workspace
from core.runs.identity import read_boot_id
from core.runs.recover import judge, last_spawned, worker_lives
from core.runs.redact import redact
from core.runs.spool import last_line
from core.states import Outcome, State
from core.store.rows import RunRow
from core.supervisor.decisions import Decisions
from core.supervisor.ending import end_process
from core.supervisor.memory import memory_evidence
from core.supervisor.options import Options
from core.supervisor.records import RunRecord
from core.supervisor.sampler import HardwareSampler
from core.supervisor.spawn import spawn
from core.supervisor.view import StoreView
from core.supervisor.watch import LiveRun

logger = logging.getLogger("finetui.supervisor")
RETRY_START_SECONDS = 2.0
MAX_FAILED_STARTS = 3
_BEFORE_STOPPING = frozenset({State.STARTING, State.RUNNING, State.PAUSING})
_BEFORE_PAUSING = frozenset({State.STARTING, State.RUNNING})


class Supervisor:
    """Owns a workspace while it holds the ingest lock. `run()` returns when nothing is left to do, or `end_soon()`."""

    def __init__(self, workspace: Workspace, options: Options) -> None:
        self.workspace = workspace
        self.options = options
        self.boot_id = read_boot_id() if options.boot_id is None else options.boot_id
        self._decisions = Decisions(workspace)
        self._view = StoreView(workspace)
        self._live: dict[str, LiveRun] = {}
        self._ending: list[LiveRun] = []  # finished by their own word; the process may still tidy up
        self._sampler = HardwareSampler(workspace)
        self._start_after: dict[str, float] = {}
        self._failed_starts: dict[str, int] = {}
        self._complaints: dict[str, float] = {}
        self.was_asked_to_end = False
        self._has_ended = False

    def end_soon(self) -> None:
        """Leave after the present pass, without touching a worker; safe to call from a signal handler."""
        self.was_asked_to_end = True

    def run(self, release_locks: Callable[[], None]) -> None:
        """Until nothing is queued or running, about ten times a second:

        1. ingest what workers, people and this process have written;
        2. adopt live runs that no watched process belongs to, and look at every watched one;
        3. record what workers have said of themselves, and who is gone;
        4. hand on requests;
        5. start the next job of each free device;
        6. sample the hardware while a run lives;
        7. end, if nothing is left, within the journal's lock and with all of the journal read: a decision that is
           written then finds no supervisor and starts one.

        `release_locks` gives back what makes this process the supervisor.

        Raises:
            StoreNewerError: the database belongs to a newer finetui.
        """
        try:
            while not self.was_asked_to_end:
                fresh = self._attempt("ingest", self._ingest)
                if fresh:
                    self._attempt("adopt", self._adopt)
                for live in list(self._live.values()):
                    self._attempt(f"watch {live.run_id}", partial(self._watch, live))
                self._attempt("reap", self._reap)
                for live in list(self._live.values()):
                    self._attempt(f"requests of {live.run_id}", partial(self._hand_on, live))
                if fresh:
                    self._attempt("start", self._start_next)
                self._attempt("sample", self._sample)
                if fresh and not self._has_work():
                    self._attempt("end", partial(self._end, release_locks))
                    if self._has_ended:
                        return
                time.sleep(self.options.poll_seconds)
        finally:
            self._sampler.stop()
            self._view.close()
            for live in (*self._live.values(), *self._ending):
                live.record.close()

    def _attempt(self, duty: str, act: Callable[[], None]) -> bool:
        """Do one duty; a full disk or a busy store is said once a minute and tried again in the next pass."""
        try:
            act()
        except StoreNewerError:
            raise
        except (OSError, FinetuiError) as error:
            now = time.monotonic()
            if now >= self._complaints.get(duty, 0.0):
                logger.warning("%s: %s; trying again", duty, redact(str(error), os.environ))
                self._complaints[duty] = now + 60.0
            return False
        self._complaints.pop(duty, None)
        return True

    # --- 1

    def _ingest(self) -> None:
        self._decisions.read()
        self._view.refresh()

    # --- 2, 3

    def _adopt(self) -> None:
        known = {live.run_id for live in (*self._live.values(), *self._ending)}
        for row in self._view.live:
            if row.run_id not in known:
                self._attempt(f"adopt {row.run_id}", partial(self._adopt_run, row))

    def _adopt_run(self, row: RunRow) -> None:
        paths = self.workspace.run(row.run_id)
        live = LiveRun(paths, row.attempt, row.device, State(row.state), RunRecord(paths, row.attempt))
        identity = last_spawned(paths, row.attempt)
        live.read_events()
        if identity is None and live.started is not None:
            live.watch_teller()
        else:
            live.watch(identity, is_child=False)
        never_ran = live.state is State.STARTING and live.started is None
        if never_ran and self._was_in_this_boot(live) and not worker_lives(paths, identity, self.boot_id):
            self._move(live, State.QUEUED, why="the supervisor was ended before the worker ran")
            live.record.close()
            return
        self._live[row.run_id] = live
        logger.info("adopted %s, attempt %d, %s", row.run_id, row.attempt, live.state)

    def _was_in_this_boot(self, live: LiveRun) -> bool:
        return live.identity is None or live.identity.boot_id == self.boot_id

    def _watch(self, live: LiveRun) -> None:
        if live.is_start_undone:
            self._undo_start(live)  # the disk was full when it was tried first
            return
        live.look(self.boot_id)
        live.read_events()  # after the look: what it wrote before it went is all there
        if live.started is not None and live.state is State.STARTING:
            self._move(live, State.RUNNING)
        if live.exit is not None:
            if not live.paths.folder.is_dir():  # deleted by a person: there is nowhere to write
                self._live.pop(live.run_id).record.close()
                return
            self._record_exit(live)
        if live.finished is not None or live.exit is not None:
            self._finish(live)

    def _finish(self, live: LiveRun) -> None:
        ending = judge(
            finished=live.finished,
            started=live.started is not None,
            same_boot=self._was_in_this_boot(live),
            exit_code=None if live.exit is None else live.exit.exit_code,
            signal=None if live.exit is None else live.exit.signal,
            memory_evidence=live.memory_evidence,
            last_line=last_line(live.paths.log),
        )
        why = redact(ending.why, os.environ)
        if ending.outcome is not None:
            self._move(live, State.FINISHED, why=why, outcome=ending.outcome)
        elif live.state is State.STOPPING:
            self._move(live, State.FINISHED, why=why, outcome=Outcome.STOPPED)
        else:
            if live.state is not State.PAUSING:
                self._move(live, State.PAUSING, why="the worker paused by itself")
            self._move(live, State.PAUSED, why=why)
        logger.info("%s: %s", live.run_id, ending.outcome or "paused")
        del self._live[live.run_id]
        live.tidies_up_since = time.monotonic()
        self._ending.append(live)

    def _reap(self) -> None:
        for live in list(self._ending):
            live.look(self.boot_id)
            if live.exit is not None:
                self._record_exit(live)
                self._ending.remove(live)
                live.record.close()
            elif self._hangs(live) and live.identity is not None and end_process(live.identity):
                logger.warning("%s: its worker hung after its last word and was ended", live.run_id)

    def _hangs(self, live: LiveRun) -> bool:
        since = live.tidies_up_since
        return since is not None and time.monotonic() - since > self.options.tidy_up_seconds

    def _record_exit(self, live: LiveRun) -> None:
        if live.exit is not None and not live.is_exit_recorded:
            live.memory_evidence = memory_evidence(live.kills_before)
            code, signal = live.exit.exit_code, live.exit.signal
            live.record.exited(Exited(exit_code=code, signal=signal, evidence=live.memory_evidence))
            live.is_exit_recorded = True

    def _move(self, live: LiveRun, to_state: State, *, why: str = "", outcome: Outcome | None = None) -> None:
        live.record.moved(live.state, to_state, journal_seq=self._view.journal_seq, why=why, outcome=outcome)
        live.state = to_state

    # --- 4

    def _hand_on(self, live: LiveRun) -> None:
        for request in self._decisions.requests(live.run_id):
            live.record.hand_on(request)
            if request.action == "stop" and live.state in _BEFORE_STOPPING:
                self._move(live, State.STOPPING, why="asked to stop")
            elif request.action == "pause" and live.state in _BEFORE_PAUSING:
                self._move(live, State.PAUSING, why="asked to pause")

    # --- 5

    def _start_next(self) -> None:
        busy = {live.device for live in (*self._live.values(), *self._ending)}
        tidying = {live.run_id for live in self._ending}
        for row in self._view.queued:
            if row.run_id in self._live or row.run_id in tidying:
                continue
            if lock_holder(self.workspace.run(row.run_id).lock) is not None:
                continue  # an earlier attempt's process, not ours, still tidies up
            if self._decisions.queued_in_boot(row.run_id) not in (None, "", self.boot_id):
                self._attempt(f"hold {row.run_id}", partial(self._hold_after_reboot, row))
            elif row.device not in busy and time.monotonic() >= self._start_after.get(row.run_id, 0.0):
                self._attempt(f"start {row.run_id}", partial(self._start, row))
                if row.device != "none":
                    busy.add(row.device)

    def _hold_after_reboot(self, row: RunRow) -> None:
        record = RunRecord(self.workspace.run(row.run_id), row.attempt)
        try:
            record.moved(State.QUEUED, State.HELD, journal_seq=self._view.journal_seq, why="after a reboot")
        finally:
            record.close()

    def _start(self, row: RunRow) -> None:
        """Moved to `starting` first, then a process that waits, then its name on the disk, then it runs."""
        paths = self.workspace.run(row.run_id)
        live = LiveRun(paths, row.attempt, row.device, State.QUEUED, RunRecord(paths, row.attempt))
        self._move(live, State.STARTING)
        self._live[row.run_id] = live
        try:
            spawn(live, self.workspace, self.options, self.boot_id)
        except (LaunchError, WorkspaceError) as error:
            failures = self._failed_starts.get(row.run_id, 0) + 1
            self._failed_starts[row.run_id] = failures
            if failures >= MAX_FAILED_STARTS:
                self._move(live, State.FINISHED, why=redact(str(error), os.environ), outcome=Outcome.COULD_NOT_START)
                del self._live[row.run_id]
            else:
                self._undo_start(live)
            raise
        except OSError:
            self._undo_start(live)
            raise
        logger.info("started %s, attempt %d", row.run_id, row.attempt)

    def _undo_start(self, live: LiveRun) -> None:
        """Back into the queue: no worker ran. Repeated by the next pass where the disk is full."""
        live.is_start_undone = True
        self._start_after[live.run_id] = time.monotonic() + RETRY_START_SECONDS
        self._move(live, State.QUEUED, why="the worker could not be started yet")
        live.record.close()
        del self._live[live.run_id]

    # --- 6, 7

    def _sample(self) -> None:
        running = [live for live in self._live.values() if live.started is not None]
        if not running or not self.options.samples_hardware:
            self._sampler.stop()
            return
        first = next((live for live in running if live.device != "none"), running[0])
        for reading in self._sampler.readings(None if first.started is None else first.started.pid):
            for live in running:
                live.record.sampled(reading)

    def _has_work(self) -> bool:
        return bool(self._live or self._ending or self._view.queued or self._view.live)

    def _end(self, release_locks: Callable[[], None]) -> None:
        lock = FileLock(self.workspace.journal_lock)
        if not lock.try_acquire():
            return
        try:
            self._ingest()  # what this pass wrote itself, and decisions since its beginning
            if self._has_work() or self._decisions.last_seq > self._view.journal_seq:
                return
            self._view.close()
            release_locks()
            self._has_ended = True
        finally:
            lock.release()
