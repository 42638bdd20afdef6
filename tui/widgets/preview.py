"""A few lines about one run, for beside or below the list. Pure: a RunView in, styled text out."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from core.store.rows import HealthRow
from tui.format import clock, glyphs, number, percent, plain, share_done, sparkline, state_words
from tui.messages import RunView
from tui.widgets.bar import TONES

_LEVELS = {"error": "bad", "warning": "warn", "info": "dim"}


def preview_content(view: RunView, trend: Sequence[float]) -> Content:
    """The run's standing, loss, evaluation, checkpoints, health and what a person wrote on it, most telling first."""
    return Content("\n").join([line for line in _lines(view, trend) if line is not None])


def _lines(view: RunView, trend: Sequence[float]) -> list[Content | None]:
    row = view.row
    words, tone = state_words(row)
    share = share_done(row)
    steps = f"  step {row.step}/{row.max_steps or '?'} {percent(share)}" if row.step is not None else ""
    head = Content.assemble(
        (plain(row.name), "bold"),
        "  ",
        (words, TONES[tone]),
        steps,
        (f"  queued {clock(row.created_at)}", TONES["dim"]),
    )
    loss = Content.assemble("loss ", (number(row.loss), "bold"), "  ", (sparkline(trend, 8), TONES["series"]))
    evaluated = Content.assemble("  eval ", (number(row.eval_loss), "bold"), _best(view))
    return [
        head,
        _line(row.message, "bad" if tone == "bad" else "") if row.message else None,
        *(_line(f"{glyphs().cursor} {advice}", "warn") for advice in row.advice[:2]),
        Content.assemble(loss, evaluated),
        _health(view.health),
        _checkpoints(view),
        _line(f"data {_rows(view)}", "dim") if view.plan is not None else None,
        _line(f"{plain(row.method or row.kind)} on {plain(row.model or '?')}", "dim"),
        *(_line(change) for change in view.differences[:6]),
        _line(f"continues {row.resumed_from}", "dim") if row.resumed_from else None,
        _line(f"tags {' '.join(row.tags)}", "live") if row.tags else None,
        _line(f"note {row.note}") if row.note else None,
    ]


def _line(text: str, tone: str = "") -> Content:
    return Content.styled(plain(text), TONES[tone]) if tone else Content(plain(text))


def _best(view: RunView) -> str:
    row = view.row
    if row.best_step is None:
        return ""
    return f"  best {plain(row.best_metric or '')} {number(row.best_value)} @{row.best_step}"


def _health(rows: Sequence[HealthRow]) -> Content:
    if not rows:
        return Content.styled(f"{glyphs().done} nothing raised", TONES["good"])
    last = rows[-1]
    more = f" (+{len(rows) - 1})" if len(rows) > 1 else ""
    return _line(f"{last.level}: {last.message}{more}", _LEVELS.get(last.level, ""))


def _checkpoints(view: RunView) -> Content | None:
    if not view.checkpoints:
        return None
    steps = [f"{row.step}{'*' if row.best else ''}" for row in view.checkpoints[-8:]]
    return _line(f"checkpoints {' '.join(steps)}")


def _rows(view: RunView) -> str:
    assert view.plan is not None
    return ", ".join(f"{name} {count:,}" for name, count in view.plan.rows.items())
