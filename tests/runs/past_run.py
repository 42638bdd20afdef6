"""A finished run as its supervisor and worker would have left it, written through the same code, without processes."""

from __future__ import annotations

import json
import time
from pathlib import Path

from core.events import (
    CheckpointSaved,
    Event,
    Exited,
    Finished,
    Job,
    Moved,
    RunQueued,
    Started,
    StepLogged,
    WorkerSpawned,
)
from core.events.lines import Json
from core.paths import RunPaths, Workspace
from core.recipe.dump import dump_recipe, recipe_sha256
from core.recipe.schema import DataSection, DataSource, FullMethod, ModelSection, Recipe
from core.runs import checkpoints
from core.runs.folder import create_run_folder, new_run_id
from core.runs.journal import decide
from core.runs.spool import Spool
from core.store import ingest_once


def recipe() -> Recipe:
    """A small resolved recipe; what it names need not exist."""
    return Recipe(
        name="past",
        model=ModelSection(path="builtin:starter"),
        data=DataSection(train=(DataSource(path="builtin:starter/train"),)),
        method=FullMethod(),
    )


def queue_run(
    workspace: Workspace, *, kind: str = "train", resumed_from: str | None = None, targets: list[Json] | None = None
) -> RunPaths:
    """A run that is in the queue and nothing more."""
    queued = RunQueued(
        run_id=new_run_id(), name="past", kind=kind, recipe_sha256=recipe_sha256(recipe()), method="full",
        objective="sft", model="builtin:starter", resumed_from=resumed_from,
    )  # fmt: skip
    arguments: dict[str, Json] = {} if targets is None else {"targets": targets}
    job = Job(queued=queued, created_at=time.time(), arguments=arguments)
    paths = create_run_folder(workspace, job, dump_recipe(recipe()))
    decide(workspace, queued)
    ingest_once(workspace)
    return paths


def finished_run(workspace: Workspace, steps: tuple[int, ...] = (10, 20, 30)) -> RunPaths:
    """A run that trained to the last of `steps`, with a checkpoint at each, and completed."""
    paths = queue_run(workspace)
    with Spool.open(paths.supervisor, attempt=1) as supervisor:
        supervisor.append(Moved(from_state="queued", to_state="starting", journal_seq=1))
        supervisor.append(WorkerSpawned(pid=1, boot_id="b", start_ticks=1))
        supervisor.append(Moved(from_state="starting", to_state="running", journal_seq=1))
    paths.log.write_text("")
    paths.environment.write_text(json.dumps({"version": 1}))
    with Spool.open(paths.events, attempt=1) as events:
        events.append(Started(kind="train", pid=1, boot_id="b", start_ticks=1))
        for step in steps:
            events.append(StepLogged(step=step, values={"loss": 1 / step}))
            events.append(save_checkpoint(paths, step))
        events.append(Finished(outcome="completed", message="done", step=steps[-1]))
    with Spool.open(paths.supervisor, attempt=1) as supervisor:
        supervisor.append(Exited(exit_code=0, signal=None))
        supervisor.append(Moved(from_state="running", to_state="finished", journal_seq=1, outcome="completed"))
    ingest_once(workspace)
    return paths


def save_checkpoint(paths: RunPaths, step: int) -> CheckpointSaved:
    """Publish a checkpoint; returns the event that announces it."""
    staging = checkpoints.stage(paths, step)
    (staging / "model.safetensors").write_bytes(b"w" * 1000)
    published = checkpoints.publish(
        staging, step=step, run_id=paths.run_id, recipe_sha256=recipe_sha256(recipe()), extra={}
    )
    folder = published.folder.relative_to(paths.folder).as_posix()
    return CheckpointSaved(
        step=step, folder=folder, bytes=published.bytes, manifest_sha256=published.manifest_sha256,
        reason="scheduled", seconds=0.1,
    )  # fmt: skip


def say(paths: RunPaths, event: Event) -> None:
    """One more line in the run's events."""
    with Spool.open(paths.events, attempt=1) as events:
        events.append(event)


def everything_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
