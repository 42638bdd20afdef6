"""What the command tests share: the console script as a person starts it, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from core.paths import Workspace
from tests.process.conftest import site

__all__ = ["Finetui", "Json", "Said", "finetui", "site"]

Json = object


@dataclass(frozen=True, slots=True)
class Said:
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Json:
        """stdout as the one JSON document that it must be; NaN and Infinity are refused."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        return json.loads(self.stdout, parse_constant=refuse)


Finetui = Callable[..., Said]


@pytest.fixture
def finetui(workspace: Workspace) -> Finetui:
    """Run `finetui WORD…` on the test's workspace; no terminal, no colour."""

    def run(*words: str, stdin: str | None = None, **environment: str) -> Said:
        result = subprocess.run(
            [sys.executable, "-P", "-m", "tui.entry", "--workspace", str(workspace.root), *words],
            stdin=subprocess.DEVNULL if stdin is None else None,
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, **environment},
            timeout=100,
            check=False,
        )
        assert "Traceback" not in result.stderr + result.stdout
        return Said(result.returncode, result.stdout, result.stderr)

    return run
