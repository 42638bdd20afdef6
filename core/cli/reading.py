"""How a command reads the store: brought up to date first, and runs found by what a person typed.

Where no supervisor lives, nobody else ingests: a command takes the ingest lock for a moment, and starts a supervisor
again where work was left behind. It must not hold the lock while it prints.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from core.cli import output
from core.errors import FinetuiError, StoreNewerError, WorkspaceError
from core.paths import Workspace, find_workspace
from core.states import WITH_PROCESS, State
from core.store.connect import open_reader
from core.store.ingest import ingest_once
from core.store.reader import Reader


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
        yield workspace, reader


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
        states = {run.state for run in reader.runs(kind=None)}
    if states & {State.QUEUED, *WITH_PROCESS}:
        from core.runs.launch import ensure_supervisor

        try:
            ensure_supervisor(workspace)
        except FinetuiError as error:
            output.narrate(f"note: no supervisor could be started: {error}")
