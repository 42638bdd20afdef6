"""What happened in a run, in words: health, checkpoints, and the events of its log. Pure; must not read files.

Everything that a model, a data set or a person wrote passes `plain` here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from core.store.rows import CheckpointRow
from tui.format import bytes_text, glyphs, number, plain
from tui.messages import RunView
from tui.widgets.lines import Part
from tui.widgets.log_view import Entry

SHOWN_CHECKPOINTS = 6
_LEVELS = {"info": ("dot", ""), "warning": ("held", "warn"), "error": ("failed", "bad")}


def health_lines(view: RunView) -> list[list[Part]]:
    """The worst and newest of what the rules said; that nothing was said, where it is so."""
    order = {"error": 0, "warning": 1}
    rows = sorted(view.health, key=lambda row: (order.get(row.level, 2), -row.at))
    lines: list[list[Part]] = []
    for row in rows:
        sign, tone = _LEVELS.get(row.level, ("dot", ""))
        at = f"@{row.step} " if row.step is not None else ""
        glyph = "!" if row.level == "warning" else getattr(glyphs(), sign)
        lines.append([(f"{glyph} ", tone), (at, "dim"), (plain(row.message), tone)])
    if not lines:
        lines.append([(f"{glyphs().done} ", "good"), ("no rule has anything to say", "dim")])
    return lines


def checkpoint_words(view: RunView) -> list[Part]:
    """The newest checkpoints in one line, with the best and the pinned ones: 400 … 1200 1400 1600*."""
    rows = view.checkpoints
    shown = [row for index, row in enumerate(rows) if row.best or row.pinned or index >= len(rows) - SHOWN_CHECKPOINTS]
    words, before = "", -1
    for row in shown:
        place = rows.index(row)
        words += f"{' ' if place == before + 1 else f' {glyphs().ellipsis} '}{row.step}"
        words += f"{'*' if row.best else ''}{'+' if row.pinned else ''}"
        before = place
    return [("checkpoints", "dim"), (words or " none yet", ""), ("  * best" if "*" in words else "", "dim")]


def evaluation_at(view: RunView, step: int) -> float | None:
    """The loss on the validation set of a step's weights."""
    rows = [row for row in view.evaluations if row.step == step and row.role == "validation" and row.weights != "base"]
    losses = [row.metrics["loss"] for row in rows if "loss" in row.metrics]
    return losses[-1] if losses else None


def checkpoint_lines(view: RunView, chosen: int | None) -> list[list[Part]]:
    """One line a checkpoint, newest first: step, evaluation loss, size, marks."""
    rows: Sequence[CheckpointRow] = view.checkpoints[::-1]
    if not rows:
        return [[("none yet; s saves one now", "dim")]]
    lines: list[list[Part]] = []
    for row in rows:
        cursor = glyphs().cursor if row.step == chosen else " "
        marks = " ".join(word for word, is_so in (("best", row.best), ("pinned", row.pinned)) if is_so)
        loss = number(evaluation_at(view, row.step))
        lines.append(
            [
                (f"{cursor}{row.step:>7} ", "key" if row.step == chosen else ""),
                (f"{loss:>8} ", ""),
                (f"{bytes_text(row.bytes):>7} ", "dim"),
                (marks or plain(row.reason), "good" if row.best else "dim"),
            ]
        )
    return lines


def event_entries(view: RunView) -> list[tuple[float, str, Entry]]:
    """What happened, oldest first: (moment, a key that stays the same, line of the log)."""
    found: list[tuple[float, str, Entry]] = []
    for move in view.transitions:
        words = str(move.outcome or move.to_state).replace("_", " ")
        why = f": {plain(move.why)}" if move.why else ""
        found.append((move.at, f"move {move.at} {move.to_state}", (f"run {words}{why}", "dim")))
    for saved in view.checkpoints:
        facts = f"{plain(saved.reason)}, {bytes_text(saved.bytes)}, {saved.seconds:.1f} s"
        text = f"step {saved.step}  saved checkpoint ({facts})"
        found.append((saved.at, f"save {saved.step} {saved.attempt}", (text, "good")))
    for row in view.evaluations:
        metrics = "  ".join(f"{plain(name)} {number(value)}" for name, value in row.metrics.items())
        weights = "base" if row.weights == "base" else f"step {row.step}"
        text = f"{weights}  {plain(row.set_name)}: {metrics}"
        found.append((row.at, f"evaluation {row.step} {row.set_name} {row.weights} {row.at}", (text, "")))
    for said in view.health:
        tone = _LEVELS.get(said.level, ("", ""))[1]
        at = f"step {said.step}  " if said.step is not None else ""
        found.append((said.at, f"health {said.at} {said.rule}", (at + plain(said.message), tone)))
    found.sort(key=lambda event: event[0])
    return [(at, key, (f"{_clock(at)} {text}", tone)) for at, key, (text, tone) in found]


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
