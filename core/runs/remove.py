"""Remove runs with their folders, for good: the decision first, then the bytes.

In this order a crash leaves at worst a folder that no list shows any more and that `gc` clears away. In the other order
it would leave a run that is listed and gone, and a rebuild would bring it back from its RunQueued line. No link is ever
followed: what lies behind one may not be ours.
"""

from __future__ import annotations

import errno
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.errors import RunError, WorkspaceError
from core.events import Removed
from core.locks import FileLock, is_locked
from core.paths import Workspace, make_private_folder
from core.runs.folder import read_job
from core.runs.journal import decide
from core.runs.manifests import is_real_folder, walk_files
from core.runs.seen import wait_until_seen
from core.states import State
from core.store import RunRow, ingest_once, open_reader

MAY_BE_REMOVED = frozenset({State.FINISHED, State.PAUSED, State.HELD})


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveItem:
    """One run that would be removed with its folder."""

    run_id: str
    name: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovePlan:
    """The runs that would be removed; `bytes` are those of their folders."""

    runs: tuple[RemoveItem, ...]

    @property
    def bytes(self) -> int:
        """What would be free afterwards."""
        return sum(run.bytes for run in self.runs)


def remove_plan(workspace: Workspace, run_ids: Iterable[str]) -> RemovePlan:
    """What removing these runs would take away.

    Raises:
        RunError: a run is unknown, lives or is queued, its folder is a link, or an unfinished job needs it.
    """
    ingest_once(workspace)
    chosen = list(dict.fromkeys(run_ids))
    with open_reader(workspace) as reader:
        rows = {run_id: reader.run(run_id) for run_id in chosen}
        needed = needed_checkpoints(workspace, (row for row in reader.runs(kind=None) if row.run_id not in rows))
    for run_id, row in rows.items():
        _refuse(workspace, row, run_id in needed)
    items = (
        RemoveItem(run_id=run_id, name=row.name, bytes=folder_bytes(workspace.run(run_id).folder))
        for run_id, row in rows.items()
    )
    return RemovePlan(runs=tuple(items))


def _refuse(workspace: Workspace, row: RunRow, is_needed: bool) -> None:
    paths = workspace.run(row.run_id)
    if paths.folder.is_symlink() or workspace.runs.is_symlink():
        raise RunError(
            f"the folder of run {row.run_id} is reached by a symbolic link, and nothing behind a link is deleted",
            try_this=f"remove the link yourself, then finetui rm {row.run_id}",
        )
    if row.state is State.QUEUED:
        raise RunError(f"run {row.run_id} is queued", try_this=f"finetui stop {row.run_id} cancels it; then remove it")
    if row.state not in MAY_BE_REMOVED or is_locked(paths.lock):
        raise RunError(f"run {row.run_id} is {row.state}", try_this=f"finetui stop {row.run_id}, then remove it")
    if is_needed:
        raise RunError(f"an unfinished job needs run {row.run_id}", try_this="finetui queue shows it; cancel it first")


def remove(workspace: Workspace, plan: RemovePlan) -> int:
    """Remove the runs of the plan, and return the bytes that are free now.

    Each run's lock is held meanwhile, so that no worker can start in a folder that is about to go.

    Raises:
        RunError: as `remove_plan`, or a worker has taken the run since; the runs before it are removed.
        WorkspaceError: the journal can't be written; the run is untouched then.
    """
    freed = 0
    for item in remove_plan(workspace, [run.run_id for run in plan.runs]).runs:
        folder = workspace.run(item.run_id).folder
        if not folder.exists():  # deleted by hand: only the record goes
            wait_until_seen(workspace, decide(workspace, Removed(run_id=item.run_id, bytes=0))[-1])
            continue
        with FileLock(workspace.run(item.run_id).lock) as lock:
            if not lock.try_acquire():
                raise RunError(f"run {item.run_id} has just been started", try_this=f"finetui stop {item.run_id}")
            wait_until_seen(workspace, decide(workspace, Removed(run_id=item.run_id, bytes=item.bytes))[-1])
            trash = move_to_trash(workspace, folder)
        shutil.rmtree(trash, ignore_errors=True)  # what can't be deleted now is trash for the next gc
        freed += item.bytes
    return freed


def move_to_trash(workspace: Workspace, folder: Path) -> Path:
    """Out of sight in one step; beside where it lies if the trash is on another disk."""
    if not is_real_folder(folder):
        raise RunError(f"{folder} is not a real folder, so it is not deleted")
    name = f"{folder.name}-{secrets.token_hex(4)}"
    make_private_folder(workspace.trash)
    try:
        return folder.rename(workspace.trash / name)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise WorkspaceError(f"{folder} can't be moved to the trash: {error.strerror}") from error
    return folder.rename(folder.with_name(f".trash-{name}"))


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder (their sizes, not the disk's blocks); links count for nothing."""
    if not is_real_folder(folder):
        return 0
    return sum((folder / name).lstat().st_size for name, is_regular in walk_files(folder) if is_regular)


def needed_checkpoints(workspace: Workspace, rows: Iterable[RunRow]) -> dict[str, set[int]]:
    """Steps by run id that an unfinished job was told to start from or to evaluate."""
    needed: dict[str, set[int]] = {}
    for row in rows:
        if row.state is State.FINISHED:
            continue
        names = [row.resumed_from or ""]
        try:
            targets = read_job(workspace.run(row.run_id)).arguments.get("targets")
        except RunError:
            targets = None
        names += [str(target) for target in targets] if isinstance(targets, list) else []
        for name in names:
            run_id, _, step = name.partition("@")
            if run_id:
                needed.setdefault(run_id, set()).update([int(step)] if step.isdigit() else [])
    return needed
