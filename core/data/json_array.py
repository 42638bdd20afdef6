"""Rows of a .json file, streamed element by element, because `json.load` of a large array takes many times its size.

A broken element ends the reading with a `DatasetError`: past it nobody can tell where the next row begins, and a
policy of skipping bad rows would silently lose the rest of the file.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from core.data.files import Json, RawRow, check_object, open_bytes, parse_object, read_json_lines
from core.errors import DatasetError
from core.text import safe_line

CHUNK_BYTES = 1 << 20
LONGEST_LINE_BYTES = 1 << 28
SPLIT_NAMES = frozenset({"train", "test", "validation", "valid", "val", "dev", "eval", "data", "rows", "examples"})
WHITESPACE = " \t\r\n"
DECODER = json.JSONDecoder()


def read_json(path: Path) -> Iterator[RawRow]:
    """The objects of a JSON array; a .json file that in truth holds JSON lines is read as such.

    Raises:
        DatasetError: it is one object (of splits, or printed over several lines), or broken.
    """
    with open_bytes(path) as handle:
        is_array = _first_character(handle) == b"["
    if is_array:
        yield from _read_array(path)
        return
    first, more = _first_line(path)
    value, _ = parse_object(first)
    if value is not None and (more or not _looks_like_splits(value)):
        yield from read_json_lines(path)
    elif first:
        splits = safe_line(", ".join(sorted(value)), 200) if value else ""
        raise DatasetError(
            f"{path} is not a list of rows" + (f" but one object with the keys {splits}" if splits else ""),
            why="finetui reads a JSON array of objects, or one object a line",
            try_this="write each split to a file of its own",
        )


def _first_character(handle: IO[bytes]) -> bytes:
    """The first byte that is not white space, b"" in an empty file."""
    while block := handle.read(4096):
        if stripped := block.lstrip():
            return stripped[:1]
    return b""


def _first_line(path: Path) -> tuple[str, bool]:
    """The first line that is not empty, up to a limit, and whether another follows."""
    first = ""
    with open_bytes(path) as handle:
        while raw := handle.readline(LONGEST_LINE_BYTES):
            stripped = raw.strip()
            if stripped and first:
                return first, True
            if stripped:
                first = stripped.decode(errors="replace")
    return first, False


def _looks_like_splits(value: dict[str, Json]) -> bool:
    return set(value) <= SPLIT_NAMES and all(isinstance(part, list | dict) for part in value.values())


class _Window:
    """The part of the text that is not consumed yet, with the line number of its first character."""

    def __init__(self, path: Path, handle: IO[bytes]) -> None:
        self.path = path
        self.line = 1
        self.text = ""
        self.at = 0
        self.ended = False
        self._handle = handle
        # bytes that are not UTF-8 become surrogates, so that only the row that holds them is bad
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def grow(self) -> None:
        """Read on: at least as much as is held, so that a large element costs linear time."""
        raw = self._handle.read(max(CHUNK_BYTES, len(self.text) - self.at))
        self.ended = not raw
        self.text = self.text[self.at :] + self._decode.decode(raw, final=self.ended)
        self.at = 0

    def peek(self) -> str:
        """The next character that is not white space, or "" at the end of the file."""
        while True:
            while self.at < len(self.text):
                character = self.text[self.at]
                if character not in WHITESPACE:
                    return character
                self.line += character == "\n"
                self.at += 1
            if self.ended:
                return ""
            self.grow()

    def take(self, expected: str) -> bool:
        if self.peek() != expected:
            return False
        self.at += 1
        return True

    def element(self) -> tuple[Json, str]:
        """The next JSON value and its text."""
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
            except (json.JSONDecodeError, RecursionError) as error:
                if self.ended or isinstance(error, RecursionError) or not _may_be_cut(error, len(self.text)):
                    raise self.broken(error) from error
            else:
                if end < len(self.text) or self.ended:  # a number at the very end may go on
                    raw = self.text[self.at : end]
                    self.at = end
                    return value, raw
            self.grow()

    def broken(self, error: Exception | str) -> DatasetError:
        line = self.line
        why = str(error)
        if isinstance(error, json.JSONDecodeError):
            line += self.text.count("\n", self.at, error.pos)
            why = error.msg
        return DatasetError(
            f"{self.path}:{line}: broken JSON",
            why=f"{why}; the rows after it can't be told apart",
            try_this="mend the line, or save the rows as .jsonl, where one bad line can be skipped",
        )


def _may_be_cut(error: json.JSONDecodeError, length: int) -> bool:
    """Whether the error may only come from the window's end (an escape is at most 12 characters long)."""
    return error.msg.startswith("Unterminated string") or error.pos >= length - 12


def _read_array(path: Path) -> Iterator[RawRow]:
    with open_bytes(path) as handle:
        window = _Window(path, handle)
        window.take("[")
        if window.take("]"):
            return
        while True:
            if not window.peek():
                raise window.broken("the file ends inside the array")
            line = window.line
            value, raw = window.element()
            window.line += raw.count("\n")
            yield _array_row(line, value, raw)
            if window.take("]"):
                break
            if not window.take(","):
                raise window.broken("expected a comma or the end of the array")
        if window.peek():
            raise window.broken("text after the end of the array")


def _array_row(line: int, value: Json, raw: str) -> RawRow:
    try:
        raw.encode()
    except UnicodeEncodeError:
        return RawRow(line, None, "invalid UTF-8")
    checked, problem = check_object(value, raw)
    return RawRow(line, checked, problem)
