"""Which device a job runs on, and the lock that keeps two jobs from sharing it.

It must not load a model; it asks torch only whether a GPU is there and which.
"""

from __future__ import annotations

import os
from pathlib import Path

from core.errors import LaunchError
from core.locks import FileLock
from core.paths import Workspace, runtime_folder
from core.worker.context import Context

_POLL_SECONDS = 0.2


def prepare_environment() -> None:
    """Settings that libraries read when they are loaded; called before torch is.

    Passive waiting: OpenMP threads that spin at barriers made a busy two-core machine forty times slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TRANSFORMERS_NO_ADVISORY_WARNINGS"] = "1"
    if os.environ.get("HF_HUB_OFFLINE"):
        os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")


def choose_device(wanted: str) -> str:
    """`cpu` or `cuda:0` for a job that was queued for `wanted` (cpu, gpu or none).

    Raises:
        LaunchError: the job was queued for a GPU, and none can be used.
    """
    if wanted != "gpu":
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        raise LaunchError(
            "the job was queued for a GPU, and torch finds none",
            why=f"torch {torch.__version__} was built {built}",
            try_this="see `finetui doctor`; to train on the CPU, queue the run anew with no GPU visible",
        )
    return "cuda:0"


def device_lock_path(workspace: Workspace, device: str) -> Path:
    """The lock of a device: one per GPU for the whole user, one per workspace for the CPU."""
    if device == "cpu":
        return workspace.cpu_lock
    import torch

    identity = str(torch.cuda.get_device_properties(0).uuid).removeprefix("GPU-")
    return runtime_folder() / f"gpu-{identity}.lock"


def take_device(context: Context) -> FileLock:
    """Hold the context's device, waiting as long as another job has it.

    Raises:
        EndRequested: a stop or a pause was asked for meanwhile.
    """
    lock = FileLock(device_lock_path(context.workspace, context.device))
    if lock.try_acquire():
        return lock
    context.phase(f"waiting for the device ({context.device} is in use by another job)")
    while not lock.acquire(_POLL_SECONDS):
        context.end_if_asked()
    return lock
