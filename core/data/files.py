"""Rows out of files, one at a time, because a training file may be larger than memory and one bad line must not hide.

A line that can't be read becomes a `RawRow` with an error and its line number; a file that can't be read at all (a
missing file, an unknown ending, a broken archive) is a `DatasetError`.  What a row means is decided in convert.py.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias, cast

from core.errors import DatasetError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Row: TypeAlias = dict[str, Json] | str

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
TEXT_PROBE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it stands in the file; `line` is 1-based (in Parquet the row's number).

    Exactly one of `data` (an object, or a string in plain text files) and `error` (one phrase) is set.
    """

    line: int
    data: Row | None
    error: str | None = None


def read_rows(path: Path) -> Iterator[RawRow]:
    """The rows of a .jsonl, .ndjson, .json, .csv, .tsv, .parquet or .txt file, or of such a text file in .gz.

    A plain text file gives its paragraphs (parted by empty lines); one without empty lines gives its lines.

    Raises:
        DatasetError: the file is missing, unreadable, of an unknown kind, or broken in a way that hides later rows.
    """
    reader = _reader_for(path)
    return _translate_errors(path, reader)


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked where the name ends in .gz, without a UTF-8 byte order mark.

    Raises:
        DatasetError: it is UTF-16.
        OSError: it can't be opened.
    """
    is_packed = path.suffix.lower() == ".gz"
    handle = cast(IO[bytes], gzip.open(path, "rb") if is_packed else path.open("rb"))  # noqa: SIM115 - given away
    start = handle.read(3)
    if start[:2] in UTF16_MARKS:
        handle.close()
        raise DatasetError(f"{path} is encoded in UTF-16", try_this="save it as UTF-8")
    handle.seek(3 if start == codecs.BOM_UTF8 else 0)
    return handle


def parse_object(raw: str, what: str = "the line") -> tuple[dict[str, Json] | None, str | None]:
    """(object, None) of a JSON text, or (None, why it is not usable)."""
    try:
        value = json.loads(raw)
    except RecursionError:
        return None, f"{what} is nested too deeply"
    except ValueError as error:
        reason = f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else str(error)
        return None, f"broken JSON: {reason}"
    return check_object(value, raw)


def check_object(value: Json, raw: str) -> tuple[dict[str, Json] | None, str | None]:
    """(object, None) where `value`, parsed from `raw`, is an object that can be encoded as UTF-8, else (None, why)."""
    if not isinstance(value, dict):
        kinds = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
        return None, f"not an object but {kinds.get(type(value), 'a number')}"
    if "\\ud" in raw or "\\uD" in raw:  # half a surrogate pair parses, but no tokenizer can encode it
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return None, "invalid Unicode: half a surrogate pair"
    return value, None


def _reader_for(path: Path) -> Callable[[Path], Iterator[RawRow]]:
    from core.data.json_array import read_json
    from core.data.tables import read_parquet, read_separated

    readers: dict[str, Callable[[Path], Iterator[RawRow]]] = {
        ".jsonl": read_json_lines,
        ".ndjson": read_json_lines,
        ".json": read_json,
        ".csv": read_separated,
        ".tsv": read_separated,
        ".parquet": read_parquet,
        ".txt": _read_text,
    }
    if path.is_dir():
        raise DatasetError(f"{path} is a folder", try_this="name one file of rows in it")
    if not path.exists():
        raise DatasetError(f"there is no file {path}", try_this="check the path; it is relative to the recipe's folder")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    kind = (suffixes[-2] if len(suffixes) > 1 else "") if packed else (suffixes[-1] if suffixes else "")
    if kind not in readers or (packed and kind == ".parquet"):
        known = ", ".join(readers)
        raise DatasetError(
            f"{path} has an ending that finetui does not read",
            why=f"it reads {known}, and all but .parquet packed as .gz",
            try_this="convert or rename the file",
        )
    return readers[kind]


def _translate_errors(path: Path, reader: Callable[[Path], Iterator[RawRow]]) -> Iterator[RawRow]:
    line = 0
    try:
        for row in reader(path):
            line = row.line
            yield row
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(f"{path} is a broken archive after line {line}", why=str(error)) from error
    except PermissionError as error:
        raise DatasetError(f"{path} may not be read", try_this="check the file's permissions") from error
    except OSError as error:
        raise DatasetError(f"{path} can't be read after line {line}", why=error.strerror or str(error)) from error


def read_json_lines(path: Path) -> Iterator[RawRow]:
    """One object a line; empty lines are passed over.  Only one line is in memory at a time."""
    with open_bytes(path) as handle:
        for number, raw in enumerate(handle, start=1):
            stripped = raw.strip()
            if not stripped:
                continue
            try:
                text = stripped.decode()
            except UnicodeDecodeError as error:
                yield RawRow(number, None, f"invalid UTF-8 at byte {error.start + 1}")
                continue
            value, problem = parse_object(text)
            yield RawRow(number, value, problem)


def _read_text(path: Path) -> Iterator[RawRow]:
    by_paragraph = _has_empty_line(path)
    with open_bytes(path) as handle:
        gathered: list[bytes] = []
        start = 0
        for number, raw in enumerate(handle, start=1):
            if not raw.strip():
                yield from _text_row(start, gathered)
                gathered = []
                continue
            if not gathered:
                start = number
            gathered.append(raw)
            if not by_paragraph:
                yield from _text_row(start, gathered)
                gathered = []
        yield from _text_row(start, gathered)


def _text_row(line: int, gathered: list[bytes]) -> Iterator[RawRow]:
    if not gathered:
        return
    try:
        yield RawRow(line, b"".join(gathered).decode().rstrip("\r\n"))
    except UnicodeDecodeError:
        yield RawRow(line, None, "invalid UTF-8")


def _has_empty_line(path: Path) -> bool:
    """Whether an empty line parts paragraphs in the first MiB (not counting empty lines at the end)."""
    with open_bytes(path) as handle:
        head = handle.read(TEXT_PROBE_BYTES).strip()
    return any(not line.strip() for line in io.BytesIO(head))
