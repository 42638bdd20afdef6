"""What a person writes on a run: its name, a note, tags, pins on checkpoints. Each is a journal line, then seen.

It must not touch the run's folder: a name is a label, never a path.
"""

from __future__ import annotations

from core.errors import UsageError
from core.events import CheckpointPinned, CheckpointUnpinned, Event, Noted, Renamed, Tagged, Untagged
from core.paths import Workspace
from core.runs.journal import decide
from core.runs.seen import wait_until_seen

MAX_NAME_CHARACTERS = 200
MAX_TAG_CHARACTERS = 100
MAX_NOTE_CHARACTERS = 100_000


def rename(workspace: Workspace, run_id: str, name: str) -> None:
    """Give the run another name.

    Raises:
        UsageError: the name is empty or too long.
        WorkspaceError: the journal can't be written (as for all of this module).
    """
    _write(workspace, Renamed(run_id=run_id, name=_one_line(name, "a name", MAX_NAME_CHARACTERS)))


def note(workspace: Workspace, run_id: str, text: str) -> None:
    """Replace the run's note; an empty text removes it.

    Raises:
        UsageError: the note is too long.
    """
    if len(text) > MAX_NOTE_CHARACTERS:
        raise UsageError(f"a note has at most {MAX_NOTE_CHARACTERS} characters, this one has {len(text)}")
    _write(workspace, Noted(run_id=run_id, text=text))


def tag(workspace: Workspace, run_id: str, tag: str) -> None:
    """Put a tag on the run; one that it has already changes nothing.

    Raises:
        UsageError: the tag is empty or too long.
    """
    _write(workspace, Tagged(run_id=run_id, tag=_one_line(tag, "a tag", MAX_TAG_CHARACTERS)))


def untag(workspace: Workspace, run_id: str, tag: str) -> None:
    """Take a tag off the run; one that it does not have changes nothing.

    Raises:
        UsageError: the tag is empty or too long.
    """
    _write(workspace, Untagged(run_id=run_id, tag=_one_line(tag, "a tag", MAX_TAG_CHARACTERS)))


def pin(workspace: Workspace, run_id: str, step: int) -> None:
    """Keep the checkpoint at `step` from retention and `gc`."""
    _write(workspace, CheckpointPinned(run_id=run_id, step=step))


def unpin(workspace: Workspace, run_id: str, step: int) -> None:
    """Leave the checkpoint at `step` to retention and `gc` again."""
    _write(workspace, CheckpointUnpinned(run_id=run_id, step=step))


def _write(workspace: Workspace, event: Event) -> None:
    wait_until_seen(workspace, decide(workspace, event)[-1])


def _one_line(text: str, what: str, max_characters: int) -> str:
    line = " ".join(text.split())
    if not line:
        raise UsageError(f"{what} can't be empty")
    if len(line) > max_characters:
        raise UsageError(f"{what} has at most {max_characters} characters, this one has {len(line)}")
    return line
