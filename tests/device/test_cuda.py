"""What can only be shown on a CUDA device: each method trains there, resumes there, and its memory is measured.

`make gpu-check` runs these; without a device they fail, since a check that was not made must not look like one.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.events import Finished, StepLogged
from core.gpu.nvml import list_gpus
from core.paths import Workspace
from core.runs.launch import ensure_supervisor
from core.runs.queue import submit
from core.runs.requests import wait_for_end
from core.states import Outcome
from core.store.reader import open_reader
from tests.worker.tiny import events, make_recipe, write_model, write_rows

pytestmark = pytest.mark.gpu
METHODS = ("full", "lora", "qlora")


@pytest.fixture(autouse=True)
def cuda_device() -> None:
    """Fails where there is no device."""
    assert torch.cuda.is_available(), "no CUDA device: these checks say nothing on this machine"


@pytest.mark.parametrize("method", METHODS)
def test_a_run_on_the_gpu_learns_and_says_what_it_used(method: str, workspace: Workspace, tmp_path: Path) -> None:
    recipe = make_recipe(
        tmp_path,
        write_model(tmp_path / "model"),
        write_rows(tmp_path / "rows.jsonl"),
        "train.max_steps=60",
        method=method,
    )
    run_id = submit(workspace, recipe, device="gpu")
    ensure_supervisor(workspace)
    row = wait_for_end(workspace, run_id)
    assert row.outcome is Outcome.COMPLETED, row.message
    steps = events(workspace.run(run_id), StepLogged)
    assert len(steps) == 60
    first, last = (sum(step.values["loss"] for step in part) for part in (steps[:10], steps[-10:]))
    assert last < first
    peak = events(workspace.run(run_id), Finished)[-1].totals["memory_peak_bytes"]
    print(f"\n{method}: loss {first / 10:.3f} to {last / 10:.3f}, memory peak {peak / 2**20:.0f} MiB")
    assert peak > 0
    with open_reader(workspace) as reader:
        samples = reader.hardware(run_id)
    assert any(sample.gpu_memory_used_bytes for sample in samples)


def test_the_gpu_is_listed_without_loading_torch() -> None:
    gpus = list_gpus()
    assert gpus
    assert all(gpu.uuid and gpu.memory_total_bytes for gpu in gpus)
    print("\n" + ", ".join(f"{gpu.name} {(gpu.memory_total_bytes or 0) / 2**30:.0f} GiB" for gpu in gpus))
