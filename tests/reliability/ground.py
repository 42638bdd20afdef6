"""Workspaces full of fake or tiny real jobs, and the questions that every reliability check asks afterwards."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from core.errors import CheckpointError
from core.events import Job, RunQueued, Started, StepLogged, decode_line
from core.events.lines import Json
from core.paths import RunPaths, Workspace
from core.runs import launch
from core.runs.checkpoints import verify
from core.runs.folder import create_run_folder, new_run_id
from core.runs.identity import read_boot_id
from core.runs.journal import decide
from core.runs.manifests import step_folders
from core.runs.recover import last_spawned
from core.runs.seen import wait_until_seen
from core.runs.spool import tail
from core.states import State
from core.store.content import Row, natural_content
from core.store.database import connect_reader
from core.store.reader import open_reader
from core.store.rows import RunRow


def queue_fake(workspace: Workspace, *, device: str = "none", **behaviour: Json) -> str:
    """Queue a job of the torch-free worker (see its `Behaviour`) and see the line ingested."""
    while True:
        queued = RunQueued(
            run_id=new_run_id(),
            name="fake",
            kind="train",
            recipe_sha256="0" * 64,
            device=device,
            boot_id=read_boot_id(),
        )
        job = Job(queued=queued, created_at=time.time(), arguments={"fake": behaviour})
        try:
            create_run_folder(workspace, job, "name: fake\n")
        except FileExistsError:
            continue
        wait_until_seen(workspace, decide(workspace, queued)[-1])
        return queued.run_id


def supervise(workspace: Workspace, worker_module: str = "tests.process.fake_worker") -> None:
    """See to it that a supervisor lives, which starts `worker_module` as its workers."""
    launch.SUPERVISOR_OPTIONS[:] = ["--worker-module", worker_module, "--no-samples"]
    launch.ensure_supervisor(workspace)


def read(workspace: Workspace, run_id: str) -> RunRow:
    """The run as the store has it."""
    with open_reader(workspace) as reader:
        row = reader.run(run_id)
    assert row is not None, run_id
    return row


def has_ended(workspace: Workspace, run_id: str) -> bool:
    """Whether the store says that the run is finished."""
    return read(workspace, run_id).state is State.FINISHED


def content(workspace: Workspace) -> dict[str, list[Row]]:
    """Everything in the database, by natural keys."""
    connection, _ = connect_reader(workspace)
    try:
        return natural_content(connection)
    finally:
        connection.close()


def wait_for(condition: Callable[[], object], what: str, timeout_seconds: float = 60.0) -> None:
    """Poll until true.

    Raises:
        TimeoutError: naming what was awaited.
    """
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_seconds:g} s for: {what}")
        time.sleep(0.02)


def kill_worker(paths: RunPaths, attempt: int) -> bool:
    """SIGKILL the worker of this attempt; False where it is gone already."""
    identity = last_spawned(paths, attempt)
    if identity is None:
        return False
    try:
        os.kill(identity.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def supervisor_pids(workspace: Workspace) -> list[int]:
    """Process ids of this workspace's supervisors, from /proc."""
    found = []
    root = str(workspace.root.resolve()).encode()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"core.supervisor" in words and root in words:
                found.append(int(folder.name))
    return found


def kill_all_supervisors(workspace: Workspace) -> None:
    """SIGKILL every supervisor of the workspace."""
    for pid in supervisor_pids(workspace):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def lost_acknowledgements(workspace: Workspace, acknowledgements: Path) -> list[str]:
    """Lines that a worker was told are written, and that are not in its spool any more."""
    in_spool = {
        (run.name, record.attempt, record.seq)
        for run in workspace.runs.iterdir()
        for _, record in tail(run / "events.jsonl", 0).records
    }
    lost = []
    for line in acknowledgements.read_text().splitlines():
        run_id, attempt, seq, kind = line.split()
        if (run_id, int(attempt), int(seq)) not in in_spool:
            lost.append(f"run {run_id} attempt {attempt} line {seq} ({kind}) is lost")
    return lost


def losses_by_step(paths: RunPaths) -> dict[int, float]:
    """The loss curve as the spool tells it: points behind a resume's step are replaced."""
    points: dict[int, float] = {}
    for _, record in tail(paths.events, 0).records:
        if isinstance(record.event, Started) and record.attempt > 1:
            begin = record.event.resumed_from_step or 0
            points = {step: loss for step, loss in points.items() if step <= begin}
        elif isinstance(record.event, StepLogged):
            points[record.event.step] = record.event.values["loss"]
    return points


def differing_curves(workspace: Workspace) -> list[str]:
    """Runs whose stored curve is not the one that their spool tells."""
    wrong = []
    with open_reader(workspace) as reader:
        for run in workspace.runs.iterdir():
            series = reader.series(run.name, "loss")
            stored = dict(zip(series.steps, series.values, strict=True))
            told = losses_by_step(RunPaths(run))
            if stored != told:
                wrong.append(f"run {run.name}: {len(stored)} points stored, {len(told)} in its spool")
    return wrong


def corrupt_checkpoints(workspace: Workspace) -> tuple[int, list[str]]:
    """How many published checkpoints there are, and what is wrong with any of them, byte for byte."""
    count, wrong = 0, []
    for run in workspace.runs.iterdir():
        for folder in step_folders(RunPaths(run)):
            count += 1
            try:
                verify(folder, deep=True)
            except CheckpointError as error:
                wrong.append(f"run {run.name}: {error}")
    return count, wrong


def workers_of(paths: RunPaths) -> dict[int, int]:
    """How many workers said Started, by attempt."""
    counts: dict[int, int] = {}
    for _, record in tail(paths.events, 0).records:
        if isinstance(record.event, Started):
            counts[record.attempt] = counts.get(record.attempt, 0) + 1
    return counts


def damaged_lines(workspace: Workspace) -> int:
    """Damaged lines in all line files, read to their end."""
    files = [workspace.journal, *workspace.runs.glob("*/*.jsonl")]
    count = 0
    for file in files:
        for line in file.read_bytes().split(b"\n")[:-1] if file.exists() else []:
            try:
                decode_line(line)
            except ValueError:
                count += bool(line)
    return count
