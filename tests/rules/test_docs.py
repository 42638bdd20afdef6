"""Documents that can drift do not: generated parts are fresh, every command and target that is named exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_generated_parts_are_fresh() -> None:
    result = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        target
        for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
        for target in re.findall(r"`make ([a-z-]+)", document.read_text(encoding="utf-8"))
    }
    assert len(named) >= 5
    assert named <= targets


def test_every_command_that_the_readme_names_exists() -> None:
    from core.cli.command import SUMMARIES

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)finetui +([a-z-]+)", text, re.MULTILINE))
    assert len(named) >= 5
    assert named <= set(SUMMARIES)
