"""Where everything in a workspace lives; the only module that spells a file name of finetui's own.

It must not create anything except through `make_private_folder`, and must not read a file.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

RUN_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{8}")
"""8 characters of Crockford's base32 in lower case: 6 of time, 2 random."""


@dataclass(frozen=True, slots=True)
class RunPaths:
    """The files of one run folder, `runs/<id>/`."""

    folder: Path

    @property
    def run_id(self) -> str:
        return self.folder.name

    @property
    def job(self) -> Path:
        """What was asked for, written once: id, name, kind, its arguments, when and from which run."""
        return self.folder / "job.json"

    @property
    def recipe(self) -> Path:
        """The resolved recipe, immutable."""
        return self.folder / "recipe.yaml"

    @property
    def environment(self) -> Path:
        """Versions, git commit, hardware, seeds, dataset versions; written by the worker at each attempt's start."""
        return self.folder / "environment.json"

    @property
    def events(self) -> Path:
        """What the worker says; written by the worker alone."""
        return self.folder / "events.jsonl"

    @property
    def supervisor(self) -> Path:
        """Moves, exits and hardware samples; written by whoever holds the ingest lock."""
        return self.folder / "supervisor.jsonl"

    @property
    def control(self) -> Path:
        """Requests handed on to the worker; written by the supervisor alone."""
        return self.folder / "control.jsonl"

    @property
    def stream(self) -> Path:
        """Live generation; not ingested."""
        return self.folder / "stream.jsonl"

    @property
    def log(self) -> Path:
        """The worker's stdout and stderr."""
        return self.folder / "worker.log"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def lock(self) -> Path:
        """Held by the worker for its whole life (POSIX `lockf`): the truth about whether it lives."""
        return self.folder / "worker.lock"

    def checkpoint(self, step: int) -> Path:
        """The folder of the checkpoint at `step`."""
        return self.checkpoints / f"step-{step:06d}"


@dataclass(frozen=True, slots=True)
class Workspace:
    """One folder that holds an experiment store and its runs."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "experiments.db"

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    @property
    def journal(self) -> Path:
        """What people decided."""
        return self.root / "journal.jsonl"

    @property
    def journal_lock(self) -> Path:
        return self.root / "journal.lock"

    @property
    def settings(self) -> Path:
        return self.root / "settings.yaml"

    @property
    def state(self) -> Path:
        """Lock files, the supervisor's log and the trash: nothing that a rebuild needs."""
        return self.root / ".finetui"

    @property
    def ingest_lock(self) -> Path:
        """Held by the one process that may write the database and supervisor.jsonl files."""
        return self.state / "ingest.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor for its whole life; the ingest lock alone may be anybody's for a moment."""
        return self.state / "supervisor.lock"

    @property
    def cpu_lock(self) -> Path:
        """Held by the worker of a job that runs on the CPU."""
        return self.state / "cpu.lock"

    @property
    def import_lock(self) -> Path:
        """Held while runs are imported: two imports of one source at once must not both find it new."""
        return self.state / "import.lock"

    @property
    def supervisor_log(self) -> Path:
        return self.state / "supervisor.log"

    @property
    def trash(self) -> Path:
        return self.state / "trash"

    def run(self, run_id: str) -> RunPaths:
        """The files of one run.

        Raises:
            ValueError: `run_id` is not a run id; nothing that a person typed can become a path.
        """
        if not RUN_ID.fullmatch(run_id):
            raise ValueError(f"not a run id: {run_id!r}")
        return RunPaths(self.runs / run_id)

    def relative(self, path: Path) -> str:
        """`path` as it is stored and shown: relative to the workspace where it lies inside."""
        try:
            return path.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError:
            return str(path)


def find_workspace(chosen: str | None) -> Workspace:
    """The workspace named on the command line, else the current folder; it need not exist yet."""
    return Workspace(Path(chosen).expanduser().resolve() if chosen else Path.cwd())


def runtime_folder() -> Path:
    """The per-user folder for locks that two workspaces share (the GPU's), private to the user.

    Falls back to the user's cache folder where the system has no runtime directory (cron, containers): never the
    shared temp folder, where another user could plant a file of that name.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and Path(base).is_dir():
        return make_private_folder(Path(base) / "finetui")
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return make_private_folder(Path(cache) / "finetui")


def make_private_folder(folder: Path) -> Path:
    """Create `folder` with mode 0700 (parents too) and return it; an existing one is left as it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def is_private(path: Path) -> bool:
    """Whether neither group nor others may read or write `path`."""
    return not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
