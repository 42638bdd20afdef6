"""Append events to a line file and read them back: the one way in which a fact about a run reaches the disk.

A line is one `write()`; what `append` returned is on its way to the disk whatever happens to the process. This module
must not know what an event means, nor the database. Each file has one writer at a time: its owner holds a lock.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType

from core.events import Event, Scan, scan
from core.events.lines import decode_line, encode_event

SYNC_EVERY_SECONDS = 5.0
_BLOCK_BYTES = 64 * 1024


class Spool:
    """The writing end of one line file. Make it with `Spool.open`; it is not safe for several threads."""

    def __init__(self, path: Path, descriptor: int, attempt: int, last_seq: int, end: int) -> None:
        self.path = path
        self.attempt = attempt
        self._descriptor = descriptor
        self._last_seq = last_seq
        self._end = end
        self._synced_end = end
        self._has_rest = False
        self._synced_at = time.monotonic()

    @classmethod
    def open(cls, path: Path, attempt: int) -> Spool:
        """Open `path` for appending, creating it with mode 0600, and cut off a torn last line.

        A torn line was never acknowledged, so nothing that anybody relies on is lost; numbering goes on behind the
        last whole, valid line.

        Raises:
            OSError: the file can't be opened, or is a link.
        """
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if is_new:
                sync_folder(path.parent)
            end, last_seq = _find_end(descriptor)
            if end != os.fstat(descriptor).st_size:
                os.ftruncate(descriptor, end)
        except OSError:
            os.close(descriptor)
            raise
        return cls(path, descriptor, attempt, last_seq, end)

    @property
    def last_seq(self) -> int:
        """The number of the last line, 0 for an empty file."""
        return self._last_seq

    def append(self, event: Event) -> int:
        """Write one event and return its number.

        Raises:
            OSError: the disk is full or gone; nothing was written, and the next call may try again.
            ValueError: the event holds a value that JSON can't carry.
        """
        seq = self._last_seq + 1
        self._write(encode_event(event, seq=seq, attempt=self.attempt, ts=time.time()))
        if time.monotonic() - self._synced_at >= SYNC_EVERY_SECONDS:
            self.sync()
        return seq

    def append_all(self, events: tuple[Event, ...], at: tuple[float, ...] | None = None) -> tuple[int, ...]:
        """Write several events by one `write()` and return their numbers.

        `at` says when each happened (seconds since 1970), for what was recorded elsewhere; None means now.

        Raises:
            OSError: as `append`; whole lines that were written before the disk was full stay, as a reader may have
                seen them.
            ValueError: as `append`.
        """
        times = (time.time(),) * len(events) if at is None else at
        numbers = tuple(range(self._last_seq + 1, self._last_seq + 1 + len(events)))
        data = b"".join(
            encode_event(event, seq=seq, attempt=self.attempt, ts=ts)
            for seq, ts, event in zip(numbers, times, events, strict=True)
        )
        self._write(data)
        if time.monotonic() - self._synced_at >= SYNC_EVERY_SECONDS:
            self.sync()
        return numbers

    def _write(self, data: bytes) -> None:
        if self._has_rest:
            os.ftruncate(self._descriptor, self._end)  # of a write that failed and could not be undone then
            self._has_rest = False
        written = 0
        try:
            while written < len(data):  # a disk that fills up writes a part, then says so
                written += os.write(self._descriptor, data[written:])
        except OSError:
            self._keep(data[: data.rfind(b"\n", 0, written) + 1])
            self._has_rest = True
            os.ftruncate(self._descriptor, self._end)
            self._has_rest = False
            raise
        self._keep(data)

    def _keep(self, lines: bytes) -> None:
        self._end += len(lines)
        self._last_seq += lines.count(b"\n")

    def sync(self) -> None:
        """Wait until all lines are on the disk.

        Raises:
            OSError: the disk failed.
        """
        self._synced_at = time.monotonic()
        if self._synced_end != self._end:
            os.fdatasync(self._descriptor)
            self._synced_end = self._end

    def close(self) -> None:
        """Sync and close; a second call does nothing."""
        if self._descriptor >= 0:
            try:
                self.sync()
            finally:
                os.close(self._descriptor)
                self._descriptor = -1

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def tail(path: Path, offset: int) -> Scan:
    """The whole lines of `path` from byte `offset` on; a missing file reads as empty."""
    return scan(read_from(path, offset), offset)


def read_from(path: Path, offset: int) -> bytes:
    """The bytes of `path` from `offset` on, torn tail included; empty where the file is missing."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except FileNotFoundError:
        return b""


def last_line(path: Path, max_characters: int = 300) -> str:
    """The last line of a log that is not blank, cut; empty where there is none. A bare carriage return ends a line."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 8192))
            lines = file.read().decode("utf-8", "replace").replace("\r", "\n").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:max_characters] for line in reversed(lines) if line.strip()), "")


def _find_end(descriptor: int) -> tuple[int, int]:
    """Where the last whole line ends, and the number of the last valid line; reads backwards by growing blocks."""
    size = os.fstat(descriptor).st_size
    wanted = _BLOCK_BYTES
    while True:
        start = max(0, size - wanted)
        data = os.pread(descriptor, size - start, start)
        end = start + data.rfind(b"\n") + 1
        lines = data[: end - start].split(b"\n")[:-1]
        if start:
            lines = lines[1:]  # the block begins within a line
        for line in reversed(lines):
            try:
                return end, decode_line(line).seq
            except ValueError:
                continue
        if start == 0:
            return end, 0
        wanted *= 4


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk: a new or renamed file is not, before that.

    Raises:
        OSError: the disk failed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
