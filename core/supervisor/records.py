"""The supervisor's pen: moves, processes, exits and samples go to `supervisor.jsonl`, requests to `control.jsonl`.

A move is on the disk before anything follows from it. This module must not decide which move is right.
"""

from __future__ import annotations

from core.events import ControlGiven, Event, Exited, HardwareSampled, Moved, RequestMade, WorkerSpawned
from core.paths import RunPaths
from core.runs.recover import LineFilter
from core.runs.spool import Spool
from core.states import Outcome, State


class RunRecord:
    """Writes about one attempt of one run; every method raises OSError where the disk is full, and may be repeated."""

    def __init__(self, paths: RunPaths, attempt: int) -> None:
        self.paths = paths
        self.attempt = attempt
        self._spool: Spool | None = None
        self._control: Spool | None = None
        self._handed_on: set[str] | None = None

    def moved(
        self, from_state: State, to_state: State, *, journal_seq: int, why: str = "", outcome: Outcome | None = None
    ) -> None:
        """The run moved; `journal_seq` is the last journal line that the decision knew."""
        self._say(
            Moved(
                from_state=from_state.value,
                to_state=to_state.value,
                journal_seq=journal_seq,
                why=why,
                outcome=None if outcome is None else outcome.value,
            )
        )

    def spawned(self, event: WorkerSpawned) -> None:
        """A worker process exists."""
        self._say(event)

    def exited(self, event: Exited) -> None:
        """The worker's process is gone."""
        self._say(event)

    def sampled(self, event: HardwareSampled) -> None:
        """A reading of the machine; losing one to a power cut is no loss, so this does not wait for the disk."""
        self._open().append(event)

    def hand_on(self, request: RequestMade) -> bool:
        """Give a request to the worker; False where it has it already."""
        if request.request_id in self._known_requests():
            return False
        if self._control is None:
            self._control = Spool.open(self.paths.control, self.attempt)
        self._control.append(
            ControlGiven(request_id=request.request_id, action=request.action, arguments=request.arguments)
        )
        self._control.sync()
        self._known_requests().add(request.request_id)
        return True

    def _known_requests(self) -> set[str]:
        if self._handed_on is None:
            records = LineFilter(ControlGiven).read(self.paths, "control")
            self._handed_on = {each.event.request_id for each in records if isinstance(each.event, ControlGiven)}
        return self._handed_on

    def _say(self, event: Event) -> None:
        spool = self._open()
        spool.append(event)
        spool.sync()

    def _open(self) -> Spool:
        if self._spool is None:
            self._spool = Spool.open(self.paths.supervisor, self.attempt)
        return self._spool

    def close(self) -> None:
        """Close both files; the disk being full then is no reason to stop."""
        for spool in (self._spool, self._control):
            if spool is not None:
                try:
                    spool.close()
                except OSError:
                    continue  # the lines are written; only the last sync failed
        self._spool = self._control = None
