"""Files of the trackers that are installed, written by the real libraries in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).resolve().parent / "fixtures"

TENSORBOARD = """
import math, sys
from tensorboardX import SummaryWriter
writer = SummaryWriter(sys.argv[1])
for step in range(1, 31):
    writer.add_scalar("train/loss", math.nan if step == 7 else 2 / step, step, walltime=1_790_000_000 + step)
    writer.add_scalar("train/grad_norm", math.inf if step == 9 else 1.0, step, walltime=1_790_000_000 + step)
    writer.add_scalar("train/epoch", step / 10, step, walltime=1_790_000_000 + step)
    if step % 10 == 0:
        for key, value in (("loss", 1 / step), ("runtime", 2.0), ("samples_per_second", 8.0)):
            writer.add_scalar("eval/" + key, value, step, walltime=1_790_000_000 + step)
writer.add_histogram("weights", list(range(100)), 5)
writer.add_text("args", '{"learning_rate": 0.0002, "max_steps": 30, "model_name_or_path": "tiny/llama"}')
writer.close()
"""
TRACKIO = """
import math, sys, trackio
for name in ("first", "second"):
    trackio.init(project="fixture", name=name, config={"learning_rate": 2e-4, "model_name_or_path": "tiny/llama"},
                 embed=False, auto_log_cpu=False)
    for step in range(1, 21):
        trackio.log({"train/loss": math.nan if step == 7 else 2.0 / step, "train/epoch": step / 10,
                     "train/global_step": step * 5, "eval/loss": 1.0, "table": {"not": "a number"}})
    trackio.finish()
"""


def run_library(program: str, *arguments: str, **environment: str) -> None:
    """Run a program that uses a real tracker, without a network."""
    subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **environment}, check=True, capture_output=True, timeout=100,
    )  # fmt: skip


@pytest.fixture(scope="session")
def event_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one event file of tensorboardX."""
    folder = tmp_path_factory.mktemp("tensorboard") / "a run"
    run_library(TENSORBOARD, str(folder))
    return folder


@pytest.fixture(scope="session")
def trackio_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of trackio with two runs."""
    folder = tmp_path_factory.mktemp("trackio")
    run_library(TRACKIO, TRACKIO_DIR=str(folder), HF_HUB_OFFLINE="1", HOME=str(folder))
    return folder / "fixture.db"
