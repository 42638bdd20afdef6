"""How fast the store takes in and gives back: a long run's curves, and the list of many runs.

    python -m bench.store

50,000 steps of 10 metrics are written by the worker's own spool, ingested, and read back whole; then 10,000 runs are
made and listed by the real command. Everything lies in a temporary folder.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Figure, run_alone
from core.events import Cancelled, Job, RunQueued, StepLogged
from core.locks import FileLock
from core.paths import RunPaths, Workspace
from core.runs.folder import CROCKFORD
from core.runs.journal import decide
from core.runs.spool import Spool
from core.store import ingest_once, open_reader, open_writer
from core.store.ingest import ingest

STEPS = 50_000
METRICS = 10
RUNS = 10_000
DRAW_LIMIT_SECONDS = 1.0
LIST_LIMIT_SECONDS = 1.0
REPETITIONS = 5


def measure() -> list[Figure]:
    """All figures of the store."""
    with tempfile.TemporaryDirectory(prefix="finetui-bench-") as folder:
        figures = _curves(Workspace(Path(folder) / "curves"))
        return figures + _listing(Workspace(Path(folder) / "many"))


def _curves(workspace: Workspace) -> list[Figure]:
    workspace.root.mkdir(mode=0o700)
    paths = _queue(workspace, [0])[0]
    ingest_once(workspace)  # the schema is made once, in a process of its own: not part of taking in
    with Spool.open(paths.events, attempt=1) as spool:
        for step in range(1, STEPS + 1):
            values = {f"metric_{index}": (step % 997) / (index + 1) for index in range(METRICS)}
            spool.append(StepLogged(step=step, values=values, tokens=step * 2048, elapsed_seconds=step * 0.5))
    seconds = _ingest(workspace)
    points = STEPS * METRICS
    figures = [
        Figure(
            what=f"ingest {STEPS:,} steps × {METRICS} metrics",
            value=seconds,
            unit="s",
            note=f"{points / seconds:,.0f} points/s, {workspace.database.stat().st_size / points:.0f} B a point",
        )
    ]
    reads = [_read_all(workspace, paths.run_id) for _ in range(REPETITIONS)]
    figures.append(
        Figure(
            what=f"read back all {METRICS} series of {STEPS:,} points",
            value=statistics.median(reads),
            unit="s",
            limit=DRAW_LIMIT_SECONDS,
            note=f"{statistics.median(reads) / METRICS * 1000:.0f} ms a series",
        )
    )
    return figures


def _read_all(workspace: Workspace, run_id: str) -> float:
    began = time.perf_counter()
    with open_reader(workspace) as reader:
        keys = reader.metric_keys(run_id)
        lengths = {len(reader.series(run_id, key).steps) for key in keys}
    seconds = time.perf_counter() - began
    if len(keys) != METRICS or lengths != {STEPS}:
        raise RuntimeError(f"read {len(keys)} series of {lengths} points instead of {METRICS} of {STEPS}")
    return seconds


def _ingest(workspace: Workspace) -> float:
    began = time.perf_counter()
    with FileLock(workspace.ingest_lock) as lock, open_writer(workspace) as writer:
        lock.try_acquire()
        ingest(writer, workspace)
    return time.perf_counter() - began


def _listing(workspace: Workspace) -> list[Figure]:
    workspace.root.mkdir(mode=0o700)
    runs = _queue(workspace, list(range(RUNS)))
    # ended without a process: a run that waits would be started by a supervisor
    decide(workspace, *(Cancelled(run_id=paths.run_id) for paths in runs))
    began = time.perf_counter()
    ingest_once(workspace)
    figures = [
        Figure(what=f"ingest {RUNS:,} runs", value=time.perf_counter() - began, unit="s"),
        Figure(what=f"ls --json of {RUNS:,} runs, whole command", value=_command(workspace, "--json"), unit="s"),
        Figure(
            what=f"ls of {RUNS:,} runs, whole command", value=_command(workspace), unit="s", limit=LIST_LIMIT_SECONDS
        ),
    ]
    pages = []
    with open_reader(workspace) as reader:
        for _ in range(REPETITIONS):
            began = time.perf_counter()
            rows = reader.runs(limit=50)
            pages.append((time.perf_counter() - began) * 1000)
    if len(rows) != 50:
        raise RuntimeError(f"a page has {len(rows)} rows")
    figures.append(
        Figure(what=f"first page of {RUNS:,} runs, in an app", value=statistics.median(pages), unit="ms", limit=50.0)
    )
    return figures


def _command(workspace: Workspace, *options: str) -> float:
    """Median seconds of `finetui ls`, start of the interpreter and end included."""
    command = [sys.executable, "-P", "-m", "tui.entry", "ls", "--workspace", str(workspace.root), *options]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    times = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
        times.append(time.perf_counter() - began)
        if done.returncode != 0:
            raise RuntimeError(f"ls failed: {done.stderr.strip()}")
    listed = len(json.loads(done.stdout)) if "--json" in options else len(done.stdout.splitlines())
    if listed == 0:
        raise RuntimeError("ls listed nothing")
    return statistics.median(times)


def _queue(workspace: Workspace, numbers: list[int]) -> list[RunPaths]:
    """Run folders with their lines in the journal; what a worker would read is not made."""
    queued = []
    for number in numbers:
        run_id = "".join(CROCKFORD[number >> shift & 31] for shift in range(35, -1, -5))
        queued.append(
            RunQueued(run_id=run_id, name=f"run {number}", kind="train", recipe_sha256="0" * 64, method="qlora",
                      objective="sft", model="builtin:starter", max_steps=STEPS)
        )  # fmt: skip
        paths = workspace.run(run_id)
        paths.folder.mkdir(parents=True, mode=0o700)
        paths.job.write_text(Job(queued=queued[-1], created_at=time.time()).to_text(), encoding="utf-8")
    decide(workspace, *queued)
    return [workspace.run(event.run_id) for event in queued]


if __name__ == "__main__":
    run_alone("the store: ingest, curves, list", measure)
