"""Readings of the machine while a run lives, from a child process that may hang or die without harm.

A GPU that falls off the bus can take the process that asks NVML with it, or block it for ever: the child is killed and
started anew. Where readings can't be had there are none. This module must not judge a run by a reading.
"""

from __future__ import annotations

import json
import os
import subprocess
import time

from core.events import HardwareSampled
from core.events.lines import Json
from core.paths import Workspace
from core.runs.launch import start_sampler

PERIOD_SECONDS = 2.0
SILENCE_SECONDS = 20.0
RESTART_SECONDS = 30.0
_MAX_BUFFER_BYTES = 1024 * 1024


class HardwareSampler:
    """Keeps the child alive while somebody asks, and takes its lines without ever waiting for it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._buffer = b""
        self._heard_at = 0.0
        self._may_start_at = 0.0

    def readings(self, worker_pid: int | None) -> list[HardwareSampled]:
        """What was read since the last call, with the memory of process `worker_pid`."""
        now = time.monotonic()
        if self._process is not None and (worker_pid != self._pid or now - self._heard_at > SILENCE_SECONDS):
            if worker_pid == self._pid:
                self._may_start_at = now + RESTART_SECONDS
            self.stop()
        if self._process is None:
            if now >= self._may_start_at:
                self._start(worker_pid, now)
            return []
        data = self._new_bytes()
        if data:
            self._heard_at = now
        elif self._process.poll() is not None:
            self.stop()
            self._may_start_at = now + RESTART_SECONDS
        return self._parse(data)

    def _start(self, worker_pid: int | None, now: float) -> None:
        self._process = start_sampler(self._workspace, worker_pid, PERIOD_SECONDS)
        self._pid = worker_pid
        self._heard_at = now
        if self._process is None:
            self._may_start_at = now + RESTART_SECONDS
        elif self._process.stdout is not None:
            os.set_blocking(self._process.stdout.fileno(), False)

    def _new_bytes(self) -> bytes:
        if self._process is None or self._process.stdout is None:
            return b""
        try:
            return os.read(self._process.stdout.fileno(), 65536)
        except BlockingIOError:
            return b""

    def _parse(self, data: bytes) -> list[HardwareSampled]:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        self._buffer = self._buffer[:_MAX_BUFFER_BYTES]
        return [reading for line in lines if (reading := _reading(line)) is not None]

    def stop(self) -> None:
        """End the child, if there is one."""
        if self._process is not None:
            self._process.kill()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process.wait()
            self._process = None
            self._buffer = b""


def _reading(line: bytes) -> HardwareSampled | None:
    try:
        body: Json = json.loads(line)
        return HardwareSampled.from_json(body) if isinstance(body, dict) else None
    except (ValueError, KeyError, TypeError):
        return None  # not a line of ours: a library's warning
