"""Rows of tables (CSV, TSV, Parquet); the one place that touches pyarrow, and only where it is needed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from core.data.files import Json, RawRow, open_bytes
from core.errors import DatasetError
from core.text import safe_line

if TYPE_CHECKING:
    import _csv

FIELD_LIMIT_CHARACTERS = 1 << 30  # the csv module's own limit of 131,072 refuses long documents


def read_separated(path: Path) -> Iterator[RawRow]:
    """The rows of a CSV or TSV file with a header line; a CSV whose header has semicolons and no comma is read so.

    Raises:
        DatasetError: the header is missing, or has an empty or a doubled name.
    """
    csv.field_size_limit(FIELD_LIMIT_CHARACTERS)
    with open_bytes(path) as raw, io.TextIOWrapper(raw, "utf-8", errors="surrogateescape", newline="") as handle:
        start = handle.tell()
        delimiter = _delimiter(path, handle.readline())
        handle.seek(start)
        reader = csv.reader(handle, delimiter=delimiter, strict=True)
        yield from _separated_rows(path, reader)


def _delimiter(path: Path, header: str) -> str:
    if ".tsv" in [suffix.lower() for suffix in path.suffixes]:
        return "\t"
    return ";" if ";" in header and "," not in header else ","


def _separated_rows(path: Path, reader: _csv.Reader) -> Iterator[RawRow]:
    try:
        header: list[str] = next(reader, [])
    except csv.Error as error:
        raise DatasetError(f"{path}:1: the header can't be read", why=str(error)) from error
    if header and (not all(name.strip() for name in header) or len(set(header)) < len(header)):
        raise DatasetError(
            f"{path}:1: the header has an empty or a doubled column name",
            why=f"it reads {safe_line(', '.join(header), 200)}",
        )
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if "end of data" in str(error):  # all rows behind the quote are inside it: skipping would lose them
                raise DatasetError(f"{path}:{line}: a quote that opens here never closes") from error
            yield RawRow(line, None, f"broken row: {error}")
            continue
        if cells is None:
            return
        if cells:
            yield _table_row(line, header, cells)


def _table_row(line: int, header: list[str], cells: list[str]) -> RawRow:
    if len(cells) != len(header):
        return RawRow(line, None, f"{len(cells)} columns where the header has {len(header)}")
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return RawRow(line, None, "invalid UTF-8")
    row: dict[str, Json] = dict(zip(header, cells, strict=True))
    return RawRow(line, row)


def read_parquet(path: Path) -> Iterator[RawRow]:
    """The rows of a Parquet file, batch by batch; `line` is the row's number.

    Raises:
        DatasetError: it is not a Parquet file, or damaged.
    """
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in cast(list[dict[str, Json]], batch.to_pylist()):
                    number += 1
                    yield RawRow(number, row)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path} is not a sound Parquet file (after row {number})", why=safe_line(str(error), 300)
        ) from error
