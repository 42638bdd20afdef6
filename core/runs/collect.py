"""Give disk space back: `gc` shows what could go, then deletes exactly that, the journal's line first.

In this order a crash leaves at worst a checkpoint on disk that is no longer announced: the next `gc` finds it. In the
other order it would leave one that is announced and gone. Nothing behind a link, of a living run, or not provably ours
is deleted.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import FinetuiError, RunError
from core.events import CheckpointsCollected, Removed, scan
from core.locks import is_locked
from core.paths import RUN_ID, RunPaths, Workspace
from core.runs.journal import decide
from core.runs.manifests import is_real_folder
from core.runs.remove import folder_bytes, move_to_trash, needed_checkpoints
from core.runs.retention import leftovers, removable, remove_checkpoint
from core.runs.seen import wait_until_seen
from core.store import Reader, RunRow, ingest_once, open_reader

STAGING_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GcItem:
    """One folder that `gc` would delete. `kind` is checkpoint, leftover, trash or removed run."""

    kind: str
    path: Path
    bytes: int
    run_id: str | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GcPlan:
    """What `gc` would delete, and why some runs were left alone."""

    items: tuple[GcItem, ...]
    skipped: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """What would be free afterwards."""
        return sum(item.bytes for item in self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class GcReport:
    """What was deleted, and what could not be."""

    removed: tuple[GcItem, ...]
    failed: tuple[tuple[GcItem, str], ...] = ()

    @property
    def bytes(self) -> int:
        """What is free now."""
        return sum(item.bytes for item in self.removed)


def gc_plan(workspace: Workspace, *, keep: int | None = None) -> GcPlan:
    """What can go: checkpoints beyond the recipe's `checkpoints.keep` (or `keep`), leftovers, trash, removed runs.

    The last valid, the best, the pinned, and those that an unfinished job was told to use always stay. A run that
    lives, or whose recipe or place in the store is unknown, is left alone and named in `skipped`.
    """
    ingest_once(workspace)
    items: list[GcItem] = []
    skipped: list[str] = []
    removed = _removed_runs(workspace)
    with open_reader(workspace) as reader:
        rows = {row.run_id: row for row in reader.runs(kind=None)}
        needed = needed_checkpoints(workspace, rows.values())
        for paths in _run_folders(workspace):
            if paths.run_id in removed:
                items.append(_item("removed run", paths.folder, paths.run_id))
                continue
            found = leftovers(paths)
            if is_locked(paths.lock):  # looked at after the list: a folder that was listed is not this worker's
                skipped.append(f"{paths.run_id} lives")
                continue
            items += [_item("leftover", folder, paths.run_id) for folder in found]
            row = rows.get(paths.run_id)
            if row is None:
                skipped.append(f"{paths.run_id} is not in the store")
                continue
            if row.imported and not paths.checkpoints.exists():
                continue  # recorded by another tracker: there is nothing to keep
            kept = _keep_of(paths) if keep is None else keep
            if kept is None:
                skipped.append(f"{paths.run_id} has no readable recipe")
                continue
            items += _old_checkpoints(reader, row, paths, kept, needed.get(paths.run_id, set()))
    items += [_item("trash", folder, None) for folder in _trash(workspace)]
    return GcPlan(items=tuple(items), skipped=tuple(skipped))


def _old_checkpoints(
    reader: Reader, row: RunRow, paths: RunPaths, keep: int, needed: Collection[int]
) -> Iterator[GcItem]:
    pinned = {checkpoint.step for checkpoint in reader.checkpoints(row.run_id) if checkpoint.pinned}
    for manifest in removable(paths, keep=keep, best_step=row.best_step, pinned=pinned | set(needed), deep=True):
        yield GcItem(
            kind="checkpoint", path=manifest.folder, bytes=manifest.bytes, run_id=paths.run_id, step=manifest.step
        )


def gc(workspace: Workspace, plan: GcPlan) -> GcReport:
    """Delete what the plan names, as far as it is still so; runs that have come to life since are left alone.

    Raises:
        WorkspaceError: the journal can't be written; nothing was deleted then.
    """
    removed: list[GcItem] = []
    failed: list[tuple[GcItem, str]] = []
    collected: dict[str, list[GcItem]] = {}
    for item in plan.items:
        if item.run_id is not None and is_locked(workspace.run(item.run_id).lock):
            failed.append((item, "the run lives"))
        elif item.step is not None and item.run_id is not None:
            collected.setdefault(item.run_id, []).append(item)
    skipped = {id(item) for item, _ in failed}
    if collected:
        seq = decide(workspace, *(_collected(run_id, items) for run_id, items in sorted(collected.items())))[-1]
        wait_until_seen(workspace, seq)  # before the bytes go: nobody is shown a checkpoint that is not there
    for item in plan.items:
        if id(item) in skipped:
            continue
        try:
            _delete(workspace, item)
        except (OSError, FinetuiError) as error:
            failed.append((item, str(error)))
        else:
            removed.append(item)
    return GcReport(removed=tuple(removed), failed=tuple(failed))


def _collected(run_id: str, items: Sequence[GcItem]) -> CheckpointsCollected:
    steps = tuple(item.step for item in items if item.step is not None)
    return CheckpointsCollected(run_id=run_id, steps=steps, bytes=sum(item.bytes for item in items))


def _delete(workspace: Workspace, item: GcItem) -> None:
    if item.step is not None and item.run_id is not None:
        remove_checkpoint(workspace.run(item.run_id), item.step)
    elif item.kind == "removed run":
        _throw_away(workspace, item.path)
    else:
        _delete_folder(item.path)


def _throw_away(workspace: Workspace, folder: Path) -> None:
    shutil.rmtree(move_to_trash(workspace, folder), ignore_errors=True)


def _delete_folder(folder: Path) -> None:
    if not is_real_folder(folder):
        raise RunError(f"{folder} is not a real folder, so it is not deleted")
    shutil.rmtree(folder)


def _item(kind: str, folder: Path, run_id: str | None) -> GcItem:
    return GcItem(kind=kind, path=folder, bytes=folder_bytes(folder), run_id=run_id)


def _run_folders(workspace: Workspace) -> Iterator[RunPaths]:
    if is_real_folder(workspace.runs):
        for child in sorted(workspace.runs.iterdir()):
            if RUN_ID.fullmatch(child.name) and is_real_folder(child):
                yield workspace.run(child.name)


def _trash(workspace: Workspace) -> Iterator[Path]:
    """What lies in the trash, and run folders whose making or deleting was interrupted.

    One that is being made at this moment has the same name: it is told by its age, which can only spare too much.
    """
    if is_real_folder(workspace.trash):
        yield from (child for child in sorted(workspace.trash.iterdir()) if is_real_folder(child))
    if is_real_folder(workspace.runs):
        for child in sorted(workspace.runs.iterdir()):
            if not is_real_folder(child) or not child.name.startswith((".staging-", ".trash-")):
                continue
            if child.name.startswith(".trash-") or time.time() - child.stat().st_mtime > STAGING_SECONDS:
                yield child


def _removed_runs(workspace: Workspace) -> set[str]:
    try:
        records = scan(workspace.journal.read_bytes()).records
    except FileNotFoundError:
        return set()
    return {record.event.run_id for _, record in records if isinstance(record.event, Removed)}


def _keep_of(paths: RunPaths) -> int | None:
    from core.recipe.load import load_resolved

    try:
        return load_resolved(paths.recipe).checkpoints.keep
    except (FinetuiError, OSError, ValueError):
        return None
