"""The journal and all moves, merged into one order and folded into states, in one transaction.

The order makes states reproducible: before a journal line with seq s is applied, all moves with a `journal_seq` below s
are. Only the holder of the ingest lock makes moves, so a move that is still unread is never older than that. This
module must not read what workers say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from core.events import Job, Moved, Record, Removed, Resumed, RunQueued
from core.paths import RUN_ID, Workspace
from core.store.discovery import job_to_import
from core.store.state_fold import Refused, StateFold
from core.store.streams import BEHIND, JOURNAL, MOVES, Chunk, Position, read_chunk, size_of
from core.store.writer import Writer


@dataclass(slots=True)
class Tally:
    """What one ingest did so far."""

    lines: int = 0
    damaged: int = 0
    refused: int = 0
    runs: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class PendingMoves:
    """The unread moves of one run, in file order."""

    run_id: str
    position: Position
    records: tuple[Record, ...]


def ingest_states(writer: Writer, workspace: Workspace, tally: Tally) -> list[str]:
    """Fold new journal lines, moves and found folders; returns the runs whose other streams may have grown.

    Raises:
        ReplacedError: the journal or a supervisor.jsonl is not the file that was read before.
    """
    # folders first: one that has a worker's lines by now had its line in the journal before
    folders = writer.discovery.unknown_folders()
    found_jobs = [job for run_id in folders if (job := job_to_import(workspace.run(run_id))) is not None]
    known = writer.positions.get("", JOURNAL)
    journal = _read_all(workspace, known, tally)
    queued = [record.event.run_id for record in journal.records if isinstance(record.event, RunQueued)]
    resumed = [record.event.run_id for record in journal.records if isinstance(record.event, Resumed)]
    journalled = set(filter(_is_run_id, queued))
    jobs = [job for job in found_jobs if job.queued.run_id not in journalled]
    new = [*queued, *resumed, *(job.queued.run_id for job in jobs)]
    if writer.discovery.is_sweep_due:
        writer.positions.load_all()
    looked_at = list(dict.fromkeys([*writer.discovery.watched(), *filter(_is_run_id, new)]))
    moves = [found for run_id in looked_at if (found := _read_moves(writer, workspace, run_id, tally)) is not None]
    if moves or jobs or journal.position != known:
        with writer.transaction():
            _fold(writer, workspace, journal, jobs, moves, tally)
    return looked_at


def _is_run_id(text: object) -> bool:
    return isinstance(text, str) and RUN_ID.fullmatch(text) is not None


def _read_all(workspace: Workspace, start: Position, tally: Tally) -> Chunk:
    path = workspace.journal if start.stream == JOURNAL else workspace.run(start.run_id).supervisor
    records: list[Record] = []
    position = start
    while True:
        chunk = read_chunk(path, position)
        records.extend(chunk.records)
        tally.lines += chunk.lines
        position = chunk.position
        if chunk.is_last:
            tally.damaged += position.damaged_lines - start.damaged_lines
            return Chunk(tuple(records), position)


def _read_moves(writer: Writer, workspace: Workspace, run_id: str, tally: Tally) -> PendingMoves | None:
    known = writer.positions.get(run_id, MOVES)
    if size_of(workspace.run(run_id).supervisor) == known.offset:
        return None
    chunk = _read_all(workspace, known, tally)
    return None if chunk.position == known else PendingMoves(run_id, chunk.position, chunk.records)


def _fold(
    writer: Writer,
    workspace: Workspace,
    journal: Chunk,
    jobs: Iterable[Job],
    moves: list[PendingMoves],
    tally: Tally,
) -> None:
    def recipe_text(run_id: str) -> str | None:
        try:
            return workspace.run(run_id).recipe.read_text("utf-8", "replace")
        except (OSError, ValueError):
            return None

    fold = StateFold(writer.connection, recipe_text)
    for job in jobs:
        try:
            fold.import_run(job)
            tally.runs.add(job.queued.run_id)
        except Refused:
            tally.refused += 1
    first_resumed = _first_resumed_attempts(writer, journal.records, moves)
    refused: dict[str, int] = {}
    for run_id, record in merged(journal.records, moves, first_resumed):
        try:
            if run_id:
                fold.apply_move(run_id, record)
            changed = run_id or fold.apply_journal(record)
        except Refused:
            refused[run_id] = refused.get(run_id, 0) + 1
            continue
        tally.runs.add(changed)
        if isinstance(record.event, Removed):
            writer.positions.drop(changed)
    tally.refused += sum(refused.values())
    _put_positions(writer, journal.position, moves, refused)


def merged(
    journal: Iterable[Record], moves: Iterable[PendingMoves], first_resumed: dict[str, float]
) -> list[tuple[str, Record]]:
    """Journal lines (with an empty run id) and moves in the order of their causes.

    `first_resumed` is given for imported runs: their moves of earlier attempts name lines of another journal, and come
    first; it is the attempt that this journal resumed first (infinity where it resumed none).
    """
    keyed: list[tuple[int, int, str, int, Record]] = [(record.seq, 0, "", 0, record) for record in journal]
    for pending in moves:
        behind = float("inf")
        resumed = first_resumed.get(pending.run_id)
        for index, record in reversed(list(enumerate(pending.records))):
            is_foreign = resumed is not None and record.attempt < resumed
            # a move never comes after one that stands behind it in its file
            behind = min(behind, 0 if is_foreign else _journal_seq(record))
            keyed.append((int(behind), 1, pending.run_id, index, record))
    keyed.sort(key=lambda item: item[:4])
    return [(run_id, record) for _, _, run_id, _, record in keyed]


def _journal_seq(record: Record) -> int:
    event = record.event
    return event.journal_seq if isinstance(event, Moved) and isinstance(event.journal_seq, int) else 0


def _first_resumed_attempts(
    writer: Writer, journal: Iterable[Record], moves: Iterable[PendingMoves]
) -> dict[str, float]:
    run_ids = [pending.run_id for pending in moves]
    first = {run_id: float("inf") for run_id in run_ids if _is_imported(writer, run_id)}
    for run_id in first:
        row = writer.connection.execute(
            """SELECT min(transitions.attempt) FROM transitions JOIN runs USING (run_key)
               WHERE run_id = ? AND source = 'journal' AND to_state = 'queued' AND from_state <> 'held'""",
            (run_id,),
        ).fetchone()
        if row[0] is not None:
            first[run_id] = row[0]
    for record in journal:
        if isinstance(record.event, Resumed) and record.event.run_id in first:
            first[record.event.run_id] = min(first[record.event.run_id], record.event.attempt)
    return first


def _is_imported(writer: Writer, run_id: str) -> bool:
    row = writer.connection.execute("SELECT imported FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return row is not None and bool(row[0])


def _put_positions(writer: Writer, journal: Position, moves: list[PendingMoves], refused: dict[str, int]) -> None:
    writer.positions.put(Position(run_id="", stream=BEHIND, offset=1))
    writer.positions.put(replace(journal, refused_lines=journal.refused_lines + refused.get("", 0)))
    for pending in moves:
        known = writer.connection.execute("SELECT 1 FROM runs WHERE run_id = ?", (pending.run_id,)).fetchone()
        if known is not None:
            count = pending.position.refused_lines + refused.get(pending.run_id, 0)
            writer.positions.put(replace(pending.position, refused_lines=count))
