"""All that can be said about a run, as frozen dataclasses, and the line format in which it is written.

Three kinds of line files carry these events, each with one writer at a time, and everything in the database comes from
them: `runs/<id>/events.jsonl` (the worker), `runs/<id>/supervisor.jsonl` (whoever holds the ingest lock) and
`journal.jsonl` (what people decided). This room must not open files for writing, nor know the database.
"""

from core.events.control import ControlGiven
from core.events.hardware import HardwareSampled
from core.events.job import KINDS, Job
from core.events.journal import (
    Cancelled,
    CheckpointPinned,
    CheckpointsCollected,
    CheckpointUnpinned,
    Held,
    Noted,
    QueueMoved,
    Released,
    Removed,
    Renamed,
    RequestMade,
    Resumed,
    RunQueued,
    Tagged,
    Untagged,
)
from core.events.lines import Event, Record, Scan, decode_line, encode_line, scan
from core.events.supervisor import Exited, Moved, WorkerSpawned
from core.events.worker import (
    Answered,
    BestChanged,
    CheckpointRemoved,
    CheckpointSaved,
    Choice,
    Evaluated,
    ExampleScore,
    ExamplesScored,
    Finished,
    HealthRaised,
    PhaseEntered,
    Planned,
    RequestAnswered,
    Resolved,
    Started,
    StepLogged,
)

__all__ = [
    "KINDS",
    "Answered",
    "BestChanged",
    "Cancelled",
    "CheckpointPinned",
    "CheckpointRemoved",
    "CheckpointSaved",
    "CheckpointUnpinned",
    "CheckpointsCollected",
    "Choice",
    "ControlGiven",
    "Evaluated",
    "Event",
    "ExampleScore",
    "ExamplesScored",
    "Exited",
    "Finished",
    "HardwareSampled",
    "HealthRaised",
    "Held",
    "Job",
    "Moved",
    "Noted",
    "PhaseEntered",
    "Planned",
    "QueueMoved",
    "Record",
    "Released",
    "Removed",
    "Renamed",
    "RequestAnswered",
    "RequestMade",
    "Resolved",
    "Resumed",
    "RunQueued",
    "Scan",
    "Started",
    "StepLogged",
    "Tagged",
    "Untagged",
    "WorkerSpawned",
    "decode_line",
    "encode_line",
    "scan",
]
