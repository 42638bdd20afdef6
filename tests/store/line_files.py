"""Real line files for store tests: a workspace whose journal and run folders are written as the product writes them.

The clock is a counter, so that two histories written alike are equal byte for byte.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from core.events import (
    Event,
    Job,
    Moved,
    Record,
    RunQueued,
    encode_line,
)
from core.paths import Workspace

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def run_id(number: int) -> str:
    """A valid run id that sorts by `number`."""
    digits = ""
    for _ in range(8):
        digits = ALPHABET[number % 32] + digits
        number //= 32
    return digits


class LineFile:
    """One line file with its running seq."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.clock = clock
        self.seq = 0

    def add(self, *events: Event, attempt: int = 0) -> int:
        """Append events, one line each, in one write."""
        data = b""
        for event in events:
            self.seq += 1
            data += encode_line(Record(self.seq, attempt, self.clock.tick(), event))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(data)
        return self.seq


class Clock:
    """Seconds since 1970 that only move when something is written."""

    def __init__(self) -> None:
        self.now = 1_763_650_000.0

    def tick(self) -> float:
        self.now += 0.5
        return self.now


class Lines:
    """The line files of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.clock = Clock()
        self.journal = LineFile(workspace.journal, self.clock)
        self._files: dict[Path, LineFile] = {}

    def _file(self, path: Path) -> LineFile:
        return self._files.setdefault(path, LineFile(path, self.clock))

    def events(self, name: str, *events: Event, attempt: int = 1) -> None:
        """What a worker says."""
        self._file(self.workspace.run(name).events).add(*events, attempt=attempt)

    def supervisor(self, name: str, *events: Event, attempt: int = 1) -> None:
        """What the supervisor says."""
        self._file(self.workspace.run(name).supervisor).add(*events, attempt=attempt)

    def move(
        self, name: str, *states: str, outcome: str | None = None, attempt: int = 1, seq: int | None = None
    ) -> None:
        """Move a run along `states`, knowing the whole journal (or `seq` lines of it)."""
        known = self.journal.seq if seq is None else seq
        pairs = list(pairwise(states))
        for from_state, to_state in pairs:
            last = to_state == "finished"
            self.supervisor(
                name,
                Moved(
                    from_state=from_state,
                    to_state=to_state,
                    journal_seq=known,
                    outcome=outcome if last else None,
                ),
                attempt=attempt,
            )

    def folder(self, queued: RunQueued, arguments: dict[str, object] | None = None) -> None:
        """The folder of a run, as it is made before the journal line."""
        paths = self.workspace.run(queued.run_id)
        paths.folder.mkdir(parents=True)
        paths.job.write_text(Job(queued=queued, created_at=self.clock.now).to_text())
        paths.recipe.write_text(f"name: {queued.name}\n")

    def queue(self, number: int = 1, *, held: bool = False, kind: str = "train", name: str | None = None) -> str:
        """A run as `finetui run` queues it; returns its id."""
        queued = queued_event(run_id(number), held=held, kind=kind, name=name)
        self.folder(queued)
        self.journal.add(queued)
        return queued.run_id


def queued_event(identity: str, *, held: bool = False, kind: str = "train", name: str | None = None) -> RunQueued:
    """A job of a small run."""
    return RunQueued(
        run_id=identity,
        name=name or f"run {identity}",
        kind=kind,
        recipe_sha256=f"{name or 'same'}".ljust(64, "0"),
        method="lora",
        objective="sft",
        model="builtin:starter",
        max_steps=100,
        held=held,
    )
