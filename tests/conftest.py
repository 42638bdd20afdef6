"""What every test may rely on: a private home, no network, one torch thread, and waiting that polls by name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.paths import Workspace

# before any import of torch or transformers, and inherited by every worker that a test starts
os.environ.update(
    OMP_NUM_THREADS="1",
    OMP_WAIT_POLICY="PASSIVE",
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
)


@pytest.fixture(autouse=True)
def private_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test reads or writes the home, runtime folder or umask of the person who runs it."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HF_TOKEN", "COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    root = tmp_path / "workspace"
    root.mkdir(mode=0o700)
    return Workspace(root)


def wait_until(condition: Callable[[], object], what: str, timeout_seconds: float = 20.0) -> None:
    """Poll `condition` every 20 ms until it is true; fail with the name of what was awaited."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_seconds:g} s for: {what}")
        time.sleep(0.02)
