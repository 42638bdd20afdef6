"""A growing log as the lines that a person should see.

Progress bars overwrite their line with carriage returns: the last writing counts. A line is capped at 64 KiB, bytes
that are not UTF-8 are replaced. It reads in blocks and must not print.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

LINE_LIMIT_BYTES = 64 * 1024
_BLOCK_BYTES = 256 * 1024


class LineReader:
    """Reads a growing file by lines from byte `offset` on; one without its end waits until `to_the_end` is asked."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self._offset = offset
        self._pending = b""

    def read(self, *, to_the_end: bool) -> Iterator[str]:
        """The lines that were added since the last call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                yield from self._lines(file)
        except FileNotFoundError:
            return
        if to_the_end and self._pending:
            yield clean_line(self._pending)
            self._pending = b""

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        while block := file.read(_BLOCK_BYTES):
            self._offset += len(block)
            *whole, rest = (self._pending + block).split(b"\n")
            self._pending = shorten(rest)
            for line in whole:
                yield clean_line(line)


def shorten(line: bytes) -> bytes:
    """A line that has no end yet, without the writings that a carriage return has overwritten, capped."""
    if len(line) <= LINE_LIMIT_BYTES:
        return line
    last = line[line.rfind(b"\r", 0, len(line) - 1) + 1 :]
    return last[: LINE_LIMIT_BYTES + 1]


def clean_line(line: bytes) -> str:
    """One line as a person should see it: the last writing of an overwritten line, valid text, at most 64 KiB."""
    last = line.rstrip(b"\r").rpartition(b"\r")[2]
    cut = last[:LINE_LIMIT_BYTES].decode("utf-8", "replace")
    return cut + "…" if len(last) > LINE_LIMIT_BYTES else cut
