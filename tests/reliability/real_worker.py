"""SIGKILL at random moments of a real worker: it resumes, and its losses equal the uninterrupted run's bit for bit."""

from __future__ import annotations

import random
import time
from functools import partial
from pathlib import Path

from core.paths import Workspace
from core.runs.queue import resume, submit
from core.states import Outcome
from core.store.reader import open_reader
from tests.reliability import ground
from tests.reliability.table import Line
from tests.worker.tiny import make_recipe, write_model, write_rows

STEPS = 60
OVERRIDES = (
    f"train.max_steps={STEPS}",
    "checkpoints.every_steps=2",
    "checkpoints.keep=3",
    "evaluate.every_steps=10",
)
DROPOUT = ("method.lora_dropout=0.1",)
KEYS = ("loss", "grad_norm", "learning_rate")
Curves = dict[str, tuple[list[int], list[float]]]


def interrupt(root: Path, method: str, kills: int, seed: int) -> Line:
    """One run to its end, and one that is killed `kills` times on its way there; compare every logged number."""
    began = time.monotonic()
    draw = random.Random(seed)
    root.mkdir()
    workspace = Workspace(root / "workspace")
    model, rows = write_model(root / "model"), write_rows(root / "rows.jsonl", count=120)
    overrides = OVERRIDES if method == "full" else OVERRIDES + DROPOUT
    recipe = make_recipe(root, model, rows, *overrides, method=method)
    ground.supervise(workspace, "core.worker")
    whole = submit(workspace, recipe, name="uninterrupted", device="cpu")
    _wait_for_end(workspace, whole)
    broken = submit(workspace, recipe, name="interrupted", device="cpu")
    done = 0
    for attempt in range(1, kills + 1):
        first = max(_steps(workspace, broken), default=0)
        wanted = min(first + draw.randint(1, 4), STEPS - 1)
        ground.wait_for(
            partial(_has_come_to, workspace, broken, wanted),
            f"step {wanted} of attempt {attempt} ({method})",
            timeout_seconds=180.0,
        )
        time.sleep(draw.random() * 0.08)
        done += ground.kill_worker(workspace.run(broken), attempt)
        ground.wait_for(lambda: ground.has_ended(workspace, broken), "the end of a killed worker is recorded")
        if ground.read(workspace, broken).outcome is Outcome.COMPLETED:
            break
        resume(workspace, broken)
        ground.supervise(workspace, "core.worker")
    _wait_for_end(workspace, broken)
    wrong = _differences(_curves(workspace, whole), _curves(workspace, broken))
    checkpoints, corrupt = ground.corrupt_checkpoints(workspace)
    wrong += corrupt + ground.differing_curves(workspace)
    if done < kills:
        wrong.append(f"only {done} of {kills} kills met a living worker")
    for run_id in (whole, broken):
        if ground.read(workspace, run_id).outcome is not Outcome.COMPLETED:
            wrong.append(f"run {run_id} ended as {ground.read(workspace, run_id).outcome}")
    return Line(
        subject=f"{done} SIGKILLs of a real {method} worker",
        measured=f"{STEPS} steps, {checkpoints} checkpoints, {len(wrong)} differences from the uninterrupted run",
        wrong=tuple(wrong),
        seconds=time.monotonic() - began,
    )


def _has_come_to(workspace: Workspace, run_id: str, step: int) -> bool:
    return max(_steps(workspace, run_id), default=0) >= step or ground.has_ended(workspace, run_id)


def _wait_for_end(workspace: Workspace, run_id: str) -> None:
    ground.wait_for(lambda: ground.has_ended(workspace, run_id), f"run {run_id} has ended", timeout_seconds=300.0)


def _steps(workspace: Workspace, run_id: str) -> list[int]:
    return list(ground.losses_by_step(workspace.run(run_id)))


def _curves(workspace: Workspace, run_id: str) -> Curves:
    with open_reader(workspace) as reader:
        evaluations = [key for key in reader.metric_keys(run_id) if key.startswith("eval/")]
        series = [reader.series(run_id, key) for key in (*KEYS, *evaluations) if not key.endswith("seconds")]
    return {each.key: (list(each.steps), list(each.values)) for each in series}


def _differences(whole: Curves, broken: Curves) -> list[str]:
    wrong = [f"{key} differs" for key in whole if whole[key] != broken.get(key)]
    if len(whole["loss"][0]) != STEPS:
        wrong.append(f"the uninterrupted run logged {len(whole['loss'][0])} steps")
    return wrong
