"""Check every file of a workspace and say exactly what is missing, altered or left over; mend nothing.

The journal and the store say which runs there must be; `fsck_run` looks into each. `rebuild`, `gc` and a person mend.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import StoreError
from core.events import CheckpointsCollected, Removed, RunQueued
from core.locks import is_locked
from core.paths import RUN_ID, Workspace, is_private
from core.runs.fsck_check import Check, FsckFinding
from core.runs.fsck_run import check_run
from core.runs.manifests import is_real_folder
from core.states import State

__all__ = ["FsckFinding", "FsckReport", "fsck"]

RESTORE = "restore it from a backup before a rebuild: only the journal has what people decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckReport:
    """What was looked at and what was found, workspace first, then run by run."""

    findings: tuple[FsckFinding, ...]
    runs: int
    checkpoints: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is lost or altered; leftovers and loose permissions don't count."""
        return not any(finding.level == "error" for finding in self.findings)


def fsck(workspace: Workspace, *, deep: bool = True) -> FsckReport:
    """Check the workspace; `deep` reads every byte of every checkpoint, else sizes are compared only.

    Nothing is written, so it may run beside a training run; files that a living worker has open are not judged.
    """
    check = Check(workspace, deep)
    journal_seq = _read_store(check)
    _check_journal(check, journal_seq)
    folders = _list_run_folders(check)
    known = {run_id for run_id, run in check.known.items() if not run.removed}
    run_ids = sorted(known | folders)
    for run_id in run_ids:
        check_run(check, run_id)
    _check_leftovers(check)
    _check_private(check)
    return FsckReport(findings=tuple(check.findings), runs=len(run_ids), checkpoints=check.checkpoints)


def _read_store(check: Check) -> int:
    """Take over what the store knows; returns the last journal line that it has seen."""
    from core.store import open_reader

    workspace = check.workspace
    if not workspace.database.exists():
        if workspace.journal.exists() or workspace.runs.exists():
            check.say("warning", "missing", workspace.database, "is missing", try_this="finetui rebuild")
        return 0
    try:
        with open_reader(workspace) as reader:
            for row in reader.runs(kind=None):
                run = check.run(row.run_id)
                run.in_store = True
                moves = {transition.to_state for transition in reader.transitions(row.run_id)}
                run.moved = State.STARTING in moves
                run.spawned = any(attempt.spawned_at is not None for attempt in reader.attempts(row.run_id))
                run.started = State.RUNNING in moves
                run.trained = row.kind == "train" and bool(row.step)
                for checkpoint in reader.checkpoints(row.run_id):
                    if not checkpoint.removed:
                        run.announced[checkpoint.step] = checkpoint.manifest_sha256
            return reader.journal_seq()
    except StoreError as error:
        check.say("error", "damaged", workspace.database, f"can't be read: {error}", try_this="finetui rebuild")
        return 0


def _check_journal(check: Check, journal_seq: int) -> None:
    workspace = check.workspace
    if not workspace.journal.exists():
        if journal_seq:
            message = f"is missing, and the store has read {journal_seq} lines of it"
            check.say("error", "missing", workspace.journal, message, try_this=RESTORE)
        return
    lines = check.lines(workspace.journal, None, is_live=is_locked(workspace.journal_lock))
    if lines is None:
        return
    if lines.last_seq < journal_seq:
        message = f"ends at line {lines.last_seq}, and the store has read {journal_seq} lines of it"
        check.say("error", "damaged", workspace.journal, message, try_this=RESTORE)
    for record in lines.records:
        event = record.event
        if isinstance(event, RunQueued):
            check.run(event.run_id).in_journal = True
            check.run(event.run_id).recipe_sha256 = event.recipe_sha256
        elif isinstance(event, Removed):
            check.run(event.run_id).removed = True
        elif isinstance(event, CheckpointsCollected):
            check.run(event.run_id).collected.update(event.steps)


def _list_run_folders(check: Check) -> set[str]:
    runs = check.workspace.runs
    if not runs.exists():
        return set()
    found = set()
    for child in sorted(runs.iterdir()):
        if RUN_ID.fullmatch(child.name):
            if child.is_symlink() or not child.is_dir():
                check.say("error", "foreign", child, "is not a real folder; it was not followed", child.name)
            elif not check.run(child.name).removed:
                found.add(child.name)
            else:
                message = "is the folder of a removed run"
                check.say("warning", "left over", child, message, child.name, "finetui gc")
        elif not child.name.startswith((".staging-", ".trash-")):
            check.say("warning", "foreign", child, "is not a run of finetui")
    return found


def _check_leftovers(check: Check) -> None:
    for folder in (check.workspace.runs, check.workspace.trash):
        for child in sorted(folder.iterdir()) if is_real_folder(folder) else ():
            if folder == check.workspace.trash or child.name.startswith((".staging-", ".trash-")):
                check.say("warning", "left over", child, "is left from something interrupted", None, "finetui gc")


def _check_private(check: Check) -> None:
    for path in _reachable(check.workspace):
        check.say("warning", "not private", path, "can be read or written by others", None, f"chmod go-rwx {path.name}")


def _reachable(workspace: Workspace) -> Iterator[Path]:
    """What others can get at, topmost first; what lies in a private folder is out of their reach."""
    tops = (workspace.database, workspace.journal, workspace.runs, workspace.cache, workspace.state, workspace.backups)
    pending = [path for path in tops if path.exists()]
    while pending:
        path = pending.pop(0)
        if path.is_symlink() or is_private(path):
            continue
        yield path
        if path.is_dir():
            pending += sorted(path.iterdir())
