"""Records what a run ran on (environment.json): versions, commit, hardware, seeds, data, choices; never a secret.

It writes one file and decides nothing. No environment variable's value enters it, and a remote's address neither.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from core.data.versions import DatasetVersion
from core.events import Choice
from core.paths import RunPaths, Workspace

_PACKAGES = (
    "finetui",
    "torch",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "accelerate",
    "datasets",
    "tokenizers",
    "safetensors",
    "numpy",
    "pyarrow",
)


def write_environment(
    workspace: Workspace,
    paths: RunPaths,
    *,
    attempt: int,
    device: str,
    model: str,
    folder: Path,
    seed: int,
    datasets: Sequence[DatasetVersion],
    choices: Sequence[Choice],
) -> None:
    """Write environment.json, whole or not at all.

    `folder` is where the base lay; that of a hub's snapshot names its commit.
    """
    content = {
        "version": 1,
        "attempt": attempt,
        "python": platform.python_version(),
        "packages": package_versions(),
        "platform": {"system": platform.platform(), "machine": platform.machine()},
        "hardware": hardware(device),
        "git": git_state(workspace.root),
        "model": {"path": model, "folder": str(folder)},
        "seed": seed,
        "datasets": [asdict(version) for version in datasets],
        "choices": [asdict(choice) for choice in choices],
    }
    staged = paths.environment.with_suffix(".json.part")
    with staged.open("w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=2, allow_nan=False, ensure_ascii=False)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    staged.replace(paths.environment)


def package_versions() -> dict[str, str]:
    """The versions of what results depend on; a package that is not installed is left out."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def hardware(device: str) -> dict[str, str | int | None]:
    """What computes: CPU cores and threads, and the GPU with its memory in bytes where one is used."""
    import torch

    facts: dict[str, str | int | None] = {
        "device": device,
        "cpu_count": os.cpu_count(),
        "cpu": _cpu_name(),
        "threads": torch.get_num_threads(),
        "host_memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
    if device != "cpu":
        properties = torch.cuda.get_device_properties(0)
        facts |= {
            "gpu": properties.name,
            "gpu_memory_bytes": properties.total_memory,
            "gpu_uuid": str(properties.uuid),
            "cuda": torch.version.cuda,
        }
    return facts


def _cpu_name() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def git_state(folder: Path) -> dict[str, str | bool] | None:
    """Commit and whether files differ from it, for the checkout that holds `folder`; None where there is none."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": bool(changed)}


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
