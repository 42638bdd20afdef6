"""What finetui adds to the training itself: one job by our worker and by a bare TRL script, in turn.

    python -m bench.training_overhead [--steps N] [--repetitions N]

Same base, rows, seed and settings (the starter's QLoRA recipe), both on the CPU, each run in a fresh process. Ours runs
as always, under a supervisor that samples and ingests meanwhile, and reports each step. Loading, the last save and
evaluating are left out on both sides. Both train the same batches in the same order (the last losses must agree), and
other work on the machine only ever adds time: so each step's fastest repetition is taken, and these are summed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, finish, machine
from core.paths import Workspace
from core.recipe.load import LoadedRecipe, load_recipe
from core.recipe.schema import QloraMethod
from core.runs.launch import supervisor_lives
from core.runs.queue import submit
from core.runs.requests import wait_for_end
from core.starter import resolve
from core.states import Outcome
from core.store import open_reader

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "starter-qlora.yaml"
STEPS = 60
REPETITIONS = 5
LIMIT_PERCENT = 3.0
LOSS_TOLERANCE = 0.02
"""Relative; the two sides sum in a different order, since they pad by their own rules."""


@dataclass(frozen=True, slots=True)
class Trained:
    """One run of one side: the seconds of each step, reporting included, and the last loss."""

    steps: tuple[float, ...]
    loss: float

    @property
    def seconds(self) -> float:
        """All steps together."""
        return sum(self.steps)


def _trained(elapsed: list[float], loss: float) -> Trained:
    return Trained(tuple(after - before for before, after in itertools.pairwise([0.0, *elapsed])), loss)


def _undisturbed(runs: list[Trained]) -> float:
    """Seconds of a run in which every step was as fast as in its fastest repetition."""
    return math.fsum(min(step) for step in zip(*(run.steps for run in runs), strict=True))


def measure(steps: int = STEPS, repetitions: int = REPETITIONS) -> list[Figure]:
    """The overhead in percent, and the seconds of both sides."""
    recipe = load_recipe(
        RECIPE,
        [f"train.max_steps={steps}", f"checkpoints.every_steps={steps}", "evaluate.sets={}", "evaluate.prompts=[]",
         "checkpoints.best_metric=null"],
    )  # fmt: skip
    ours: list[Trained] = []
    bare: list[Trained] = []
    with tempfile.TemporaryDirectory(prefix="finetui-bench-") as folder:
        workspace = Workspace(Path(folder) / "workspace")
        for repetition in range(repetitions):
            if repetition % 2 == 0:
                ours.append(_ours(workspace, recipe))
            bare.append(_bare(Path(folder), recipe))
            if repetition % 2:
                ours.append(_ours(workspace, recipe))
        _wait_for_supervisor(workspace)
    _same_job(ours, bare)
    pairs = statistics.median(mine.seconds / other.seconds for mine, other in zip(ours, bare, strict=True))
    note = f"median of whole pairs {100 * (pairs - 1):+.1f} %, last losses {ours[0].loss:.4f} and {bare[0].loss:.4f}"
    return [
        _side(f"train {steps} steps: finetui's worker", ours),
        _side(f"train {steps} steps: a bare TRL script", bare),
        Figure(
            what=f"training overhead, {repetitions} interleaved repetitions",
            value=100 * (_undisturbed(ours) / _undisturbed(bare) - 1),
            unit="%",
            limit=LIMIT_PERCENT,
            note=note,
        ),
    ]


def _wait_for_supervisor(workspace: Workspace) -> None:
    """Its last lines must not land in a folder that is being deleted."""
    deadline = time.monotonic() + 30
    while supervisor_lives(workspace) and time.monotonic() < deadline:
        time.sleep(0.1)


def _side(what: str, runs: list[Trained]) -> Figure:
    median = statistics.median(run.seconds for run in runs)
    return Figure(what=what, value=_undisturbed(runs), unit="s", note=f"median of whole runs {median:.2f} s")


def _same_job(ours: list[Trained], bare: list[Trained]) -> None:
    for mine, other in zip(ours, bare, strict=True):
        if abs(mine.loss - other.loss) > LOSS_TOLERANCE * abs(other.loss):
            raise RuntimeError(f"not the same job: the last losses are {mine.loss} (finetui) and {other.loss} (TRL)")


def _environment() -> dict[str, str]:
    """The same threads for both sides; a device that one side would take and the other not is hidden."""
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count() or 1))
    return {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}


def _ours(workspace: Workspace, recipe: LoadedRecipe) -> Trained:
    os.environ.update(_environment())  # the worker inherits these; nothing else is passed on
    run_id = submit(workspace, recipe, device="cpu")
    row = wait_for_end(workspace, run_id)
    if row.outcome is not Outcome.COMPLETED:
        raise RuntimeError(f"finetui's run ended as {row.outcome}: {row.message}")
    with open_reader(workspace) as reader:
        elapsed = [seconds for seconds in reader.axis(run_id).elapsed_seconds if seconds is not None]
        losses = reader.series(run_id, "loss").values
    return _trained(elapsed, losses[-1])


def _bare(folder: Path, loaded: LoadedRecipe) -> Trained:
    recipe = loaded.recipe
    train, method = recipe.train, recipe.method
    assert isinstance(method, QloraMethod)
    settings = {
        "model": str(resolve("starter")),
        "train_file": str(resolve("starter/train")),
        "output": str(folder / "bare"),
        "adapter": {"r": method.lora_r, "lora_alpha": method.lora_alpha, "lora_dropout": method.lora_dropout},
        "arguments": {
            "max_steps": train.max_steps,
            "learning_rate": train.learning_rate,
            "lr_scheduler_type": train.lr_scheduler_type,
            "warmup_steps": train.warmup_steps,
            "per_device_train_batch_size": train.per_device_train_batch_size,
            "gradient_accumulation_steps": train.gradient_accumulation_steps,
            "optim": train.optim,
            "weight_decay": train.weight_decay,
            "max_grad_norm": train.max_grad_norm,
            "activation_checkpointing": train.activation_checkpointing,
            "seed": train.seed,
            "data_seed": train.seed,
            "max_length": recipe.data.max_length,
            "assistant_only_loss": True,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
        },
    }
    file = folder / "settings.json"
    file.write_text(json.dumps(settings), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "bench.bare_trl", str(file)], capture_output=True, text=True, check=False, timeout=1800,
        env={**os.environ, **_environment()},
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"the bare TRL script failed:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return _trained(found["elapsed"], found["loss"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="training overhead beside a bare TRL script")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the figures as JSON too")
    chosen = parser.parse_args()
    print(machine())
    sys.exit(finish(measure(chosen.steps, chosen.repetitions), chosen.json))
