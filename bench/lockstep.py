"""Two trainings in lock-step: each step of one is timed right beside the same step of the other, one running at a time.

Runs that follow each other meet another machine each: on a shared one whole runs differ by 30 %, and a few percent of
overhead drown. Neighbouring steps meet the same machine. A side waits before each step for a line in the pipe `go`, and
says in the pipe `done` how long the step before it took, everything between two beginnings counted.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TextIO


def make_pipes(folder: Path) -> None:
    """The two named pipes of one side."""
    folder.mkdir(mode=0o700)
    os.mkfifo(folder / "go", 0o600)
    os.mkfifo(folder / "done", 0o600)


class Gate:
    """The side's end: call `pass_through` at the beginning of each step."""

    def __init__(self, folder: Path) -> None:
        self._done = (folder / "done").open("w", encoding="ascii")
        self._go = (folder / "go").open(encoding="ascii")
        self._began: float | None = None

    def pass_through(self) -> None:
        """Say how long the last step took (0 before the first), and wait until the next one may begin."""
        seconds = 0.0 if self._began is None else time.perf_counter() - self._began
        self._done.write(f"{seconds!r}\n")
        self._done.flush()
        self._go.readline()
        self._began = time.perf_counter()


class Conductor:
    """The benchmark's end of one side."""

    def __init__(self, folder: Path) -> None:
        self._done: TextIO = (folder / "done").open(encoding="ascii")  # waits until the side has loaded
        self._go: TextIO = (folder / "go").open("w", encoding="ascii", buffering=1)
        self._done.readline()

    def step(self) -> float:
        """Let the side take one step; its seconds.

        Raises:
            RuntimeError: the side has ended.
        """
        self._go.write("go\n")
        line = self._done.readline()
        if not line:
            raise RuntimeError("a side of the benchmark ended early")
        return float(line)

    def let_go(self) -> None:
        """Let the side run to its end without being timed."""
        self._go.close()
        for _ in self._done:
            pass
        self._done.close()


def gate_callback(gate: Gate) -> object:
    """A trainer callback that passes the gate at each step's beginning."""
    from transformers import TrainerCallback

    class AtTheGate(TrainerCallback):
        def on_step_begin(self, *_: object, **__: object) -> None:
            gate.pass_through()

    return AtTheGate()
