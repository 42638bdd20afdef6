"""What one step's logging costs: 10 scalars, finetui beside tensorboardX and trackio.

    python -m bench.log_cost

Twice: in the trainer (one real training run of a small model; at each step its callback calls all of them in turn), and
alone, back to back, a fresh process for each. Peers that are not installed are left out. No network is used.
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
SUBJECTS = {"finetui": "finetui", "tensorboardX": "tensorboardX", "trackio": "trackio, local"}

Log = Callable[[int, dict[str, float]], None]
Close = Callable[[], object]


def measure() -> list[Figure]:
    """Figures of every subject, in the trainer first; those of finetui have the limit."""
    figures = _figures(_run_child("trainer", TRAINER_STEPS), "in the trainer")
    for subject in SUBJECTS:
        figures += _figures(_run_child(subject, ALONE_STEPS), "alone, back to back")
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


def _run_child(subject: str, steps: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="finetui-bench-") as folder:
        child = subprocess.run(
            [sys.executable, "-m", "bench.log_cost", "--child", subject, str(steps), folder],
            capture_output=True, text=True, timeout=900, check=False,
            env={**os.environ, "TRACKIO_DIR": folder, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    if child.returncode != 0:
        raise RuntimeError(f"{subject} could not be measured:\n{child.stderr}")
    found: dict[str, dict[str, float]] = json.loads(child.stdout.splitlines()[-1])
    return found


def child(subject: str, steps: int, folder: Path) -> None:
    """Measure in this process; prints one line of JSON: subject → median, p99 (µs), bytes a step."""
    if subject == "trainer":
        costs = _in_trainer(steps, folder)
    else:
        opened = _open(subject, folder)
        costs = {} if opened is None else {subject: _back_to_back(opened, steps)}
    found = {
        name: {"median": statistics.median(row), "p99": sorted(row)[int(len(row) * 0.99)]}
        for name, row in costs.items()
    }
    if subject in found:
        found[subject]["bytes"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / steps
    print(json.dumps(found))


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


def _in_trainer(steps: int, folder: Path) -> dict[str, list[float]]:
    """Costs by subject from one run of transformers' Trainer; who is called first changes from step to step."""
    import torch
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        Trainer,
        TrainerCallback,
        TrainerState,
        TrainingArguments,
    )

    opened = {name: found for name in SUBJECTS if (found := _open(name, folder / name)) is not None}
    costs: dict[str, list[float]] = {name: [] for name in opened}
    order = list(opened)

    class Logging(TrainerCallback):  # type: ignore[misc]  # the library is not type-checked here
        def on_log(self, args: object, state: TrainerState, control: object, **_: object) -> None:
            step = state.global_step
            order.append(order.pop(0))
            for name in order:
                costs[name].append(_timed(opened[name][0], step))

    size = LlamaConfig(
        hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4, vocab_size=1000
    )
    row = {"input_ids": torch.arange(128), "labels": torch.arange(128)}
    arguments = TrainingArguments(
        output_dir=str(folder / "out"), max_steps=steps, per_device_train_batch_size=4, logging_steps=1,
        save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    trainer = Trainer(model=LlamaForCausalLM(size), args=arguments, train_dataset=[row] * 64)
    trainer.add_callback(Logging())
    trainer.train()
    for _, close in opened.values():
        close()
    return {name: row[:steps] for name, row in costs.items()}  # the trainer's closing summary is no step


def _open(subject: str, folder: Path) -> tuple[Log, Close] | None:
    """How to log and how to close, None where the peer is not installed."""
    folder.mkdir(exist_ok=True)
    try:
        return {"finetui": _finetui, "tensorboardX": _tensorboard, "trackio": _trackio}[subject](folder)
    except ImportError:
        return None


def _finetui(folder: Path) -> tuple[Log, Close]:
    """What the trainer's callback calls: three of the ten scalars are measured by the reporter itself."""
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
        for index in range(3):
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
        child(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        run_alone("cost of logging 10 scalars at one step", measure)
