"""Put jobs into the queue and change their place in it: each wish is a folder or a journal line first, then seen.

This module must not start a job: it makes sure that a supervisor lives, which does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import RunError, WorkspaceError
from core.events import Cancelled, Event, Held, Job, QueueMoved, Released, Resumed, RunQueued
from core.events.lines import Json
from core.paths import Workspace
from core.runs.folder import create_run_folder, new_run_id, read_job
from core.runs.identity import read_boot_id
from core.runs.journal import decide
from core.runs.launch import ensure_supervisor
from core.runs.seen import read_run, wait_until_seen
from core.states import State, may_resume
from core.store.reader import open_reader
from core.store.rows import RunRow

if TYPE_CHECKING:
    from core.recipe.load import LoadedRecipe
    from core.recipe.schema import Recipe

_DRAWS = 64


def submit(
    workspace: Workspace,
    recipe: LoadedRecipe | Recipe,
    *,
    kind: str = "train",
    arguments: Mapping[str, Json] | None = None,
    name: str | None = None,
    resumed_from: str | None = None,
    held: bool = False,
    device: str | None = None,
) -> str:
    """Queue a job and return its id; a supervisor lives afterwards unless it was queued `held`.

    `arguments` depend on the kind (core.events.Job). `device` is cpu, gpu or none; None means the GPU where there is
    one. What the recipe's loader chose is kept in the job's arguments under `choices`, for the worker to report.

    Raises:
        WorkspaceError: the workspace can't be written, or the disk is full; nothing is queued then.
        LaunchError: the job is queued, but no supervisor could be started.
    """
    from core.recipe.load import LoadedRecipe, dump_recipe, recipe_sha256  # pydantic: a light command must not pay

    resolved = recipe.recipe if isinstance(recipe, LoadedRecipe) else recipe
    extra: dict[str, Json] = dict(arguments or {})
    if isinstance(recipe, LoadedRecipe):
        extra.setdefault("choices", [asdict(choice) for choice in recipe.choices])
    template = RunQueued(
        run_id="",
        name=name or resolved.name,
        kind=kind,
        recipe_sha256=recipe_sha256(resolved),
        method=resolved.method.type,
        objective=resolved.objective.type,
        model=resolved.model.path,
        max_steps=resolved.train.max_steps,
        resumed_from=resumed_from,
        device=device or default_device(),
        held=held,
        boot_id=read_boot_id(),
    )
    queued = _make_folder(workspace, template, extra, dump_recipe(resolved))
    wait_until_seen(workspace, decide(workspace, queued)[-1])
    if not held:
        ensure_supervisor(workspace)
    return queued.run_id


def _make_folder(workspace: Workspace, template: RunQueued, arguments: dict[str, Json], recipe_text: str) -> RunQueued:
    for _ in range(_DRAWS):
        fields = {**asdict(template), "run_id": new_run_id()}
        queued = RunQueued(**fields)
        try:
            job = Job(queued=queued, created_at=time.time(), arguments=arguments)
            create_run_folder(workspace, job, recipe_text)
        except FileExistsError:
            continue
        return queued
    raise WorkspaceError("could not find a free run id", try_this="try again; is the clock set back?")


def default_device() -> str:
    """`gpu` where a CUDA device is visible to this process, else `cpu`; looks at device files, never at NVML."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return "cpu"
    has_gpu = any(Path("/proc/driver/nvidia/gpus").glob("*")) or Path("/dev/dxg").exists()
    return "gpu" if has_gpu or any(Path("/dev").glob("nvidia[0-9]*")) else "cpu"


def resume(workspace: Workspace, run_id: str) -> int:
    """Continue a paused or failed run from its newest valid checkpoint, in front of the queue; returns the attempt.

    Raises:
        RunError: the run is unknown, has completed, was recorded by another tracker, or is not at rest.
        WorkspaceError, LaunchError: as `submit`.
    """
    run = read_run(workspace, run_id)
    if run.imported and not workspace.run(run_id).recipe.exists() and read_job(workspace.run(run_id)).imported:
        raise RunError(f"run {run_id} can't be resumed", why="it was imported and has no recipe or checkpoint of ours")
    if not may_resume(run.state, run.outcome):
        raise RunError(
            f"run {run_id} can't be resumed: it {_standing(run)}",
            try_this="a completed run is continued by a new one"
            if run.state is State.FINISHED
            else "pause or stop it first",
        )
    attempt = run.attempt + 1
    with open_reader(workspace) as reader:
        first = next((row.run_id for row in reader.queue() if row.state is State.QUEUED), None)
    events: list[Event] = [Resumed(run_id=run_id, attempt=attempt, boot_id=read_boot_id())]
    if first is not None:
        events.append(QueueMoved(run_id=run_id, before=first))
    wait_until_seen(workspace, decide(workspace, *events)[-1])
    ensure_supervisor(workspace)
    return attempt


def hold(workspace: Workspace, run_id: str) -> None:
    """Let a queued run wait until it is released.

    Raises:
        RunError: it is unknown or not queued (any more).
        WorkspaceError: the journal can't be written.
    """
    _require(workspace, run_id, {State.QUEUED}, "held")
    _apply(workspace, run_id, Held(run_id=run_id), {State.HELD}, "held")


def release(workspace: Workspace, run_id: str) -> None:
    """Let a held run start again.

    Raises:
        RunError: it is unknown or not held.
        WorkspaceError, LaunchError: as `submit`.
    """
    _require(workspace, run_id, {State.HELD}, "released")
    wanted = set(State) - {State.HELD}
    _apply(workspace, run_id, Released(run_id=run_id, boot_id=read_boot_id()), wanted, "released")
    ensure_supervisor(workspace)


def cancel(workspace: Workspace, run_id: str) -> None:
    """End a run that has no process (queued, held, paused) as stopped.

    Raises:
        RunError: it is unknown, has a process (stop it instead), or has finished.
        WorkspaceError: the journal can't be written.
    """
    _require(workspace, run_id, {State.QUEUED, State.HELD, State.PAUSED}, "cancelled")
    _apply(workspace, run_id, Cancelled(run_id=run_id), {State.FINISHED}, "cancelled")


def move(workspace: Workspace, run_id: str, *, before: str | None = None) -> None:
    """Put a queued or held run in front of another one, or to the end.

    Raises:
        RunError: one of the two is unknown or not in the queue.
        WorkspaceError: the journal can't be written.
    """
    in_queue = {State.QUEUED, State.HELD}
    for each in (run_id, before):
        if each is not None:
            _require(workspace, each, in_queue, "moved in the queue")
    wait_until_seen(workspace, decide(workspace, QueueMoved(run_id=run_id, before=before))[-1])


def _require(workspace: Workspace, run_id: str, states: set[State], participle: str) -> None:
    run = read_run(workspace, run_id)
    if run.state not in states:
        live = run.state in (State.STARTING, State.RUNNING, State.PAUSING, State.STOPPING)
        raise RunError(
            f"run {run_id} can't be {participle}: it {_standing(run)}",
            try_this="stop or pause it instead" if live else "",
        )


def _apply(workspace: Workspace, run_id: str, event: Event, wanted: set[State], participle: str) -> None:
    seen = wait_until_seen(workspace, decide(workspace, event)[-1])
    run = read_run(workspace, run_id)
    if seen and run.state not in wanted:
        raise RunError(f"run {run_id} was not {participle}: it {_standing(run)}", why="it moved on in the meantime")


def _standing(run: RunRow) -> str:
    return f"has finished ({run.outcome})" if run.state is State.FINISHED else f"is {run.state}"
