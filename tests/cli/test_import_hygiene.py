"""A command is ready at once: in a process of its own, none loads a package that it does not need."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from core.cli.command import SUMMARIES
from core.paths import Workspace

NEVER = {"torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate", "datasets", "pandas", "numpy", "pyarrow"}
HEAVY = {*NEVER, "pydantic", "ruamel", "plotext", "textual", "sqlite_utils", "tokenizers", "jinja2", "psutil", "pynvml"}
WATCH = """
import sys
from core.cli.main import main
status = main(sys.argv[1:])
sys.stderr.write("LOADED " + " ".join(sorted({name.partition(".")[0] for name in sys.modules})) + "\\n")
"""
LIGHT = (["ls"], ["ls", "--json"], ["queue"], ["show", "x"], ["metrics", "x"], ["logs", "x"], ["--version"], ["--help"])
OTHERS = (
    ["check", "absent.yaml"],
    ["run", "absent.yaml"],
    ["plot", "x", "loss"],
    ["stop", "x"],
    ["resume", "x"],
    ["eval", "x", "--on", "test"],
    ["note", "x", "text"],
    ["tag", "x", "text"],
    ["rm", "x"],
    ["gc"],
    ["rebuild"],
    ["fsck"],
    ["import", "absent"],
    ["export", "x"],
)


def _loaded(workspace: Workspace, words: list[str]) -> set[str]:
    command = [sys.executable, "-P", "-c", WATCH, "--workspace", str(workspace.root), *words]
    result = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    marked = [line for line in result.stderr.splitlines() if line.startswith("LOADED ")]
    assert len(marked) == 1, result.stderr
    return set(marked[0].split()[1:])


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_what_only_looks_loads_nothing_heavy(words: list[str], workspace: Workspace) -> None:
    loaded = _loaded(workspace, words)
    assert "core" in loaded and not loaded & HEAVY


@pytest.mark.parametrize("words", OTHERS, ids=" ".join)
def test_no_command_loads_the_training_stack(words: list[str], workspace: Workspace) -> None:
    loaded = _loaded(workspace, words)
    assert "core" in loaded and not loaded & NEVER


def test_each_command_is_covered() -> None:
    named = {word for words in (*LIGHT, *OTHERS) for word in words if word in SUMMARIES}
    others_like_them = {"demo": "run", "pause": "stop", "save": "stop", "evaluate-now": "stop", "rename": "note"}
    assert {*named, *others_like_them, "pin", "doctor"} == set(SUMMARIES)
