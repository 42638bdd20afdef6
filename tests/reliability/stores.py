"""The database as an index: deleted and rebuilt, read after its writer was killed, written by four at once."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from core.paths import Workspace
from core.runs.labels import note, tag
from core.states import State
from core.store.ingest import ingest_once
from core.store.reader import open_reader
from core.store.rebuild import rebuild
from core.store.rows import RunRow
from tests.reliability import ground
from tests.reliability.table import Line

KILLED_WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=TRUNCATE")
connection.execute("PRAGMA cache_size=1")  # so that changed pages reach the file before the commit
connection.execute("BEGIN IMMEDIATE")
for table in ("runs", "points"):
    connection.execute(f"DELETE FROM {table}")
print("torn", flush=True)
time.sleep(60)
"""


def rebuild_equals(workspaces: list[Path]) -> Line:
    """Delete the database of each workspace that the kills left behind, rebuild it, compare by natural keys."""
    began = time.monotonic()
    wrong: list[str] = []
    rows = 0
    for root in workspaces:
        workspace = Workspace(root)
        ingest_once(workspace)
        before = ground.content(workspace)
        rows += sum(len(table) for table in before.values())
        for name in ("experiments.db", "experiments.db-wal", "experiments.db-shm", "experiments.db-journal"):
            (root / name).unlink(missing_ok=True)
        rebuild(workspace)
        after = ground.content(workspace)
        wrong += [f"{root.name}: table {name} differs" for name in before if before[name] != after.get(name)]
    return Line(
        subject="database deleted, rebuilt",
        measured=f"{len(workspaces)} workspaces, {rows} rows, {len(wrong)} tables differ",
        wrong=tuple(wrong) if rows else ("there was nothing to rebuild",),
        seconds=time.monotonic() - began,
    )


def readers_recover(source: Path, root: Path, kills: int, seed: int) -> Line:
    """Kill a writer inside a transaction whose pages are in the file already; a reader must see the state before it."""
    began = time.monotonic()
    draw = random.Random(seed)
    shutil.copytree(source, root, symlinks=True)
    workspace = Workspace(root)
    before = ground.content(workspace)
    hot, wrong = 0, []
    for _ in range(kills):
        writer = subprocess.Popen(
            [sys.executable, "-c", KILLED_WRITER, str(workspace.database)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(draw.random() * 0.01)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        hot += (root / "experiments.db-journal").exists() and (root / "experiments.db-journal").stat().st_size > 0
        if ground.content(workspace) != before:
            wrong.append("a reader saw a half-written transaction")
    if not hot:
        wrong.append("no kill left a rollback journal behind, so nothing was shown")
    return Line(
        subject=f"{kills} writers killed in TRUNCATE mode",
        measured=f"{hot} hot journals, {len(wrong)} readers that did not recover",
        wrong=tuple(wrong),
        seconds=time.monotonic() - began,
    )


def _queue_and_tag(root: str, worker: int, count: int) -> None:
    workspace = Workspace(Path(root))
    for number in range(count):
        run_id = ground.queue_fake(workspace, steps=2, step_seconds=0.0, wakes_supervisor=False)
        tag(workspace, run_id, f"by-{worker}")
        note(workspace, run_id, f"{worker}/{number}")
        if number % 5 == 0:
            ground.supervise(workspace)


def four_at_once(root: Path, each: int) -> Line:
    """Four processes queue and tag while a supervisor ingests and runs what they queue."""
    began = time.monotonic()
    workspace = Workspace(root)
    context = multiprocessing.get_context("spawn")
    people = [context.Process(target=_queue_and_tag, args=(str(root), worker, each)) for worker in range(4)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    wrong = [f"process {index} ended with {person.exitcode}" for index, person in enumerate(people) if person.exitcode]
    ground.supervise(workspace)

    def rows() -> list[RunRow]:
        with open_reader(workspace) as reader:
            return list(reader.runs())

    def drained() -> bool:
        ground.supervise(workspace)
        return all(row.state is State.FINISHED for row in rows())

    ground.wait_for(drained, "all jobs are done", timeout_seconds=60.0 + 2.0 * each)
    notes = sorted(row.note for row in rows())
    wanted = sorted(f"{worker}/{number}" for worker in range(4) for number in range(each))
    if notes != wanted:
        wrong.append(f"{len(wanted)} notes were written, {len(notes)} runs are there with others")
    wrong += [
        f"run {row.run_id} has tags {row.tags}" for row in rows() if row.tags != (f"by-{row.note.split('/')[0]}",)
    ]
    wrong += [f"run {row.run_id} ended as {row.outcome}" for row in rows() if row.outcome != "completed"]
    return Line(
        subject="4 processes queue and tag at once",
        measured=f"{len(wanted)} runs, {3 * len(wanted)} decisions, {len(wrong)} lost or wrong",
        wrong=tuple(wrong),
        seconds=time.monotonic() - began,
    )
