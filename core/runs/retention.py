"""Which checkpoints may go, and the only way in which one goes: renamed out of sight first, then deleted.

Order is by step alone: a clock that was set back made other tools delete their newest checkpoint. What is not provably
a checkpoint of this very run (a real folder, our manifest, this run's id) is never deleted, whatever its name says.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Collection
from pathlib import Path

from core.errors import CheckpointError
from core.paths import RunPaths
from core.runs.manifests import Manifest, belongs_to, is_real_folder, list_checkpoints, newest_valid, read_manifest

_UNFINISHED = re.compile(r"\.(staging|trash)-step-\d{6,12}-[0-9a-f]{8}")
_SET_ASIDE = re.compile(r"\.damaged-step-\d{6,12}-[0-9a-f]{8}")


def removable(
    run_paths: RunPaths, *, keep: int, best_step: int | None, pinned: Collection[int] = (), deep: bool = False
) -> tuple[Manifest, ...]:
    """The checkpoints that retention would delete, oldest first.

    Kept are the last valid one, the best, the pinned (exported ones count as pinned), and beside these the `keep` of
    the highest steps. `deep` proves the last valid one byte by byte: a worker that has just published needs no proof, a
    collection weeks later does.
    """
    present = list_checkpoints(run_paths)
    last = newest_valid(run_paths) if deep else (present[-1] if present else None)
    if last is None:
        return ()  # nothing is proved good: deleting could only take away the last hope
    protected = {last.step, best_step, *pinned}
    others = [manifest for manifest in present if manifest.step not in protected]
    return tuple(others[: max(0, len(others) - max(0, keep))])


def retain(
    run_paths: RunPaths, *, keep: int, best_step: int | None, pinned: Collection[int] = (), deep: bool = False
) -> tuple[int, ...]:
    """Delete what `removable` names; returns the steps that are gone.

    A checkpoint that can't be deleted (permission) stays and is not in the result; the next call tries again.
    """
    removed = []
    for manifest in removable(run_paths, keep=keep, best_step=best_step, pinned=pinned, deep=deep):
        try:
            remove_checkpoint(run_paths, manifest.step)
        except (OSError, CheckpointError):
            continue
        removed.append(manifest.step)
    return tuple(removed)


def remove_checkpoint(run_paths: RunPaths, step: int) -> None:
    """Delete one checkpoint of this run, whole or damaged, if its manifest says that it is one.

    Raises:
        CheckpointError: the folder is a link, has no readable manifest, or belongs to another run or step.
        OSError: the file system refuses.
    """
    folder = run_paths.checkpoint(step)
    if not (is_real_folder(run_paths.folder) and is_real_folder(run_paths.checkpoints)):
        raise CheckpointError(f"{run_paths.checkpoints} is not a real folder, so nothing in it is deleted")
    manifest = read_manifest(folder)
    if not belongs_to(manifest, run_paths):
        raise CheckpointError(
            f"{folder} is not deleted",
            why=f"its manifest speaks of run {manifest.run_id} at step {manifest.step}",
        )
    shutil.rmtree(move_to_trash(folder), ignore_errors=True)  # what can't be deleted is swept later


def move_to_trash(folder: Path) -> Path:
    """Rename a `step-N` folder to a hidden one beside it, so that no half-deleted checkpoint is ever seen."""
    return folder.rename(folder.with_name(f".trash-{folder.name}-{secrets.token_hex(4)}"))


def move_aside(folder: Path) -> Path:
    """Rename something that sits at a checkpoint's place but is none; only `gc`, with a person's word, deletes it."""
    return folder.rename(folder.with_name(f".damaged-{folder.name}-{secrets.token_hex(4)}"))


def leftovers(run_paths: RunPaths) -> tuple[Path, ...]:
    """Staging and trash folders of attempts that died, and what was set aside as damaged.

    Only real folders with exactly the names that we give.
    """
    return _hidden(run_paths, _UNFINISHED) + _hidden(run_paths, _SET_ASIDE)


def _hidden(run_paths: RunPaths, name: re.Pattern[str]) -> tuple[Path, ...]:
    if not (is_real_folder(run_paths.folder) and is_real_folder(run_paths.checkpoints)):
        return ()
    children = sorted(run_paths.checkpoints.iterdir())
    return tuple(child for child in children if name.fullmatch(child.name) and is_real_folder(child))


def sweep_staging(run_paths: RunPaths) -> int:
    """Delete what was never finished; returns how many. What was set aside as damaged stays until `gc`.

    Only for whoever holds the run's `worker.lock` or knows it to be free.
    """
    swept = 0
    for folder in _hidden(run_paths, _UNFINISHED):
        shutil.rmtree(folder, ignore_errors=True)
        swept += not folder.exists()
    return swept
