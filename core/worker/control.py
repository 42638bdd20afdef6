"""Requests while running: the lines of control.jsonl, and signals turned into the same kind of request.

Polling costs one `stat` where nothing new was asked. This module only says what was asked; the job acts and answers.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from core.events import ControlGiven, scan


@dataclass(frozen=True, slots=True)
class Request:
    """One wish: action is stop, pause, save or evaluate. `request_id` is None for a signal, which wants no answer."""

    action: str
    request_id: str | None


class Control:
    """The requests for one attempt of one run."""

    def __init__(self, path: Path, attempt: int) -> None:
        self._path = path
        self._attempt = attempt
        self._offset = 0
        self._size = 0
        self._signalled = False
        self._pending: list[Request] = []

    def install_signals(self) -> None:
        """SIGTERM and SIGINT ask for a stop with a checkpoint; a lost terminal (SIGHUP) means nothing to a worker."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self._signalled:  # systemd and a shell may both send one
            self._signalled = True
            self._pending.append(Request("stop", None))

    def wanted_end(self) -> str | None:
        """`stopped` or `paused` where such a request is waiting; asks without taking it."""
        self._read()
        actions = {request.action for request in self._pending}
        return "stopped" if "stop" in actions else "paused" if "pause" in actions else None

    def wants_to_end(self) -> bool:
        """Whether a stop or a pause is waiting; for long work between two steps."""
        return self.wanted_end() is not None

    def take(self) -> list[Request]:
        """All requests that are waiting, oldest first; each is given out once."""
        self._read()
        if not self._pending:
            return []
        taken, self._pending = self._pending, []
        return taken

    def _read(self) -> None:
        try:
            size = os.stat(self._path).st_size  # noqa: PTH116  a Path method costs three times as much at each step
        except FileNotFoundError:
            return
        if size == self._size:
            return
        self._size = size
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            found = scan(stream.read(), self._offset)
        self._offset = found.offset
        for _, record in found.records:
            if isinstance(record.event, ControlGiven) and record.attempt == self._attempt:
                self._pending.append(Request(record.event.action, record.event.request_id))
