"""Reading a line file from where the last ingest stopped: whole lines only, each byte once, no line lost.

Knows offsets and checksums, must not know tables or what an event means. supervisor.jsonl is read as two streams,
`moves` and `machine`: states must be folded in the journal's order, hardware samples, of which there are a thousand
times as many, need not.
"""

from __future__ import annotations

import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.events import Record, decode_line

CHUNK_BYTES = 4 * 1024 * 1024
_MOVED = b'"type":"Moved"'  # inside a JSON string the quotes would be escaped, so nobody's text can contain this

JOURNAL, MOVES, MACHINE, EVENTS = "journal", "moves", "machine", "events"
BEHIND = "behind"
"""Not a file: its offset is 1 while states were folded and the runs' other lines may not have been read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a stream was read. `tail_*` describe the last line read, to notice that a file was replaced."""

    run_id: str
    stream: str
    offset: int = 0
    last_seq: int = 0
    tail_bytes: int = 0
    tail_crc: int = 0
    damaged_lines: int = 0
    refused_lines: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """New records of a stream with the position behind them; `lines` counts all new lines of the stream."""

    records: tuple[Record, ...]
    position: Position
    lines: int = 0
    is_last: bool = True


class ReplacedError(Exception):
    """The file is not the one that was read before: it shrank, or the last line read has changed."""


def is_move(line: bytes) -> bool:
    """Whether a line of supervisor.jsonl is a move between states."""
    return _MOVED in line


def size_of(path: Path) -> int:
    """Bytes of a line file; 0 where it is missing or not a plain file (a pipe would block for ever)."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def read_chunk(path: Path, position: Position, chunk_bytes: int = CHUNK_BYTES) -> Chunk:
    """The next whole lines behind `position`, at most about `chunk_bytes` of them.

    Lines whose seq is not above the last one read are skipped: they were applied before.

    Raises:
        ReplacedError: the file shrank or was replaced since `position`.
    """
    size = size_of(path)
    if size == position.offset or size == 0:
        return Chunk((), position)  # a file that is gone keeps what was read from it
    if size < position.offset:
        raise ReplacedError
    data, is_last = _new_bytes(path, position, chunk_bytes)
    if not data:
        return Chunk((), position)
    return _decode(data, position, is_last)


def _new_bytes(path: Path, position: Position, chunk_bytes: int) -> tuple[bytes, bool]:
    with path.open("rb") as file:
        file.seek(position.offset - position.tail_bytes)
        tail = file.read(position.tail_bytes)
        if len(tail) != position.tail_bytes or zlib.crc32(tail) != position.tail_crc:
            raise ReplacedError
        data = file.read(chunk_bytes)
        while len(data) % chunk_bytes == 0 and data and b"\n" not in data:  # one line longer than a chunk
            more = file.read(chunk_bytes)
            if not more:
                break
            data += more
    return data[: data.rfind(b"\n") + 1], len(data) < chunk_bytes


def _decode(data: bytes, position: Position, is_last: bool) -> Chunk:
    wanted = _WANTED[position.stream]
    records: list[Record] = []
    lines = damaged = 0
    last_seq = position.last_seq
    whole = data[:-1].split(b"\n")
    for line in whole:
        if not line or not wanted(line):
            continue
        lines += 1
        try:
            record = decode_line(line)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            damaged += 1  # hostile or damaged: a valid checksum promises nothing about the shape
            continue
        if record.seq > last_seq:
            last_seq = record.seq
            records.append(record)
    tail = whole[-1] + b"\n"
    moved = replace(
        position,
        offset=position.offset + len(data),
        last_seq=last_seq,
        tail_bytes=len(tail),
        tail_crc=zlib.crc32(tail),
        damaged_lines=position.damaged_lines + damaged,
    )
    return Chunk(tuple(records), moved, lines, is_last)


_WANTED: dict[str, Callable[[bytes], bool]] = {
    JOURNAL: lambda line: True,
    MOVES: is_move,
    MACHINE: lambda line: not is_move(line),
    EVENTS: lambda line: True,
}
