"""CSV (RFC 4180) that a spreadsheet opens as data: foreign text can't become a formula in it (OWASP ASVS 1.2.10).

Numbers are written exactly; nan, inf and -inf are these words; what was not measured is empty.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from core.exporters.points import COLUMNS, RunPoints
from core.exporters.target import new_file

_NUMBER = re.compile(r"[+-](\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write(points: RunPoints, target: Path, *, force: bool = False) -> int:
    """Write all points to `target`; returns how many.

    Raises:
        UsageError, WorkspaceError: see `core.exporters.target.new_file`.
        RunError: the run has logged nothing.
    """
    count = 0
    with new_file(target, force=force) as path, path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for key, rows in points.by_key():
            name = safe_cell(key)
            writer.writerows(
                (row.step, name, repr(row.value), *("" if cell is None else repr(cell) for cell in row[3:6]))
                for row in rows
            )
            count += len(rows)
    return count


def safe_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe in front of what begins like one, unless a number."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "␀")
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text) else text
