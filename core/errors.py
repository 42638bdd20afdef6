"""Every error that finetui raises on purpose, as one tree, so that a caller can catch exactly what it can mend.

This module must not know where an error is shown: commands, the app and the worker print it in their own way.

    FinetuiError
    ├── UsageError              the request itself is wrong (exit status 2)
    ├── RecipeError             one or more problems in a recipe (exit status 2); carries them all
    ├── ModelError              a model folder or tokenizer is missing, unreadable or refused
    ├── DatasetError            a file or a row can't be used
    ├── ForeignFileError        a file of another tracker can't be read
    ├── StoreError              experiments.db, the journal or a spool can't be read or written
    │   ├── StoreNewerError     the database was made by a newer finetui: open it read-only
    │   └── StoreBusyError      another process holds the lock; trying again later helps
    ├── WorkspaceError          the folder is not writable, is full, or is on a file system that can't be used
    ├── RunError                a run is unknown, ambiguous or in a state that refuses the request
    ├── CheckpointError         a checkpoint is incomplete, altered or does not fit the run
    ├── LaunchError             a process could not be started, or a lock it needs is held
    └── TrainingError           the job itself failed
        ├── OutOfMemoryError    of the device or of the host
        └── DivergedError       loss or gradient norm stopped being a number
"""

from __future__ import annotations

from dataclasses import dataclass


class FinetuiError(Exception):
    """A failure that a person can understand: what happened, why, and what to try.

    `what` is one sentence without a final full stop; `why` and `try_this` may be empty.
    """

    exit_status = 1

    def __init__(self, what: str, *, why: str = "", try_this: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.try_this = try_this

    def __str__(self) -> str:
        sentences = [self.what, self.why, self.try_this]
        return ". ".join(sentence.rstrip(".") for sentence in sentences if sentence)


class UsageError(FinetuiError):
    """The request itself is wrong: an unknown option, a prefix that fits two runs."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a recipe or another file a person wrote.

    `line` is 1-based, None where the key came from `--set` or is absent from the file.
    """

    file: str
    line: int | None
    key: str
    what: str
    try_this: str = ""
    level: str = "error"  # error | warning

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        hint = f" ({self.try_this})" if self.try_this else ""
        return f"{place}: {self.key}: {self.what}{hint}" if self.key else f"{place}: {self.what}{hint}"


class RecipeError(FinetuiError):
    """A recipe has problems; `problems` lists all that were found, in the order of the file."""

    exit_status = 2

    def __init__(self, problems: list[Problem] | tuple[Problem, ...]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ModelError(FinetuiError):
    """A model folder or tokenizer is missing, unreadable or refused (remote code, pickled weights)."""


class DatasetError(FinetuiError):
    """A data file or row can't be used; the message names the file and the line."""


class ForeignFileError(FinetuiError):
    """A file of another tracker (W&B, TensorBoard, …) is none, is damaged, or holds no run."""


class StoreError(FinetuiError):
    """experiments.db, the journal or a spool can't be read or written."""


class StoreNewerError(StoreError):
    """The database's schema is newer than this code; it may be read but never written."""


class StoreBusyError(StoreError):
    """Another process holds the ingest lock, or a rollback journal is being recovered."""


class WorkspaceError(FinetuiError):
    """The workspace folder can't be used: no permission, no space, or a file system without locks."""


class RunError(FinetuiError):
    """A run is unknown, its prefix is ambiguous, or its state refuses the request."""


class CheckpointError(FinetuiError):
    """A checkpoint has no valid manifest, was altered, or belongs to another recipe."""


class LaunchError(FinetuiError):
    """A process could not be started, or a lock that it needs is held by another."""


class TrainingError(FinetuiError):
    """The job itself failed; subclasses say how where that is known."""


class OutOfMemoryError(TrainingError):
    """Device or host memory ran out; `device` says which."""

    def __init__(self, what: str, *, device: str, why: str = "", try_this: str = "") -> None:
        super().__init__(what, why=why, try_this=try_this)
        self.device = device


class DivergedError(TrainingError):
    """Loss or gradient norm is no longer a number at `step`."""

    def __init__(self, what: str, *, step: int, why: str = "", try_this: str = "") -> None:
        super().__init__(what, why=why, try_this=try_this)
        self.step = step
