"""A source's file → its examples, with the bad rows counted or refused; shared by training and evaluation sets.

It decides nothing about tokens: this much can be said of a file without a tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import core.starter
from core.data.convert import check_fields, to_example
from core.data.detect import detect_format
from core.data.examples import Example
from core.data.files import RawRow, read_rows
from core.data.report import PROBLEMS_KEPT
from core.data.versions import DatasetVersion, stamp, version_of
from core.errors import DatasetError

BAD_ROWS = ("refuse", "skip")
BUILTIN = "builtin:"


@dataclass(frozen=True, slots=True)
class Source:
    """One file of rows. `path`: absolute, or `builtin:starter/…`; `weight`: how often an epoch has its rows."""

    path: str
    format: str = "auto"
    fields: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A source's examples in the order of the file. `problems` name the first bad rows (file:line: what)."""

    source: Source
    path: Path
    format: str
    examples: tuple[Example, ...]
    rows_read: int
    rows_bad: int
    problems: tuple[str, ...]
    version: DatasetVersion


def locate(path: str) -> Path:
    """The file that a source's path names.

    Raises:
        DatasetError: an unknown builtin: name, or a relative path (relative to what was the recipe's to say).
    """
    if path.startswith(BUILTIN):
        return core.starter.resolve(path.removeprefix(BUILTIN))
    if not Path(path).is_absolute():
        raise DatasetError(f"{path} is a relative path", try_this="give the path from the root")
    return Path(path)


def load_source(source: Source, bad_rows: str = "refuse") -> Loaded:
    """Read, detect and convert a source's rows. `bad_rows`: refuse (the first ones are an error) or skip (counted).

    Raises:
        DatasetError: the file can't be read, is empty, has bad rows to be refused, or a format that can't be told.
        ValueError: an unknown `bad_rows`.
    """
    if bad_rows not in BAD_ROWS:
        raise ValueError(f"bad_rows is one of {', '.join(BAD_ROWS)}, not {bad_rows}")
    path = locate(source.path)
    before = stamp(path)
    rows = list(read_rows(path))
    if not rows:
        raise DatasetError(f"{path} holds no rows", try_this="check that it is the right file")
    format = source.format
    if format == "auto":
        format = detect_format(rows, source.fields, file=str(path))
    check_fields(format, source.fields)
    examples, problems, bad = _convert(path, rows, format, source.fields)
    if bad and bad_rows == "refuse":
        raise _refusal(path, problems, bad)
    if not examples:
        raise DatasetError(f"{path} has no usable row: all {bad} are bad", why=problems[0])
    version = version_of(path, len(rows), before=before)
    return Loaded(source, path, format, tuple(examples), len(rows), bad, tuple(problems), version)


def _convert(
    path: Path, rows: Sequence[RawRow], format: str, fields: Mapping[str, str]
) -> tuple[list[Example], list[str], int]:
    examples: list[Example] = []
    problems: list[str] = []
    bad = 0
    for row in rows:
        try:
            examples.append(to_example(row, format, fields, file=str(path)))
        except DatasetError as error:
            bad += 1
            if len(problems) < PROBLEMS_KEPT:
                problems.append(str(error))
    return examples, problems, bad


def _refusal(path: Path, problems: Sequence[str], bad: int) -> DatasetError:
    others = f"; {bad - 1} more rows of this file are bad" if bad > 1 else ""
    return DatasetError(
        f"{problems[0]}{others}",
        try_this="mend the file, or set data.bad_rows: skip to leave such rows out (they are counted)",
    )
