"""The columns of the list of runs: what each shows, how wide it is, and which give way where the screen is narrow.

It must not read a store nor know a widget. A column that is not in the table is a metric of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.store.rows import RunRow
from core.units import format_count
from tui.format import bytes_text, clock, duration, glyphs, number, plain, sparkline, state_words, text_or_dash

GAP = 2


@dataclass(frozen=True, slots=True)
class Cells:
    """One row as the list draws it: the run, its extra fields by name, its trend."""

    row: RunRow
    values: Mapping[str, float | None]
    trend: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`draw` gives text and tone. The column with the highest `gives_way` is the first to go; 0 never goes.

    `sort` is the field that a click on the title sorts by; `field` the extra field that it needs from the store.
    """

    id: str
    title: str
    width: int
    draw: Callable[[Cells], tuple[str, str]]
    gives_way: int
    right: bool = False
    sort: str | None = None
    field: str | None = None
    widest: int | None = None


def _name(cells: Cells) -> tuple[str, str]:
    return f"{cells.row.run_id} {plain(cells.row.name)}", ""


def _steps(cells: Cells) -> tuple[str, str]:
    row = cells.row
    return f"{row.step if row.step is not None else glyphs().dash}/{row.max_steps or '?'}", "dim"


def _metric(field: str) -> Callable[[Cells], tuple[str, str]]:
    return lambda cells: (number(cells.values.get(field)), "")


_TABLE = (
    Column(id="run", title="RUN", width=24, widest=44, draw=_name, gives_way=0, sort="name"),
    Column(
        id="method",
        title="METHOD",
        width=7,
        draw=lambda c: (plain(c.row.method or c.row.kind), "dim"),
        gives_way=6,
        sort="method",
    ),
    Column(id="step", title="STEP", width=9, draw=_steps, gives_way=5, right=True, sort="step"),
    Column(
        id="loss", title="LOSS", width=7, draw=lambda c: (number(c.row.loss), ""), gives_way=3, right=True, sort="loss"
    ),
    Column(
        id="eval",
        title="EVAL",
        width=7,
        draw=lambda c: (number(c.row.eval_loss), ""),
        gives_way=2,
        right=True,
        sort="eval_loss",
    ),
    Column(id="trend", title="TREND", width=8, draw=lambda c: (sparkline(c.trend, 8), "series"), gives_way=4),
    Column(
        id="best",
        title="BEST",
        width=7,
        draw=lambda c: (number(c.row.best_value), ""),
        gives_way=9,
        right=True,
        sort="best",
    ),
    Column(
        id="speed",
        title="TOK/S",
        width=6,
        gives_way=7,
        right=True,
        sort="tokens_per_second",
        field="tokens_per_second",
        draw=lambda c: (text_or_dash(format_count(c.values.get("tokens_per_second"))), ""),
    ),
    Column(
        id="memory",
        title="VRAM",
        width=6,
        gives_way=10,
        right=True,
        sort="memory",
        field="memory",
        draw=lambda c: (bytes_text(c.values.get("memory")), ""),
    ),
    Column(
        id="lr",
        title="LR",
        width=7,
        gives_way=11,
        right=True,
        sort="lr",
        field="lr",
        draw=lambda c: (number(c.values.get("lr"), 2), ""),
    ),
    Column(
        id="time",
        title="TIME",
        width=7,
        gives_way=8,
        right=True,
        sort="elapsed",
        field="elapsed",
        draw=lambda c: (duration(c.values.get("elapsed")), ""),
    ),
    Column(id="state", title="STATE", width=12, draw=lambda c: state_words(c.row), gives_way=0, sort="state"),
    Column(
        id="created",
        title="QUEUED",
        width=10,
        draw=lambda c: (clock(c.row.created_at), "dim"),
        gives_way=12,
        sort="created",
    ),
    Column(
        id="model",
        title="MODEL",
        width=16,
        draw=lambda c: (plain(c.row.model or ""), "dim"),
        gives_way=13,
        sort="model",
    ),
    Column(
        id="tags",
        title="TAGS",
        width=12,
        draw=lambda c: (plain(" ".join(c.row.tags)), "dim"),
        gives_way=14,
    ),
    Column(id="note", title="NOTE", width=16, widest=40, draw=lambda c: (plain(c.row.note), "dim"), gives_way=15),
)
COLUMNS = {column.id: column for column in _TABLE}
USUAL = (
    "run", "method", "step", "loss", "eval", "trend", "speed", "time", "best", "memory", "lr", "created", "tags",
    "state",
)  # fmt: skip


def column(name: str) -> Column:
    """The column of that id; any other name is a metric with a column of its own."""
    known = COLUMNS.get(name)
    if known is not None:
        return known
    title = name.upper() if len(name) <= 10 else name[-10:].upper()
    return Column(
        id=name,
        title=title,
        width=max(8, len(title)),
        draw=_metric(name),
        gives_way=1,
        right=True,
        sort=name,
        field=name,
    )


def fitting(chosen: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """The columns that fit into `width` cells with the width of each; those that give way are left out.

    Space to spare goes to the columns that can use it, the first one first.
    """
    kept = list(chosen)
    while sum(each.width for each in kept) + GAP * (len(kept) - 1) > width:
        least = max(kept, key=lambda each: each.gives_way)
        if least.gives_way == 0:
            break
        kept.remove(least)
    spare = width - sum(each.width for each in kept) - GAP * (len(kept) - 1)
    widths = {each.id: each.width for each in kept}
    for each in kept:
        if spare > 0 and each.widest is not None:
            more = min(spare, each.widest - each.width)
            widths[each.id] += more
            spare -= more
    if spare < 0:
        widths[kept[0].id] = max(8, widths[kept[0].id] + spare)
    return [(each, widths[each.id]) for each in kept]
