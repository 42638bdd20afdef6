"""What finetui adds to the training itself: one job by our worker and by a bare TRL script, step beside step.

    python -m bench.training_overhead [--steps N]

Same base, rows, seed and settings (the starter's QLoRA recipe), on the CPU, in two processes that take turns step by
step (bench/lockstep.py). Ours runs as always, under a supervisor that samples and ingests meanwhile, and reports each
step. Loading, evaluating and saving are left out on both sides. Both train the same batches in the same order: the last
losses must agree.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Figure, finish, machine
from bench.lockstep import Conductor, make_pipes
from core.paths import Workspace
from core.recipe.load import LoadedRecipe, load_recipe
from core.recipe.schema import QloraMethod
from core.runs import launch
from core.runs.queue import submit
from core.runs.requests import wait_for_end
from core.starter import resolve
from core.states import Outcome
from core.store import open_reader

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "starter-qlora.yaml"
STEPS = 120
LIMIT_PERCENT = 3.0
LOSS_TOLERANCE = 0.02
"""Relative; the two sides sum in a different order, since they pad by their own rules."""


def measure(steps: int = STEPS) -> list[Figure]:
    """The overhead in percent: the median over all steps of ours ÷ bare; and both sides' median step."""
    recipe = load_recipe(
        RECIPE,
        [f"train.max_steps={steps}", f"checkpoints.every_steps={steps}", "evaluate.sets={}", "evaluate.prompts=[]",
         "checkpoints.best_metric=null"],
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="finetui-bench-") as name:
        folder = Path(name)
        workspace = Workspace(folder / "workspace")
        for side in ("ours", "bare"):
            make_pipes(folder / side)
        run_id = _start_ours(workspace, recipe, folder / "ours")
        bare = _start_bare(folder, recipe)
        pairs = _take_turns(Conductor(folder / "ours"), Conductor(folder / "bare"), steps)
        our_loss, bare_loss = _our_loss(workspace, run_id), _bare_loss(bare)
        _wait_for_supervisor(workspace)
    if abs(our_loss - bare_loss) > LOSS_TOLERANCE * abs(bare_loss):
        raise RuntimeError(f"not the same job: the last losses are {our_loss} (finetui) and {bare_loss} (TRL)")
    ratios = sorted(mine / other for mine, other in pairs)
    quartiles = statistics.quantiles(ratios, n=4)
    return [
        Figure(what="one step of finetui's worker", value=statistics.median(mine for mine, _ in pairs), unit="s"),
        Figure(what="one step of a bare TRL script", value=statistics.median(other for _, other in pairs), unit="s"),
        Figure(
            what=f"training overhead, {len(pairs)} pairs of steps",
            value=100 * (quartiles[1] - 1),
            unit="%",
            limit=LIMIT_PERCENT,
            note=f"half of the pairs between {100 * (quartiles[0] - 1):+.1f} and {100 * (quartiles[2] - 1):+.1f} %, "
            f"last losses {our_loss:.4f} and {bare_loss:.4f}",
        ),
    ]


def _take_turns(ours: Conductor, bare: Conductor, steps: int) -> list[tuple[float, float]]:
    """Seconds of each step by both sides; who goes first changes from step to step."""
    pairs = []
    for step in range(steps - 1):  # the last one ends in a checkpoint
        if step % 2:
            other = bare.step()
            mine = ours.step()
        else:
            mine = ours.step()
            other = bare.step()
        pairs.append((mine, other))
    for side in (ours, bare):
        side.let_go()
    return pairs[5:]  # the first steps warm up caches and allocators


def _wait_for_supervisor(workspace: Workspace) -> None:
    """Its last lines must not land in a folder that is being deleted."""
    deadline = time.monotonic() + 30
    while launch.supervisor_lives(workspace) and time.monotonic() < deadline:
        time.sleep(0.1)


def _environment() -> dict[str, str]:
    """The same threads for both sides; a device that one side would take and the other not is hidden."""
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count() or 1))
    return {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}


def _start_ours(workspace: Workspace, recipe: LoadedRecipe, gate: Path) -> str:
    os.environ.update(_environment())  # the worker inherits these; nothing else is passed on
    launch.SUPERVISOR_OPTIONS[:] = ["--worker-module", "bench.gated_worker"]
    return submit(workspace, recipe, device="cpu", arguments={"gate": str(gate)})


def _our_loss(workspace: Workspace, run_id: str) -> float:
    row = wait_for_end(workspace, run_id)
    if row.outcome is not Outcome.COMPLETED:
        raise RuntimeError(f"finetui's run ended as {row.outcome}: {row.message}")
    with open_reader(workspace) as reader:
        return reader.series(run_id, "loss").values[-1]


def _start_bare(folder: Path, loaded: LoadedRecipe) -> subprocess.Popen[str]:
    recipe = loaded.recipe
    train, method = recipe.train, recipe.method
    assert isinstance(method, QloraMethod)
    settings = {
        "model": str(resolve("starter")),
        "train_file": str(resolve("starter/train")),
        "output": str(folder / "output"),
        "gate": str(folder / "bare"),
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
    return subprocess.Popen(
        [sys.executable, "-m", "bench.bare_trl", str(file)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, **_environment()},
    )  # fmt: skip


def _bare_loss(process: subprocess.Popen[str]) -> float:
    output, _ = process.communicate(timeout=600)
    if process.returncode != 0:
        raise RuntimeError(f"the bare TRL script ended with {process.returncode}")
    return float(json.loads(output.splitlines()[-1])["loss"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="training overhead beside a bare TRL script")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the figures as JSON too")
    chosen = parser.parse_args()
    print(machine())
    sys.exit(finish(measure(chosen.steps), chosen.json))
