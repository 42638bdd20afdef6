"""Line files become rows: the journal, every run's supervisor.jsonl and events.jsonl, each line exactly once.

One process at a time does this; it holds the ingest lock. Offsets move in the same transaction as the rows, so that a
kill at any point repeats or loses nothing. This module must not write a line file, and must not judge a run.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from core.locks import FileLock
from core.paths import RunPaths, Workspace
from core.store.failures import translated
from core.store.machine_fold import apply_machine_record
from core.store.schema import FROM_EVENTS, FROM_MACHINE, FROM_PEOPLE
from core.store.state_ingest import Tally, ingest_states
from core.store.streams import (
    BEHIND,
    CHUNK_BYTES,
    EVENTS,
    MACHINE,
    Chunk,
    Position,
    ReplacedError,
    read_chunk,
    size_of,
)
from core.store.worker_fold import WorkerFold
from core.store.writer import Writer, open_writer

_BYTES_PER_RUN = 4096  # what a run costs beyond its lines, so that a transaction stays short over many small runs

__all__ = ["IngestReport", "Writer", "ingest", "ingest_once", "open_writer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What one call did: new lines, the runs they changed, lines that could not be used."""

    lines: int
    runs_changed: frozenset[str]
    damaged_lines: int
    refused_lines: int


def ingest_once(workspace: Workspace) -> bool:
    """Take in what is new if no other process holds the ingest lock; False where one does (it ingests itself).

    Raises:
        StoreNewerError, StoreError, WorkspaceError: the database can't be written.
    """
    lock = FileLock(workspace.ingest_lock)
    if not lock.try_acquire():
        return False
    with lock, open_writer(workspace, sweep=False) as writer:
        ingest(writer, workspace)
    return True


def ingest(writer: Writer, workspace: Workspace) -> IngestReport:
    """Take in all whole new lines; calling it again at once changes nothing.

    Raises:
        StoreError, StoreBusyError, WorkspaceError: a transaction failed (full disk); the next call continues there.
    """
    tally = Tally()
    with translated(workspace.database):
        try:
            looked_at = ingest_states(writer, workspace, tally)
        except ReplacedError:
            # a state depends on every earlier line of the journal and of the moves: begin again
            _forget_everything(writer)
            tally = Tally()
            looked_at = ingest_states(writer, workspace, tally)
        _ingest_runs(writer, workspace, looked_at, tally)
    return IngestReport(
        lines=tally.lines, runs_changed=frozenset(tally.runs), damaged_lines=tally.damaged, refused_lines=tally.refused
    )


def _ingest_runs(writer: Writer, workspace: Workspace, run_ids: list[str], tally: Tally) -> None:
    """Read what workers and the machine said, some megabytes to a transaction, over as many runs as that takes."""
    waiting = deque(run_id for run_id in run_ids if _has_news(writer, workspace, run_id))
    while waiting:
        with writer.transaction():
            budget = CHUNK_BYTES
            while waiting and budget > 0:
                used = _ingest_part(writer, workspace, waiting[0], tally)
                budget -= used + _BYTES_PER_RUN
                if used == 0 or not _has_news(writer, workspace, waiting[0], is_again=True):
                    waiting.popleft()
    if writer.positions.get("", BEHIND).offset:
        with writer.transaction():
            writer.positions.put(Position(run_id="", stream=BEHIND))


def _has_news(writer: Writer, workspace: Workspace, run_id: str, *, is_again: bool = False) -> bool:
    paths = workspace.run(run_id)
    return (
        size_of(paths.events) != writer.positions.get(run_id, EVENTS).offset
        or size_of(paths.supervisor) != writer.positions.get(run_id, MACHINE).offset
        or (not is_again and writer.environments.has_changed(run_id, paths.environment))
    )


def _ingest_part(writer: Writer, workspace: Workspace, run_id: str, tally: Tally) -> int:
    """Read at most a chunk of each of a run's streams; returns how many bytes that was."""
    row = writer.connection.execute("SELECT run_key FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        return 0
    paths, run_key = workspace.run(run_id), int(row[0])
    used = _ingest_machine(writer, paths, run_key, tally)
    from_events = _ingest_events(writer, paths, run_key, tally)
    if from_events:
        writer.environments.watch(run_id)
    if writer.environments.has_changed(run_id, paths.environment):
        writer.environments.read(run_id, run_key, paths.environment)
        tally.runs.add(run_id)
    if used or from_events:
        tally.runs.add(run_id)
    return used + from_events


def _ingest_machine(writer: Writer, paths: RunPaths, run_key: int, tally: Tally) -> int:
    position = writer.positions.get(paths.run_id, MACHINE)
    try:
        chunk = read_chunk(paths.supervisor, position)
    except ReplacedError:
        return 0  # the moves of the same file notice that too, at the next poll, and begin again
    if chunk.position == position:
        return 0
    refused = sum(not apply_machine_record(writer.connection, run_key, record) for record in chunk.records)
    return _step_on(writer, position, chunk, refused, tally)


def _ingest_events(writer: Writer, paths: RunPaths, run_key: int, tally: Tally) -> int:
    position = writer.positions.get(paths.run_id, EVENTS)
    try:
        chunk = read_chunk(paths.events, position)
    except ReplacedError:
        _forget_events(writer, paths.run_id, run_key)
        position = Position(run_id=paths.run_id, stream=EVENTS)
        chunk = read_chunk(paths.events, position)
    if chunk.position == position:
        return 0
    fold = WorkerFold(writer.connection, run_key, paths.run_id, writer.keys)
    for record in chunk.records:
        fold.apply(record)
    fold.flush()
    return _step_on(writer, position, chunk, fold.refused, tally)


def _step_on(writer: Writer, before: Position, chunk: Chunk, refused: int, tally: Tally) -> int:
    tally.lines += chunk.lines
    tally.damaged += chunk.position.damaged_lines - before.damaged_lines
    tally.refused += refused
    writer.positions.put(replace(chunk.position, refused_lines=before.refused_lines + refused))
    return chunk.position.offset - before.offset


def _forget_events(writer: Writer, run_id: str, run_key: int) -> None:
    """Drop what a replaced events.jsonl said: after a power cut a database can be ahead of an unsynced file."""
    for table in FROM_EVENTS:
        writer.connection.execute(f"DELETE FROM {table} WHERE run_key = ?", (run_key,))
    writer.positions.put(Position(run_id=run_id, stream=EVENTS))


def _forget_everything(writer: Writer) -> None:
    with writer.transaction():
        for table in (*FROM_EVENTS, *FROM_MACHINE, *FROM_PEOPLE, "runs", "recipes", "removed_runs", "ingested_streams"):
            writer.connection.execute(f"DELETE FROM {table}")
    writer.positions.forget()
    writer.discovery.sweep()
