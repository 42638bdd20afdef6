"""What the app does in the background for the workspace: takes in what nobody has ingested, tells ends.

It is the app's part of "whoever is there ingests" and must not draw. What is wrong comes back as words.
"""

from __future__ import annotations

from core.errors import FinetuiError
from core.paths import Workspace
from core.states import WITH_PROCESS, State
from core.store.rows import RunRow
from core.text import safe_line

_UNFINISHED = (State.QUEUED, *sorted(WITH_PROCESS))


def catch_up(workspace: Workspace) -> str:
    """Ingest what no supervisor has ingested, and replace a dead one that still had work; what went wrong, or ""."""
    if not workspace.journal.exists() and not workspace.runs.is_dir():
        return ""
    from core.runs.launch import ensure_supervisor, supervisor_lives
    from core.store.ingest import ingest_once
    from core.store.reader import open_reader

    try:
        if supervisor_lives(workspace) or not ingest_once(workspace):
            return ""
        with open_reader(workspace) as reader:
            waiting = reader.runs(kind=None, limit=1, states=_UNFINISHED)
        if waiting:
            ensure_supervisor(workspace)
    except FinetuiError as error:
        return f"shown as last stored: {error}"
    return ""


def notify_end(workspace: Workspace, row: RunRow, words: str) -> str:
    """Start the program of settings.yaml's `notify` with a sentence as its last argument; what went wrong, or ""."""
    from core.runs.settings import read_settings

    try:
        command = read_settings(workspace).notify
    except FinetuiError as error:
        return str(error)
    if not command:
        return ""
    import subprocess

    try:
        subprocess.Popen(
            [*command, safe_line(f"finetui: {row.run_id} {row.name} {words}", 300)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        return f"notify in settings.yaml: {command[0]}: {error.strerror}"
    return ""
