"""The borders between rooms hold: statically by import-linter, and in a real process by what it has loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "peft", "trl", "bitsandbytes", "datasets", "accelerate", "pandas", "numpy", "pyarrow")

LIGHT_MODULES = [
    "tui.entry",
    "core.cli.main",
    "core.store.reader",
    "core.store.ingest",
    "core.runs.queue",
    "core.runs.requests",
    "core.runs.checkpoints",
    "core.supervisor.__main__",
    "core.supervisor.loop",
    "core.recipe.load",
    "core.data.chat",
    "core.data.masks",
    "core.evaluate.scores",
    "core.gpu.sample",
    "core.starter",
]


def test_the_import_contracts_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-3000:]
    assert "0 broken" in result.stdout


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_a_light_module_leaves_the_ml_stack_unloaded(module: str) -> None:
    program = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
