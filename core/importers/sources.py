"""What lies under a path that a person named: which files are whose, told by their content; then each one read.

Links are not followed, and a training is one source, however many checkpoints it holds. It must not write.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from core.errors import ForeignFileError, UsageError
from core.importers import mlflow, tensorboard, trackio, trainer_state, wandb
from core.importers.foreign import ForeignRun
from core.store.foreign import is_database, open_foreign

MAX_ENTRIES = 200_000
KNOWN = "trainer_state.json, TensorBoard event files, W&B offline runs (run-*.wandb), trackio and MLflow databases"
_DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3")


@dataclass(frozen=True, slots=True)
class Source:
    """One thing that can be read: a file, or the event files of one folder."""

    path: Path
    read: Callable[[], list[ForeignRun]]
    remark: str = ""


def find_sources(path: Path) -> list[Source]:
    """What can be imported at or below `path`, in the order of the names.

    Raises:
        UsageError: there is no such file or folder.
        ForeignFileError: nothing there is known.
    """
    if not path.exists():
        raise UsageError(f"there is no {path}")
    found = list(_walk(path)) if path.is_dir() else []
    if path.is_file():  # a pipe would block for ever
        found = [source] if (source := _of_file(path)) is not None else []
    if not found:
        raise ForeignFileError(f"nothing in {path} can be imported", why=f"known are {KNOWN}")
    return found


def read_source(source: Source) -> list[ForeignRun]:
    """The runs of a source; none where it is whole but nothing was recorded.

    Raises:
        ForeignFileError: it can't be read, or is damaged.
    """
    try:
        return source.read()
    except OSError as error:
        raise ForeignFileError(f"{source.path} can't be read", why=error.strerror or str(error)) from error


def _of_file(path: Path) -> Source | None:
    if path.name == trainer_state.FILE_NAME:
        return Source(path, partial(trainer_state.read, path))
    if wandb.is_wandb_file(path):
        return Source(path, partial(wandb.read, path))
    if tensorboard.is_event_file(path) or tensorboard.NAME_PART in path.name:
        return Source(path, partial(tensorboard.read, [path]))
    if is_database(path):
        return _of_database(path)
    if path.suffix == wandb.SUFFIX:
        return Source(path, partial(_refuse, path, "it does not begin as a W&B run does"))
    if path.suffix == ".json":
        return Source(path, partial(trainer_state.read, path))
    return None


def _of_database(path: Path) -> Source | None:
    try:
        with open_foreign(path) as database:
            if trackio.is_project(database):
                return Source(path, partial(trackio.read, path))
            if mlflow.is_tracking_store(database):
                return Source(path, partial(mlflow.read, path))
    except ForeignFileError as error:
        return Source(path, partial(_refuse, path, error.why))
    return None


def _refuse(path: Path, why: str) -> list[ForeignRun]:
    raise ForeignFileError(f"{path} is damaged", why=why)


def _walk(folder: Path) -> Iterator[Source]:
    entries = 0
    trainings: list[Path] = []
    for name, subfolders, files in os.walk(folder):
        entries += len(subfolders) + len(files)
        if entries > MAX_ENTRIES:
            raise ForeignFileError(f"{folder} holds too much to search", try_this="name the files or a deeper folder")
        here = Path(name)
        subfolders[:] = sorted(child for child in subfolders if not trainer_state.is_checkpoint(here / child))
        state = trainer_state.state_of(here)
        if state is not None:
            trainings.append(here)
            yield _training(here, state)
        is_told = any(here.is_relative_to(training) for training in trainings)
        yield from _in_folder(here, sorted(files), with_events=not is_told)


def _training(folder: Path, state: Path) -> Source:
    events = any(tensorboard.NAME_PART in name for _, _, files in os.walk(folder) for name in files)
    remark = "its TensorBoard files tell the same and were left out; name them to import them" if events else ""
    return Source(state, partial(trainer_state.read, state), remark)


def _in_folder(folder: Path, names: list[str], *, with_events: bool) -> Iterator[Source]:
    events = [folder / name for name in names if tensorboard.NAME_PART in name and (folder / name).is_file()]
    if events and with_events:
        yield Source(folder, partial(tensorboard.read, events))
    for name in names:
        path = folder / name
        if path.is_symlink() or not path.is_file() or path in events:
            continue
        is_candidate = path.suffix == wandb.SUFFIX or path.suffix in _DATABASE_SUFFIXES
        source = _of_file(path) if is_candidate else None
        if source is not None:
            yield source
