"""What people decided, in `journal.jsonl`: written before it enters the database, so that a rebuild keeps it.

A decision about a run's state (hold, cancel, resume) is applied as compare-and-swap: where the run has moved on in the
meantime the line stays in the journal and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.events.lines import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQueued(Event):
    """A job was queued; its folder, with job.json and recipe.yaml, exists already."""

    run_id: str
    name: str
    kind: str
    recipe_sha256: str
    method: str | None = None
    objective: str | None = None
    model: str | None = None
    max_steps: int | None = None
    resumed_from: str | None = None  # RUN@STEP
    device: str = "cpu"  # which lock the job needs: cpu, gpu or none
    held: bool = False
    boot_id: str = ""  # in which boot this was decided: what was queued before a reboot comes back held


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """Continue a paused or failed run as `attempt`, from its newest valid checkpoint."""

    run_id: str
    attempt: int
    boot_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Event):
    """A queued run waits until it is released."""

    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Event):
    """A held run may start again."""

    run_id: str
    boot_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(Event):
    """A run that has no process (queued, held, paused) ends as stopped."""

    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMoved(Event):
    """A queued run goes in front of `before` (a run id), or to the end where that is None."""

    run_id: str
    before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMade(Event):
    """A wish of a living run: action is stop, pause, save or evaluate."""

    request_id: str
    run_id: str
    action: str
    arguments: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed(Event):
    run_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """A note; it replaces the run's earlier note, an empty one removes it."""

    run_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged(Event):
    run_id: str
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Untagged(Event):
    run_id: str
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPinned(Event):
    """Retention and `gc` must keep this checkpoint."""

    run_id: str
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointUnpinned(Event):
    run_id: str
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointsCollected(Event):
    """`gc` deleted these checkpoints of a run."""

    run_id: str
    steps: tuple[int, ...]
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed(Event):
    """A run was removed with its folder; a rebuild must not bring it back."""

    run_id: str
    bytes: int
