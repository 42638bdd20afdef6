"""The only place that prints: data to stdout, narration to stderr, foreign text made harmless on the way.

Kept apart so that no command can forget a rule: a piped table has no colour and 80 columns, JSON is one document that
a terminal can't be steered by, an error is a sentence. It must not know what a run or a recipe is.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from core.cli.json_values import JsonInput, to_json
from core.errors import FinetuiError, RecipeError
from core.text import display_width, safe_line, safe_text

_BOLD, _RED, _RESET = "\x1b[1m", "\x1b[31m", "\x1b[0m"
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column. The one that may shrink gives way first where the table is wider than the terminal."""

    title: str
    right: bool = False
    may_shrink: bool = False


def prepare_streams() -> None:
    """Let a character that the terminal's encoding lacks be printed as an escape instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # absent where a test or a host replaced the stream
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def print_text(text: str, *, flush: bool = False) -> None:
    """Data for stdout: text whose foreign parts may steer nothing, and a newline."""
    sys.stdout.write(safe_text(text) + "\n")
    if flush:
        sys.stdout.flush()


def print_own_text(text: str) -> None:
    """Text of our own making that carries colour on purpose (a plot); never foreign text."""
    sys.stdout.write(text + "\n")


def print_json(document: JsonInput) -> None:
    """One JSON document; see `core.cli.json_values` for numbers that JSON lacks.

    All characters outside ASCII and DEL are written as escapes: the document is exact, and harmless on a terminal.
    """
    text = json.dumps(to_json(document), indent=2, allow_nan=False, ensure_ascii=True)
    sys.stdout.write(text.replace("\x7f", "\\u007f") + "\n")


def narrate(text: str) -> None:
    """What goes on, for stderr."""
    sys.stderr.write(safe_text(text) + "\n")
    sys.stderr.flush()


def print_error(error: FinetuiError) -> None:
    """What happened, why, and what to try, on stderr; a recipe's problems one a line."""
    label = _paint("error:", _RED, sys.stderr)
    if isinstance(error, RecipeError):
        for problem in error.problems:
            sys.stderr.write(f"{safe_text(str(problem))}\n")
        count = len(error.problems)
        sys.stderr.write(f"{label} the recipe has {count} problem{'s' if count != 1 else ''}; nothing was started\n")
    else:
        sys.stderr.write(f"{label} {safe_text(error.what)}\n")
        if error.why:
            sys.stderr.write(f"  why: {safe_text(error.why)}\n")
        if error.try_this:
            sys.stderr.write(f"  try: {safe_text(error.try_this)}\n")
    sys.stderr.flush()


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Rows under their titles, cut to the terminal's width; cells are single lines."""
    cells = [[safe_line(cell, 400) for cell in row] for row in rows]
    widths = _fit(columns, cells, terminal_width())
    header = _line([column.title for column in columns], columns, widths)
    sys.stdout.write(_paint(header, _BOLD, sys.stdout) + "\n")
    for row in cells:
        sys.stdout.write(_line(row, columns, widths) + "\n")


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Names and values, one pair a line, the values aligned."""
    pairs = [(name, safe_text(value)) for name, value in fields]
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        indented = value.replace("\n", "\n" + " " * (width + len(_GAP)))
        sys.stdout.write(f"{name:<{width}}{_GAP}{indented}".rstrip() + "\n")


def ask(question: str) -> bool:
    """Whether the person answers yes; asked on stderr, so that stdout stays data."""
    sys.stderr.write(f"{safe_text(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def can_ask() -> bool:
    """Whether a person sits at both ends: a question to a pipe would hang or answer itself."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def narration_is_live() -> bool:
    """Whether stderr is a terminal, where a line may be written over."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def narrate_over(text: str) -> None:
    """Replace the current line of a live stderr; the empty text clears it."""
    width = shutil.get_terminal_size((80, 24)).columns
    sys.stderr.write("\r\x1b[2K" + _cut(safe_line(text), width - 1))
    sys.stderr.flush()


def terminal_width() -> int:
    """Columns of the terminal: COLUMNS, else what the terminal says, else 80."""
    return max(20, shutil.get_terminal_size((80, 24)).columns)


def colour_is_wanted(stream: TextIO | None = None) -> bool:
    """Whether `stream` (stdout where none is given) is a terminal that may be coloured (https://no-color.org)."""
    chosen = sys.stdout if stream is None else stream
    return chosen.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def end_quietly() -> None:
    """After a broken pipe: let nothing more be flushed to it, or the interpreter complains on its way out."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _paint(text: str, style: str, stream: TextIO) -> str:
    return f"{style}{text}{_RESET}" if colour_is_wanted(stream) else text


def _fit(columns: Sequence[Column], cells: list[list[str]], available: int) -> list[int]:
    widths = [
        max([display_width(column.title), *(display_width(row[index]) for row in cells)])
        for index, column in enumerate(columns)
    ]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - available
    for index, column in enumerate(columns):
        if excess > 0 and column.may_shrink:
            given = min(excess, max(0, widths[index] - 8))
            widths[index] -= given
            excess -= given
    if excess > 0:
        widths[-1] = max(1, widths[-1] - excess)
    return widths


def _line(row: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    parts = []
    for cell, column, width in zip(row, columns, widths, strict=True):
        text = _cut(cell, width)
        padding = " " * (width - display_width(text))
        parts.append(padding + text if column.right else text + padding)
    return _cut(_GAP.join(parts).rstrip(), terminal_width())


def _cut(text: str, width: int) -> str:
    if display_width(text) <= width:
        return text
    kept = 0
    for index, character in enumerate(text):
        kept += display_width(character)
        if kept > width - 1:
            return text[:index] + "…"
    return text
