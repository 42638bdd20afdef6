"""Line files become rows: the journal, every run's supervisor.jsonl and events.jsonl, each line exactly once.

One process at a time does this; it holds the ingest lock. Offsets move in the same transaction as the rows, so that a
kill at any point repeats or loses nothing. This module must not write a line file, and must not judge a run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.locks import FileLock
from core.paths import Workspace
from core.store.failures import translated
from core.store.machine_fold import apply_machine_record
from core.store.schema import FROM_EVENTS, FROM_MACHINE, FROM_PEOPLE
from core.store.state_ingest import Tally, ingest_states
from core.store.streams import EVENTS, MACHINE, ReplacedError, read_chunk, size_of
from core.store.worker_fold import WorkerFold
from core.store.writer import Writer, open_writer

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
    with lock, open_writer(workspace) as writer:
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
        for run_id in looked_at:
            _ingest_run(writer, workspace, run_id, tally)
    return IngestReport(
        lines=tally.lines, runs_changed=frozenset(tally.runs), damaged_lines=tally.damaged, refused_lines=tally.refused
    )


def _ingest_run(writer: Writer, workspace: Workspace, run_id: str, tally: Tally) -> None:
    paths = workspace.run(run_id)
    machine_grew = size_of(paths.supervisor) != writer.positions.get(run_id, MACHINE).offset
    events_grew = size_of(paths.events) != writer.positions.get(run_id, EVENTS).offset
    if not (machine_grew or events_grew or writer.environments.is_watched(run_id)):
        return
    row = writer.connection.execute("SELECT run_key FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        return
    run_key = int(row[0])
    lines_before = tally.lines
    if machine_grew:
        _ingest_machine(writer, workspace, run_id, run_key, tally)
    if events_grew:
        try:
            _ingest_events(writer, workspace, run_id, run_key, tally)
        except ReplacedError:
            _forget_events(writer, run_id, run_key)
            _ingest_events(writer, workspace, run_id, run_key, tally)
    if writer.environments.needs_reading(run_id, paths.environment, had_events=events_grew):
        with writer.transaction():
            writer.environments.read(run_id, run_key, paths.environment)
        tally.runs.add(run_id)
    if tally.lines != lines_before:
        tally.runs.add(run_id)


def _ingest_machine(writer: Writer, workspace: Workspace, run_id: str, run_key: int, tally: Tally) -> None:
    path = workspace.run(run_id).supervisor
    position = writer.positions.get(run_id, MACHINE)
    while True:
        try:
            chunk = read_chunk(path, position)
        except ReplacedError:
            # the moves of the same file were read whole just now: the next poll sees the new file from its beginning
            return
        if chunk.position == position:
            return
        with writer.transaction():
            refused = sum(not apply_machine_record(writer.connection, run_key, record) for record in chunk.records)
            _count(tally, chunk.lines, chunk.position.damaged_lines - position.damaged_lines, refused)
            position = replace(chunk.position, refused_lines=position.refused_lines + refused)
            writer.positions.put(position)
        if chunk.is_last:
            return


def _ingest_events(writer: Writer, workspace: Workspace, run_id: str, run_key: int, tally: Tally) -> None:
    path = workspace.run(run_id).events
    position = writer.positions.get(run_id, EVENTS)
    while True:
        chunk = read_chunk(path, position)
        if chunk.position == position:
            return
        with writer.transaction():
            fold = WorkerFold(writer.connection, run_key, run_id, writer.keys)
            for record in chunk.records:
                fold.apply(record)
            fold.flush()
            _count(tally, chunk.lines, chunk.position.damaged_lines - position.damaged_lines, fold.refused)
            position = replace(chunk.position, refused_lines=position.refused_lines + fold.refused)
            writer.positions.put(position)
        if chunk.is_last:
            return


def _count(tally: Tally, lines: int, damaged: int, refused: int) -> None:
    tally.lines += lines
    tally.damaged += damaged
    tally.refused += refused


def _forget_events(writer: Writer, run_id: str, run_key: int) -> None:
    """Drop what a replaced events.jsonl said: after a power cut a database can be ahead of an unsynced file."""
    with writer.transaction():
        for table in FROM_EVENTS:
            writer.connection.execute(f"DELETE FROM {table} WHERE run_key = ?", (run_key,))
        writer.connection.execute("DELETE FROM ingested_streams WHERE run_id = ? AND stream = ?", (run_id, EVENTS))
    writer.positions.reload()


def _forget_everything(writer: Writer) -> None:
    with writer.transaction():
        for table in (*FROM_EVENTS, *FROM_MACHINE, *FROM_PEOPLE, "runs", "recipes", "removed_runs", "ingested_streams"):
            writer.connection.execute(f"DELETE FROM {table}")
    writer.positions.reload()
    writer.discovery.sweep()
