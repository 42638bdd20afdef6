"""What one step's logging costs: 10 scalars, finetui beside tensorboardX and trackio.

    python -m bench.log_cost

Twice, a fresh process for each: in the trainer (a real training run of a small model, whose callback logs at each step)
and alone, back to back. A process of its own, since a peer's threads would be timed with whoever shares its process.
Peers that are not installed are left out. No network is used.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.figures import Figure, run_alone

SCALARS = 10
ALONE_STEPS = 5000
TRAINER_STEPS = 400
LIMIT_MICROSECONDS = 100.0
IN_TRAINER, ALONE = "in the trainer", "alone, back to back"
SUBJECTS = {"finetui": "finetui", "tensorboardX": "tensorboardX", "trackio": "trackio, local"}

Log = Callable[[int, dict[str, float]], None]
Close = Callable[[], object]


def measure() -> list[Figure]:
    """Figures of every subject, in the trainer first; those of finetui have the limit."""
    figures: list[Figure] = []
    for where, steps in ((IN_TRAINER, TRAINER_STEPS), (ALONE, ALONE_STEPS)):
        for subject in SUBJECTS:
            figures += _figures(_run_child(subject, where, steps), where)
    return figures


def _figures(costs: dict[str, dict[str, float]], where: str) -> list[Figure]:
    return [
        Figure(
            what=f"log 10 scalars, {where}: {SUBJECTS[subject]}",
            value=found["median"],
            unit="µs",
            limit=LIMIT_MICROSECONDS if subject == "finetui" else None,
            note=f"p99 {found['p99']:,.0f} µs" + (f", {found['bytes']:,.0f} B a step" if "bytes" in found else ""),
        )
        for subject, found in costs.items()
    ]


def _run_child(subject: str, where: str, steps: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="finetui-bench-") as folder:
        child = subprocess.run(
            [sys.executable, "-m", "bench.log_cost", "--child", subject, where, str(steps), folder],
            capture_output=True, text=True, timeout=900, check=False,
            env={**os.environ, "TRACKIO_DIR": folder, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    if child.returncode != 0:
        raise RuntimeError(f"{subject} could not be measured:\n{child.stderr}")
    found: dict[str, dict[str, float]] = json.loads(child.stdout.splitlines()[-1])
    return found


def child(subject: str, where: str, steps: int, folder: Path) -> None:
    """Measure in this process; prints one line of JSON: subject → median, p99 (µs), bytes a step, or {}."""
    opened = _open(subject, folder / subject)
    if opened is None:
        print("{}")
        return
    costs = _in_trainer(opened, steps, folder / "out") if where == IN_TRAINER else _back_to_back(opened, steps)
    size = sum(path.stat().st_size for path in (folder / subject).rglob("*") if path.is_file())
    found = {"median": statistics.median(costs), "p99": sorted(costs)[int(len(costs) * 0.99)], "bytes": size / steps}
    print(json.dumps({subject: found}))


def _back_to_back(opened: tuple[Log, Close], steps: int) -> list[float]:
    log, close = opened
    costs = [_timed(log, step) for step in range(1, steps + 1)]
    close()
    return costs


def _timed(log: Log, step: int) -> float:
    values = {f"metric_{index}": step / (index + 1) for index in range(SCALARS)}
    began = time.perf_counter_ns()
    log(step, values)
    return (time.perf_counter_ns() - began) / 1000


def _in_trainer(opened: tuple[Log, Close], steps: int, folder: Path) -> list[float]:
    """Costs in one run of transformers' Trainer, between steps that have turned the caches over."""
    import torch
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        Trainer,
        TrainerCallback,
        TrainerState,
        TrainingArguments,
    )

    log, close = opened
    costs: list[float] = []

    class Logging(TrainerCallback):
        def on_log(self, args: object, state: TrainerState, control: object, **_: object) -> None:
            costs.append(_timed(log, state.global_step))

    size = LlamaConfig(
        hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4, vocab_size=1000
    )
    row = {"input_ids": torch.arange(128), "labels": torch.arange(128)}
    arguments = TrainingArguments(
        output_dir=str(folder), max_steps=steps, per_device_train_batch_size=4, logging_steps=1,
        save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    trainer = Trainer(model=LlamaForCausalLM(size), args=arguments, train_dataset=[row] * 64)
    trainer.add_callback(Logging())
    trainer.train()
    close()
    return costs[:steps]  # the trainer's closing summary is no step


def _open(subject: str, folder: Path) -> tuple[Log, Close] | None:
    """How to log and how to close, None where the peer is not installed."""
    folder.mkdir(exist_ok=True)
    try:
        return {"finetui": _finetui, "tensorboardX": _tensorboard, "trackio": _trackio}[subject](folder)
    except ImportError:
        return None


def _finetui(folder: Path) -> tuple[Log, Close]:
    """What the trainer's callback calls: two of the ten scalars are measured by the reporter itself."""
    from core.events import Job, RunQueued
    from core.paths import Workspace
    from core.runs.spool import Spool
    from core.worker.context import Context
    from core.worker.control import Control
    from core.worker.outbox import Outbox
    from core.worker.progress import Progress
    from core.worker.reporter import Reporter

    workspace = Workspace(folder)
    paths = workspace.run("00000000")
    paths.folder.mkdir(parents=True)
    job = Job(queued=RunQueued(run_id="00000000", name="bench", kind="train", recipe_sha256=""), created_at=0.0)
    outbox = Outbox(Spool.open(paths.events, attempt=1))
    reporter = Reporter(Context(workspace, paths, job, 1, outbox, Control(paths.control, 1)), Progress())
    reporter.begin()

    def log(step: int, values: dict[str, float]) -> None:
        for index in range(2):
            del values[f"metric_{index}"]
        reporter.step(step, values, 2048, 1024)
        reporter.step_over()

    return log, outbox.close


def _tensorboard(folder: Path) -> tuple[Log, Close]:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder))

    def log(step: int, values: dict[str, float]) -> None:
        for key, value in values.items():
            writer.add_scalar(key, value, step)

    return log, writer.close


def _trackio(folder: Path) -> tuple[Log, Close]:
    import contextlib
    import io

    import trackio

    with contextlib.redirect_stdout(io.StringIO()):
        trackio.init(project="bench", embed=False)

    def finish() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            trackio.finish()

    return lambda step, values: trackio.log(values, step=step), finish


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], int(sys.argv[4]), Path(sys.argv[5]))
    else:
        run_alone("cost of logging 10 scalars at one step", measure)
