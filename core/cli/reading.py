"""How a command reads the store: brought up to date first, and runs found by what a person typed.

Where no supervisor lives, nobody else ingests: a command takes the ingest lock for a moment, and starts a supervisor
again where work was left behind. It must not hold the lock while it prints.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator
from contextlib import contextmanager

from core.cli import output
from core.errors import FinetuiError, RunError, StoreNewerError, WorkspaceError
from core.paths import Workspace, find_workspace
from core.states import WITH_PROCESS, State
from core.store.ingest import ingest_once
from core.store.reader import Reader, open_reader

_SUGGESTED_FROM = 1000
"""Newest runs among which a mistyped name is looked for: all of 100,000 would take longer than typing it again."""
_UNFINISHED = (State.QUEUED, *sorted(WITH_PROCESS))


def workspace_of(arguments: argparse.Namespace) -> Workspace:
    """The workspace that the options name.

    Raises:
        WorkspaceError: it was named, and is no folder.
    """
    workspace = find_workspace(arguments.workspace)
    if arguments.workspace is not None and not workspace.root.is_dir():
        raise WorkspaceError(
            f"the workspace {workspace.root} is not a folder",
            try_this="make it first, or leave --workspace away to use the current folder",
        )
    return workspace


@contextmanager
def open_store(arguments: argparse.Namespace) -> Iterator[tuple[Workspace, Reader]]:
    """The workspace and a reader of its store, up to date; a workspace without a store reads as empty."""
    workspace = workspace_of(arguments)
    catch_up(workspace)
    with open_reader(workspace) as reader:
        if reader.warning:
            output.narrate(f"note: {reader.warning}")
        yield workspace, reader


def find_run(reader: Reader, words: str) -> str:
    """The id of the run that a person means by an id, the unique start of one, or a unique name.

    Raises:
        RunError: none fits, with the nearest; or several do, with all of them.
    """
    try:
        return reader.find(words)
    except RunError as error:
        runs = reader.runs(kind=None, limit=_SUGGESTED_FROM)
        if any(run.run_id.startswith(words) or run.name == words for run in runs):
            raise
        names = {name: run for run in reversed(runs) for name in (run.run_id, run.name)}
        begun = [name for name in names if words and name.lower().startswith(words.lower())]
        near = [names[name] for name in begun[-3:] or difflib.get_close_matches(words, names, n=3)]
        if not near:
            raise
        known = ", ".join(dict.fromkeys(f"{run.run_id} ({run.name})" for run in near))
        raise RunError(error.what, try_this=f"the nearest: {known}") from error


def catch_up(workspace: Workspace) -> None:
    """Ingest what no supervisor has ingested, and replace a dead supervisor that still had work.

    A workspace that can only be read, or was made by a newer finetui, is shown as it stands, with a word about it.
    """
    if not workspace.journal.exists() and not workspace.runs.is_dir():
        return
    try:
        if ingest_once(workspace):
            _revive_supervisor(workspace)
    except (WorkspaceError, StoreNewerError) as error:
        output.narrate(f"note: shown as last stored: {error.what}")


def _revive_supervisor(workspace: Workspace) -> None:
    with open_reader(workspace) as reader:
        if not reader.runs(kind=None, limit=1, states=_UNFINISHED):
            return
    from core.runs.launch import ensure_supervisor

    try:
        ensure_supervisor(workspace)
    except FinetuiError as error:
        output.narrate(f"note: no supervisor could be started: {error}")
