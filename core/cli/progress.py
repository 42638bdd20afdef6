"""Waiting for a run and telling on stderr how it goes: one line that is written over on a terminal, a few lines else.

It must not steer the run: Ctrl-C ends the waiting, never the training.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from core.cli import output
from core.cli.shapes import state_text, steps_text, weights_id
from core.paths import Workspace
from core.runs.requests import AT_REST, wait_for_end
from core.states import WAITED_FOR_AS_SUCCESS, Outcome, State
from core.store.reader import open_reader
from core.store.rows import RunRow
from core.units import format_duration, format_value

_QUIET_SECONDS, _LIVE_SECONDS = 2.0, 0.2
_INTERRUPTED = 130


def wait(workspace: Workspace, run_id: str, targets: Sequence[str] = ()) -> int:
    """Wait until the run ends; the exit status that says how.

    `targets` are the `RUN@STEP` or `RUN@base` of an evaluation: its figures are stored with their runs.
    """
    teller = Teller(workspace, run_id, targets)
    try:
        run = wait_for_end(workspace, run_id, on_progress=teller)
    except KeyboardInterrupt:
        teller.clear()
        output.narrate(f"run {run_id} goes on without this command")
        output.narrate(f"  see it:  finetui show {run_id}\n  stop it: finetui stop {run_id}")
        return _INTERRUPTED
    teller.end(run)
    return 0 if came_true(run) else 1


def came_true(run: RunRow) -> bool:
    """Whether the run ended as `--wait` hopes: completed, stopped or early stopped."""
    return run.state == State.FINISHED and run.outcome is not None and Outcome(run.outcome) in WAITED_FOR_AS_SUCCESS


class Teller:
    """Called with the run as it stands, often; says what is new, rarely."""

    def __init__(self, workspace: Workspace, run_id: str, targets: Sequence[str] = ()) -> None:
        self._workspace = workspace
        self._run_id = run_id
        self._evaluated_runs = dict.fromkeys([run_id, *(target.partition("@")[0] for target in targets)])
        self._began = time.monotonic()
        self._said_at = 0.0
        self._said: tuple[int | None, str | None] = (None, None)
        self._state: str | None = None
        self._told: set[str] = set(self._milestones())  # an earlier attempt's are no news

    def __call__(self, run: RunRow) -> None:
        if run.state != self._state and run.state not in AT_REST:  # the end is told by `end`
            self._state = run.state
            self._line(f"{run.run_id} {state_text(run)}")
        for milestone in self._milestones():
            if milestone not in self._told:
                self._told.add(milestone)
                self._line(f"  {milestone}")
        now = time.monotonic()
        wanted = _LIVE_SECONDS if output.narration_is_live() else _QUIET_SECONDS
        news = (run.step, run.phase)
        if run.state != State.RUNNING or news == self._said or now - self._said_at < wanted:
            return
        self._said, self._said_at = news, now
        text = _progress_text(run, now - self._began)
        if output.narration_is_live():
            output.narrate_over(text)
        else:
            output.narrate(text)

    def _milestones(self) -> Iterator[str]:
        with open_reader(self._workspace) as reader:
            checkpoints = reader.checkpoints(self._run_id)
            evaluations = [row for run_id in self._evaluated_runs for row in reader.evaluations(run_id)]
        for evaluation in evaluations:
            if evaluation.source_run_id == self._run_id:
                metrics = "  ".join(f"{name} {format_value(value)}" for name, value in evaluation.metrics.items())
                weights = weights_id(evaluation) or f"step {evaluation.step}"
                yield f"{weights} on {evaluation.set_name}: {metrics}"
        for checkpoint in checkpoints:
            yield f"checkpoint {self._run_id}@{checkpoint.step} saved ({checkpoint.reason})"

    def _line(self, text: str) -> None:
        self.clear()
        output.narrate(text)

    def clear(self) -> None:
        """Take the line back that would be written over."""
        if output.narration_is_live():
            output.narrate_over("")

    def end(self, run: RunRow) -> None:
        """The last words: how it ended, why, and what to try."""
        self(run)
        message = f": {run.message}" if run.message else ""
        self._line(f"{run.run_id} {state_text(run)} after {format_duration(time.monotonic() - self._began)}{message}")
        for advice in run.advice:
            output.narrate(f"  try: {advice}")
        if not came_true(run) and run.state == State.FINISHED:
            output.narrate(f"  log: finetui logs {run.run_id}")


def _progress_text(run: RunRow, waited_seconds: float) -> str:
    parts: list[str] = []
    if run.step is not None:
        parts += [f"step {steps_text(run)}", f"loss {format_value(run.loss)}"]
    if run.eval_loss is not None:
        parts.append(f"eval loss {format_value(run.eval_loss)}")
    if run.phase is not None and run.phase != "training":
        parts.append(run.phase)
    return "  ".join([*parts, format_duration(waited_seconds)])
