"""Check one run folder: what must be there follows from the journal, the store, and the run's other files.

So any subset of a run's files may be gone, and the rest still tells which; only what nothing else mentions can't be
missed. This module reads only.
"""

from __future__ import annotations

from core.errors import CheckpointError, FinetuiError, RecipeError
from core.events import (
    CheckpointRemoved,
    CheckpointSaved,
    ControlGiven,
    Job,
    Moved,
    RequestAnswered,
    Started,
    StepLogged,
    WorkerSpawned,
)
from core.locks import is_locked
from core.paths import RunPaths
from core.runs.folder import read_job
from core.runs.fsck_check import Check, Known
from core.runs.lines_check import LinesChecked
from core.runs.manifests import step_folders, verify
from core.runs.retention import leftovers
from core.states import State
from core.text import safe_line


def check_run(check: Check, run_id: str) -> None:
    """All files of one run that should be there."""
    paths = check.workspace.run(run_id)
    known = check.run(run_id)
    if paths.folder.is_symlink():
        return  # said already
    if not paths.folder.exists():
        hint = f"restore the folder, or finetui rm {run_id}"
        check.say("error", "missing", paths.folder, "is missing, with all that it held", run_id, hint)
        return
    is_live = is_locked(paths.lock)
    _check_asked(check, paths, known)
    supervisor = check.lines(paths.supervisor, run_id, is_live=is_live)
    events = check.lines(paths.events, run_id, is_live=is_live)
    control = check.lines(paths.control, run_id, is_live=is_live)
    _learn(known, paths, supervisor, events)
    expected = {
        paths.supervisor: known.moved,
        paths.log: known.spawned and known.in_journal,
        paths.events: known.started,
        paths.environment: known.trained,
        paths.control: _has(events, RequestAnswered) and known.in_journal,
    }
    for path, is_expected in expected.items():
        if is_expected and not path.exists():
            check.say("error", "missing", path, "is missing", run_id)
    if control is not None and _has(control, ControlGiven) and not known.spawned:
        check.say("warning", "foreign", paths.control, "has requests for a run that never started", run_id)
    if known.in_journal and check.workspace.database.exists() and not known.in_store and not is_live:
        check.say("warning", "missing", paths.folder, "is not in the store yet", run_id, "finetui rebuild")
    can_tell = events is not None or known.in_store  # who could have announced a checkpoint
    _check_checkpoints(check, paths, known, is_live=is_live, can_tell=can_tell)


def _has(lines: LinesChecked | None, kind: type) -> bool:
    return lines is not None and any(isinstance(record.event, kind) for record in lines.records)


def _check_asked(check: Check, paths: RunPaths, known: Known) -> None:
    """job.json and recipe.yaml: always there, and each other's match."""
    job: Job | None = None
    if not paths.job.exists():
        check.say("error", "missing", paths.job, "is missing", paths.run_id)
    else:
        try:
            job = read_job(paths)
        except FinetuiError:
            check.say("error", "altered", paths.job, "can't be understood", paths.run_id)
    if job is not None and job.queued.run_id != paths.run_id:
        message = f"speaks of run {safe_line(job.queued.run_id, 40)}"
        check.say("error", "altered", paths.job, message, paths.run_id)
    if not paths.recipe.exists():
        if job is None or job.imported is None:
            check.say("error", "missing", paths.recipe, "is missing", paths.run_id)
        return
    from core.recipe.dump import recipe_sha256
    from core.recipe.load import load_resolved

    try:
        found = recipe_sha256(load_resolved(paths.recipe))
    except (RecipeError, OSError, ValueError):
        check.say("error", "altered", paths.recipe, "can't be read as a recipe", paths.run_id)
        return
    queued = known.recipe_sha256 or (job.queued.recipe_sha256 if job is not None else found)
    if found != queued:
        check.say("error", "altered", paths.recipe, "is not the recipe that was queued", paths.run_id)


def _learn(known: Known, paths: RunPaths, supervisor: LinesChecked | None, events: LinesChecked | None) -> None:
    """Add what the run's own files prove; events.jsonl is the truth about checkpoints, the store stands in for it."""
    for record in supervisor.records if supervisor else ():
        known.moved |= isinstance(record.event, Moved)
        known.spawned |= isinstance(record.event, WorkerSpawned)
        known.started |= isinstance(record.event, Moved) and record.event.to_state == State.RUNNING
    if events and any(isinstance(record.event, Started) for record in events.records):
        known.started = True
        known.announced = _announced(events)
    known.trained |= _has(events, StepLogged) or bool(step_folders(paths))
    known.started |= known.trained or paths.environment.exists()
    known.spawned |= known.started or paths.log.exists()
    known.moved |= known.spawned and known.in_journal  # a run from elsewhere may have had no supervisor


def _announced(events: LinesChecked) -> dict[int, str]:
    announced: dict[int, str] = {}
    for record in events.records:
        event = record.event
        if isinstance(event, CheckpointSaved):
            announced[event.step] = event.manifest_sha256
        elif isinstance(event, CheckpointRemoved):
            announced.pop(event.step, None)
        elif isinstance(event, Started) and event.resumed_from_step is not None:
            announced = {step: sha for step, sha in announced.items() if step <= event.resumed_from_step}
    return announced


def _check_checkpoints(check: Check, paths: RunPaths, known: Known, *, is_live: bool, can_tell: bool) -> None:
    expected = {step: sha for step, sha in known.announced.items() if step not in known.collected}
    present = {int(folder.name.removeprefix("step-")): folder for folder in step_folders(paths)}
    for step in sorted(expected.keys() | present.keys()):
        folder = paths.checkpoint(step)
        if step not in present:
            if not is_live:  # a worker may be deleting it just now
                check.say("error", "missing", folder, "was saved and is missing", paths.run_id)
            continue
        check.checkpoints += 1
        try:
            manifest = verify(present[step], deep=check.deep)
        except CheckpointError as error:
            check.say("error", "altered", folder, f"is incomplete or altered: {safe_line(error.why)}", paths.run_id)
            continue
        if (manifest.run_id, manifest.step) != (paths.run_id, step):
            message = f"holds run {safe_line(manifest.run_id, 40)} at step {manifest.step}"
            check.say("error", "foreign", folder, message, paths.run_id)
        elif step in expected and expected[step] != manifest.sha256:
            check.say("error", "altered", folder, "is not the one that was announced", paths.run_id)
        elif step not in expected and can_tell and not is_live:
            message = "was never announced, or collected before"
            check.say("warning", "left over", folder, message, paths.run_id, "finetui gc")
    for folder in () if is_live else leftovers(paths):
        check.say("warning", "left over", folder, "is left from an attempt that died", paths.run_id, "finetui gc")
