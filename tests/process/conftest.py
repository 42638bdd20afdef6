"""A workspace with real supervisors and torch-free workers, and every process of it gone after the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.events import Event, Started
from core.events.lines import Json
from core.paths import Workspace
from core.recipe.load import LoadedRecipe, load_recipe
from core.runs import launch
from core.runs.queue import submit
from core.runs.requests import wait_for_end
from core.runs.seen import read_run
from core.runs.spool import tail
from core.store.rows import RunRow

RECIPE = """\
name: fake
model: {path: model}
data: {train: [{path: rows.jsonl}]}
method: {type: qlora}
evaluate: {sets: {validation: {from_train: 1}}}
"""
ROOT = Path(__file__).resolve().parents[2]


def write_recipe(folder: Path) -> Path:
    """A recipe that loads; the fake worker reads none of it."""
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "config.json").write_text("{}")
    (folder / "rows.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    path = folder / "fake.yaml"
    path.write_text(RECIPE)
    return path


class Site:
    """One workspace under test; every job is done by the fake worker."""

    def __init__(self, workspace: Workspace, recipe: LoadedRecipe) -> None:
        self.workspace = workspace
        self.recipe = recipe

    def submit(self, *, device: str = "cpu", held: bool = False, name: str | None = None, **fake: Json) -> str:
        return submit(self.workspace, self.recipe, arguments={"fake": fake}, device=device, held=held, name=name)

    def submit_long(self) -> str:
        """A run that goes on until it is asked to end."""
        return self.submit(steps=5000, step_seconds=0.02)

    def leave(self) -> None:
        """Wait until no supervisor lives, so that the database can be compared with what it is made from."""
        deadline = time.monotonic() + 20
        while self.supervisor_pids():
            if time.monotonic() > deadline:
                pytest.fail(f"the supervisor does not leave\n{self.log()}")
            time.sleep(0.02)

    def run(self, run_id: str) -> RunRow:
        return read_run(self.workspace, run_id)

    def end(self, run_id: str) -> RunRow:
        return wait_for_end(self.workspace, run_id)

    def until(
        self, run_id: str, condition: Callable[[RunRow], object], what: str, timeout_seconds: float = 20
    ) -> RunRow:
        deadline = time.monotonic() + timeout_seconds
        while not condition(run := self.run(run_id)):
            if time.monotonic() > deadline:
                pytest.fail(f"waited {timeout_seconds:g} s for {what}; {run}\n{self.log()}")
            time.sleep(0.02)
        return run

    def until_step(self, run_id: str, step: int) -> RunRow:
        return self.until(run_id, lambda run: (run.step or 0) >= step, f"step {step} of {run_id}")

    def events(self, run_id: str) -> list[Event]:
        records = tail(self.workspace.run(run_id).events, 0).records
        return [record.event for _, record in records if record.event is not None]

    def started(self, run_id: str) -> list[Started]:
        return [event for event in self.events(run_id) if isinstance(event, Started)]

    def worker_pid(self, run_id: str) -> int:
        return self.started(run_id)[-1].pid

    def supervisor_pids(self) -> list[int]:
        return self._processes("core.supervisor")

    def sampler_pids(self) -> list[int]:
        """Children of this workspace's supervisors that read the hardware."""
        children = []
        for pid in self.supervisor_pids():
            for task in Path(f"/proc/{pid}/task").iterdir():
                children += [int(child) for child in (task / "children").read_text().split()]
        return [pid for pid in children if b"core.gpu.sample" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def kill_supervisors(self, number: int = signal.SIGKILL) -> int:
        pids = self.supervisor_pids()
        for pid in pids:
            os.kill(pid, number)
        return len(pids)

    def _processes(self, module: str = "") -> list[int]:
        """Processes whose command line names this workspace: of the supervisor or of a worker."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                is_ours = any(word.startswith(str(self.workspace.root).encode()) for word in words)
                if is_ours and module.encode() in b" ".join(words) and b"-m" in words:
                    found.append(int(folder.name))
        return found

    def log(self) -> str:
        log = self.workspace.supervisor_log
        return log.read_text() if log.exists() else "no supervisor log"

    def remove_processes(self) -> None:
        deadline = time.monotonic() + 10
        while (pids := self._processes()) and time.monotonic() < deadline:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.05)


@pytest.fixture
def site(tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    options = ["--worker-module", "tests.process.fake_worker", "--no-samples"]
    monkeypatch.setattr(launch, "SUPERVISOR_OPTIONS", options)
    one = Site(workspace, load_recipe(write_recipe(tmp_path / "recipe")))
    yield one
    one.remove_processes()


def run_script(script: str, *arguments: str) -> subprocess.Popen[str]:
    """A separate process that imports the project as a command does, with the fake worker for its supervisors."""
    start = (
        "from core.runs import launch; "
        "launch.SUPERVISOR_OPTIONS[:] = ['--worker-module', 'tests.process.fake_worker', '--no-samples']\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", start + script, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


__all__ = ["ROOT", "Site", "run_script", "write_recipe"]
