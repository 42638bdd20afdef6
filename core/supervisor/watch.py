"""One live run as the supervisor sees it: its process, what its worker has said, the state it stands in.

Own children are waited for; workers that an earlier supervisor made are known by their process and lock. This module
must not write a line: it only looks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from core.events import Finished, Started
from core.paths import RunPaths
from core.runs.identity import ProcessIdentity
from core.runs.recover import LineFilter, worker_lives
from core.states import State
from core.supervisor.memory import MemoryKills, read_memory_kills
from core.supervisor.records import RunRecord


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended; both are None where it was not our child."""

    exit_code: int | None
    signal: int | None


@dataclass(slots=True)
class LiveRun:
    """A run with a worker, or between its first move and its worker. `identity` is None while no process was made."""

    paths: RunPaths
    attempt: int
    device: str
    state: State
    record: RunRecord
    identity: ProcessIdentity | None = None
    is_child: bool = False
    kills_before: MemoryKills = field(default_factory=lambda: MemoryKills({}))
    started: Started | None = None
    finished: Finished | None = None
    exit: Exit | None = None
    is_exit_recorded: bool = False
    is_start_undone: bool = False
    memory_evidence: str = ""
    tidies_up_since: float | None = None
    _events: LineFilter = field(default_factory=lambda: LineFilter(Started, Finished))

    @property
    def run_id(self) -> str:
        return self.paths.run_id

    def watch(self, identity: ProcessIdentity | None, *, is_child: bool) -> None:
        """From now on this is the run's process."""
        self.identity = identity
        self.is_child = is_child
        if identity is not None:
            self.kills_before = read_memory_kills(identity.pid)

    def watch_teller(self) -> None:
        """From now on the process that said Started is the run's: this supervisor did not make it."""
        told = self.started
        self.watch(None if told is None else ProcessIdentity(told.boot_id, told.pid, told.start_ticks), is_child=False)

    def read_events(self) -> None:
        """Take in what the worker has said since the last call.

        Raises:
            OSError: the spool can't be read.
        """
        for record in self._events.read(self.paths, "events"):
            if record.attempt != self.attempt:
                continue
            if isinstance(record.event, Started):
                self.started = record.event
                now = read_memory_kills(record.event.pid)  # its control group may have been made since the fork
                self.kills_before = MemoryKills({**now.counts, **self.kills_before.counts})
            elif isinstance(record.event, Finished):
                self.finished = record.event

    def look(self, boot_id: str) -> None:
        """Find out whether the worker is gone; sets `exit` then."""
        if self.exit is not None:
            return
        if self.is_child and self.identity is not None:
            pid, status = os.waitpid(self.identity.pid, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            ended = Exit(None, -code) if code < 0 else Exit(code, None)
            if worker_lives(self.paths, None, boot_id):  # another holds the run's lock: ours stepped back
                self.watch_teller()
            else:
                self.exit = ended
            return
        if not worker_lives(self.paths, self.identity, boot_id):
            self.exit = Exit(None, None)
