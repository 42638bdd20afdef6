"""What every job of a worker is given: its folder, its task, its way to speak and to be asked.

It must not know any kind of job, and must not import torch: it exists before torch is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.errors import TrainingError
from core.events import Event, Finished, Job, PhaseEntered, Started
from core.paths import RunPaths, Workspace
from core.runs.identity import this_process
from core.worker.control import Control
from core.worker.outbox import Outbox


class EndRequested(TrainingError):
    """A stop or a pause came before there was anything to save; `outcome` is `stopped` or `paused`."""

    def __init__(self, outcome: str) -> None:
        super().__init__(f"{outcome} before the first step")
        self.outcome = outcome


@dataclass(slots=True)
class Context:
    """One worker's surroundings. `device` is `cpu` or `cuda:0`."""

    workspace: Workspace
    paths: RunPaths
    job: Job
    attempt: int
    outbox: Outbox
    control: Control
    device: str = "cpu"
    has_started: bool = field(default=False, init=False)
    training_began: bool = field(default=False, init=False)
    advice_facts: dict[str, float] = field(default_factory=dict, init=False)

    def say(self, event: Event) -> None:
        """Append an event to the run's spool."""
        self.outbox.say(event)

    def started(self, resumed_from_step: int | None = None) -> None:
        """Say that this worker lives: once, before anything else is said of the attempt."""
        if self.has_started:
            return
        self.has_started = True
        identity = this_process()
        self.say(
            Started(
                kind=self.job.queued.kind,
                pid=identity.pid,
                boot_id=identity.boot_id,
                start_ticks=identity.start_ticks,
                device=self.device,
                resumed_from_step=resumed_from_step,
            )
        )

    def phase(self, name: str, step: int | None = None) -> None:
        """Say what the worker is busy with now."""
        self.say(PhaseEntered(phase=name, step=step))

    def end_if_asked(self) -> None:
        """Between two phases before the first step.

        Raises:
            EndRequested: a stop or a pause is waiting.
        """
        outcome = self.control.wanted_end()
        if outcome is not None:
            raise EndRequested(outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a job ended by itself; errors become endings in `outcomes`."""

    outcome: str
    message: str
    step: int | None = None
    advice: tuple[str, ...] = ()
    totals: dict[str, float] = field(default_factory=dict)

    def to_event(self) -> Finished:
        """The worker's last word."""
        return Finished(
            outcome=self.outcome, message=self.message, step=self.step, advice=self.advice, totals=self.totals
        )
