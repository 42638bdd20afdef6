"""Random histories of a workspace, told by people, a supervisor and workers that do not wait for each other.

The supervisor here keeps the one promise that the real one keeps: it makes a move from the state that the store gave,
names the last journal line that the store knew, and has had its earlier moves ingested. All else is left to chance:
decisions that come too late, kills between the move and its ingestion, successors, torn lines.
"""

from __future__ import annotations

import random

from core.events import (
    BestChanged,
    Cancelled,
    CheckpointPinned,
    CheckpointSaved,
    CheckpointsCollected,
    Evaluated,
    Event,
    Exited,
    Finished,
    HardwareSampled,
    Held,
    Moved,
    Noted,
    QueueMoved,
    Released,
    Removed,
    Renamed,
    RequestMade,
    Resumed,
    Started,
    StepLogged,
    Tagged,
    Untagged,
)
from core.paths import Workspace
from core.states import MOVES, Outcome, State
from core.store import Writer, open_writer
from core.store.ingest import ingest
from core.store.reader import Reader
from tests.store.line_files import Lines

SUPERVISED = sorted(
    move for move in MOVES if move[0] not in (State.HELD, State.PAUSED, State.FINISHED) and move[1] is not State.HELD
)


class History:
    """One workspace with a random past; `play` makes it longer."""

    def __init__(self, workspace: Workspace, seed: int) -> None:
        self.workspace = workspace
        self.lines = Lines(workspace)
        self.random = random.Random(seed)
        self.runs: list[str] = []
        self.writer: Writer = open_writer(workspace)
        self.refused = 0
        self.attempts: dict[str, int] = {}
        self.steps: dict[str, int] = {}

    def play(self, actions: int) -> None:
        """Do so many random things, then ingest."""
        for _ in range(actions):
            self.random.choices(
                (self._queue, self._decide, self._supervise, self._work, self._ingest, self._succeed),
                (2, 6, 6, 6, 4, 1),
            )[0]()
        self._ingest()

    def close(self) -> None:
        self.writer.close()

    def _ingest(self) -> None:
        self.refused += ingest(self.writer, self.workspace).refused_lines

    def _succeed(self) -> None:
        """The ingester is killed and another one begins."""
        self.writer.close()
        self.writer = open_writer(self.workspace, sweep=self.random.random() < 0.5)

    def _queue(self) -> None:
        self.runs.append(self.lines.queue(len(self.runs) + 1, held=self.random.random() < 0.2))

    def _decide(self) -> None:
        if not self.runs:
            return
        run, other = self.random.choice(self.runs), self.random.choice([*self.runs, None])
        attempt = self.attempts.get(run, 1) + self.random.choice((0, 1, 1, 1))
        step = self.random.randrange(1, 30)
        events: list[Event] = [
            Held(run_id=run), Released(run_id=run), Cancelled(run_id=run), Resumed(run_id=run, attempt=attempt),
            Resumed(run_id=run, attempt=attempt), QueueMoved(run_id=run, before=other),
            Noted(run_id=run, text=str(step)),
            Tagged(run_id=run, tag=f"t{step % 3}"), Untagged(run_id=run, tag=f"t{step % 3}"),
            Renamed(run_id=run, name=f"n{step}"), CheckpointPinned(run_id=run, step=step),
            CheckpointsCollected(run_id=run, steps=(step, step + 1), bytes=1),
            RequestMade(request_id=f"q{self.lines.journal.seq}", run_id=run, action="stop"),
        ]  # fmt: skip
        if self.random.random() < 0.05:
            events = [Removed(run_id=run, bytes=1)]
        self.lines.journal.add(*self.random.sample(events, min(len(events), self.random.choice((1, 1, 2)))))

    def _supervise(self) -> None:
        """One pass of a supervisor: ingest, decide by what the store says, write; people may write in between."""
        self._ingest()
        connection = self.writer.connection
        rows = connection.execute("SELECT run_id, state, attempt FROM runs ORDER BY run_id").fetchall()
        found = connection.execute("SELECT last_seq FROM ingested_streams WHERE stream = 'journal'").fetchone()
        known = 0 if found is None else int(found[0])
        for run, state, attempt in self.random.sample(rows, min(len(rows), 2)):
            if self.random.random() < 0.4:
                self._decide()
            choices = [move for move in SUPERVISED if move[0] == state]
            if not choices:
                continue
            from_state, to_state = self.random.choice(choices)
            outcome = self.random.choice(list(Outcome)).value if to_state is State.FINISHED else None
            self.attempts[run] = attempt
            self.lines.supervisor(
                run,
                Moved(from_state=from_state.value, to_state=to_state.value, journal_seq=known, outcome=outcome),
                attempt=attempt,
            )
            self.lines.supervisor(run, HardwareSampled(cpu_percent=self.random.random()), attempt=attempt)
            if outcome:
                self.lines.supervisor(run, Exited(exit_code=1, signal=None), attempt=attempt)

    def _work(self) -> None:
        if not self.runs:
            return
        run = self.random.choice(self.runs)
        attempt, step = self.attempts.get(run, 1), self.steps.get(run, 0)
        if self.random.random() < 0.15:
            step = self.random.randrange(0, step + 1)
            start = Started(kind="train", pid=1, boot_id="b", start_ticks=1, resumed_from_step=step or None)
            self.lines.events(run, start, attempt=attempt)
        for _ in range(self.random.randrange(1, 12)):
            step += 1
            value = self.random.choice((self.random.random(), 0.5, float("nan"), float("inf")))
            self.lines.events(run, StepLogged(step=step, values={"loss": value, "m": step / 3}), attempt=attempt)
        self.steps[run] = step
        more: list[Event] = [
            Evaluated(step=step, set_name="task", role="validation", metrics={"loss": 1 / step}, rows=1, seconds=1.0),
            CheckpointSaved(step=step, folder="f", bytes=1, manifest_sha256="m", reason="scheduled", seconds=1.0),
            BestChanged(step=step, metric="task.loss", value=1 / step),
            Finished(outcome="completed", message="over", step=step),
        ]
        self.lines.events(run, *self.random.sample(more, 2), attempt=attempt)
        if self.random.random() < 0.2:  # a kill in the middle of a line; the successor cuts it off
            path = self.workspace.run(run).events
            size = path.stat().st_size
            with path.open("ab") as file:
                file.write(b"0123abcd {torn")
            self._ingest()
            with path.open("ab") as file:
                file.truncate(size)


def states_of(reader: Reader) -> dict[str, str]:
    """Every run's state."""
    return {row.run_id: row.state.value for row in reader.runs(kind=None)}
