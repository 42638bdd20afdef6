"""From reduced curves to rows of cells: lines, envelopes, marks, labels. Pure functions; they keep nothing.

A line has no breaks except where a value was not finite: each column's span is stretched until it touches the one
before. Whatever is cut off or not finite is marked, with its value and step where there is room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tui.widgets.chart.canvas import Canvas, Line
from tui.widgets.chart.curve import Window
from tui.widgets.chart.scale import Scale, ticks

AXIS, MARK, CROSSHAIR, BROKEN = 1, 2, 3, 4
SERIES, FAINT = 16, 48
"""Style numbers: SERIES + n is the colour of series n, FAINT + n the same colour held back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """The marks; some terminals draw those of the default set two cells wide."""

    above: str = "▲"
    below: str = "▼"
    broken: str = "×"
    point: str = "◆"


ASCII_GLYPHS = Glyphs(above="^", below="v", broken="x", point="o")


def draw_envelope(canvas: Canvas, windows: Sequence[Window | None], scale: Scale, style: int) -> None:
    """The range between each column's least and greatest value."""
    for column, window in enumerate(windows):
        if window is not None and window.minimum <= window.maximum:
            canvas.span(column, _dot(canvas, scale, window.maximum), _dot(canvas, scale, window.minimum), style)


def draw_line(canvas: Canvas, windows: Sequence[Window | None], scale: Scale, style: int) -> None:
    """The curve: each column's span, joined to the column before; empty columns between are crossed straight."""
    before: tuple[int, int, int, int] | None = None  # column, top, bottom, dot of its last value
    for column, window in enumerate(windows):
        if window is None:
            continue
        if window.minimum > window.maximum:  # nothing finite in it
            before = None
            continue
        top, bottom = _dot(canvas, scale, window.maximum), _dot(canvas, scale, window.minimum)
        if before is not None:
            if column - before[0] > 1:
                before = _cross(canvas, before, (column, _dot(canvas, scale, window.first)), style)
            top, bottom = _touch(before, top, bottom)
        canvas.span(column, top, bottom, style)
        before = (column, top, bottom, _dot(canvas, scale, window.last))


def _cross(
    canvas: Canvas, before: tuple[int, int, int, int], target: tuple[int, int], style: int
) -> tuple[int, int, int, int]:
    column, _, _, dot = before
    end_column, end_dot = target
    for between in range(column + 1, end_column):
        here = dot + round((end_dot - dot) * (between - column) / (end_column - column))
        top, bottom = _touch(before, here, here)
        canvas.span(between, top, bottom, style)
        before = (between, here, here, here)
    return before


def _touch(before: tuple[int, int, int, int], top: int, bottom: int) -> tuple[int, int]:
    """The span, longer where it would leave a gap to the one before."""
    if top > before[2] + 1:
        top = before[2] + 1
    elif bottom < before[1] - 1:
        bottom = before[1] - 1
    return top, bottom


def _dot(canvas: Canvas, scale: Scale, value: float) -> int:
    share = min(1.0, max(0.0, scale.share(value)))
    return round((1 - share) * (canvas.height * 4 - 1))


def draw_points(canvas: Canvas, windows: Sequence[Window | None], scale: Scale, style: int, glyph: str) -> None:
    """One glyph for the last value of each column."""
    for column, window in enumerate(windows):
        if window is not None and window.minimum <= window.maximum:
            canvas.put(column >> 1, _dot(canvas, scale, window.last) >> 2, glyph, style)


def cut_off(windows: Sequence[Window | None], scale: Scale) -> tuple[list[int], list[int]]:
    """Columns with a value above and below the scale."""
    slack = 1e-9
    drawn = [(column, window) for column, window in enumerate(windows) if window and window.minimum <= window.maximum]
    above = [column for column, window in drawn if scale.share(window.maximum) > 1 + slack]
    below = [column for column, window in drawn if scale.share(window.minimum) < -slack]
    return above, below


def draw_marks(
    canvas: Canvas, columns: Iterable[int], row: int, glyph: str, label: str, label_column: int, style: int
) -> None:
    """A mark for each of `columns` (cut off, or not finite), and the label of one of them where there is room."""
    x = label_column >> 1
    if x + len(label) + 2 <= canvas.width:
        canvas.put(x + 1, row, f" {label} "[: canvas.width - x - 1], style)
    elif x - len(label) - 2 >= 0:
        canvas.put(x - len(label) - 2, row, f" {label} ", style)
    for column in columns:
        canvas.put(column >> 1, row, glyph, style)


def draw_crosshair(canvas: Canvas, column: int) -> None:
    """A vertical line through the empty cells of one column."""
    for y in range(canvas.height):
        if canvas.is_empty(column >> 1, y):
            canvas.put(column >> 1, y, "│", CROSSHAIR)


def with_labels(canvas: Canvas, scale: Scale, gutter: int) -> list[Line]:
    """The canvas' rows with the y axis and its labels, `gutter` cells, at their left."""
    labels = ticks(scale, canvas.height)
    lines = []
    for y in range(canvas.height):
        label = labels.get(y)
        left = (label or "").rjust(gutter - 1)[: gutter - 1] + ("┤" if label is not None else "│")
        row = canvas.line(y)
        lines.append(Line(left + row.text, bytes([AXIS]) * gutter + row.styles))
    return lines


def axis_row(gutter: int, width: int, start: str, end: str, marks: Mapping[int, str]) -> Line:
    """The x axis: its ends in words, a mark at each cell of `marks` (checkpoints). `width` is the canvas'."""
    cells = ["─"] * width
    styles = bytearray([AXIS]) * (gutter + width)
    for x, glyph in marks.items():
        if 0 <= x < width:
            cells[x] = glyph
            styles[gutter + x] = MARK if glyph != "┬" else AXIS
    left = start.rjust(gutter - 1) + "└"
    covered = min(
        width, max(0, len(left) - gutter)
    )  # a start that is wider than the gutter covers the axis' first cells
    styles[gutter : gutter + covered] = bytes([AXIS]) * covered
    cells[:covered] = left[gutter : gutter + covered]
    left = left[:gutter]
    room = width - 2
    if len(end) + covered <= room:
        cells[width - len(end) - 1 :] = [" ", *end]
        styles[gutter + width - len(end) - 1 :] = bytes([AXIS]) * (len(end) + 1)
    return Line(left + "".join(cells), bytes(styles))
