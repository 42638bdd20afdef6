"""A run folder read as a recording: its lines in the order of their times, ready to be played under another id.

It reads only, and knows no clock of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import RunError
from core.events import Evaluated, Event, ExamplesScored, Job, Record
from core.paths import RunPaths
from core.runs.folder import read_job
from core.runs.spool import tail

EVENTS, SUPERVISOR = "events", "supervisor"


@dataclass(frozen=True, slots=True)
class RecordedLine:
    """One line: `at` is its time in seconds since the recording began, never less than that of the line before it."""

    at: float
    file: str  # events | supervisor
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recorded run; `began_at` in seconds since 1970, `log` the lines of its worker.log."""

    run_id: str
    job: Job
    recipe_text: str | None
    environment_text: str | None
    log: tuple[bytes, ...]
    began_at: float
    lines: tuple[RecordedLine, ...]

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return self.lines[-1].at if self.lines else 0.0


def load_recording(folder: Path) -> Recording:
    """Read a run folder.

    Raises:
        RunError: job.json is missing or not ours, or there is no line to play.
    """
    paths = RunPaths(folder)
    job = read_job(paths)
    lines = merge(tail(paths.events, 0).records, tail(paths.supervisor, 0).records, job.created_at)
    if not lines:
        raise RunError(f"{folder} holds nothing to replay", why="it has no lines of a worker or a supervisor")
    return Recording(
        run_id=job.queued.run_id,
        job=job,
        recipe_text=_text(paths.recipe),
        environment_text=_text(paths.environment),
        log=tuple(paths.log.read_bytes().splitlines(keepends=True)) if paths.log.exists() else (),
        began_at=job.created_at,
        lines=lines,
    )


def merge(
    events: tuple[tuple[int, Record], ...], supervisor: tuple[tuple[int, Record], ...], began_at: float
) -> tuple[RecordedLine, ...]:
    """The lines of both files by time; within one file their order is kept, even where its clock was set back."""
    lines: list[RecordedLine] = []
    for file, records in ((SUPERVISOR, supervisor), (EVENTS, events)):  # a spawn comes before the worker's first word
        at = 0.0
        for _, record in records:
            if record.event is not None:
                at = max(at, record.ts - began_at)
                lines.append(RecordedLine(at, file, record))
    lines.sort(key=lambda line: line.at)  # stable
    return tuple(lines)


def under_id(event: Event, recorded: str, run_id: str) -> Event:
    """The event as a run of another id would have said it."""
    if isinstance(event, (Evaluated, ExamplesScored)) and event.checkpoint is not None:
        return replace(event, checkpoint=event.checkpoint.replace(f"{recorded}@", f"{run_id}@"))
    return event


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
