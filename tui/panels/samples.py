"""What the model answers to the recipe's fixed prompts: the untrained "base" beside the last "@step". Pure.

Prompts and answers are foreign text: every line passes `plain`, and is wrapped before it is shown.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest

from core.store.rows import AnswerRow
from tui.format import fit, glyphs, plain
from tui.widgets.lines import Part

BESIDE_CELLS = 60
"""From this width on the two answers stand side by side."""
MOST_LINES = 8
"""Lines of one answer; the store holds the rest."""


def sample_lines(answers: Sequence[AnswerRow], width: int) -> list[list[Part]]:
    """For each prompt: the prompt, "base" beside the newest answer, then the steps between in one line each."""
    if not answers:
        return [[("no answers yet: the prompts of the recipe (evaluate.prompts)", "dim")],
                [("are answered at each evaluation", "dim")]]  # fmt: skip
    lines: list[list[Part]] = []
    for index in sorted({row.prompt_index for row in answers}):
        rows = sorted((row for row in answers if row.prompt_index == index), key=lambda row: row.step)
        base = rows[0] if rows[0].step == 0 else None
        trained = [row for row in rows if row.step > 0]
        lines += [
            [("Q " if first else "  ", "bold"), (text, "bold")] for first, text in _wrapped(rows[0].prompt, width)
        ]
        newest = trained[-1] if trained else None
        if base is not None and newest is not None and width >= BESIDE_CELLS:
            lines += _beside(base, newest, width)
        else:
            lines += _under(base, "dim", width) + _under(newest, "", width)
        lines += [[(_label(row), "dim"), (plain(row.answer), "dim")] for row in reversed(trained[:-1])]
    return lines


def _label(row: AnswerRow) -> str:
    return f"{'base' if row.step == 0 else f'@{row.step}':>6} "


def _wrapped(text: str, width: int) -> list[tuple[bool, str]]:
    """Lines of a text and whether each is the first."""
    wrapped = textwrap.wrap(plain(text), max(10, width - 8)) or [""]
    if len(wrapped) > MOST_LINES:
        wrapped = [*wrapped[: MOST_LINES - 1], glyphs().ellipsis]
    return [(place == 0, line) for place, line in enumerate(wrapped)]


def _under(row: AnswerRow | None, tone: str, width: int) -> list[list[Part]]:
    if row is None:
        return []
    label = _label(row)
    name = "dim" if row.step == 0 else "series-0"
    return [[(label if first else " " * len(label), name), (text, tone)] for first, text in _wrapped(row.answer, width)]


def _beside(base: AnswerRow, newest: AnswerRow, width: int) -> list[list[Part]]:
    half = width // 2
    lines: list[list[Part]] = []
    for left, right in zip_longest(_wrapped(base.answer, half), _wrapped(newest.answer, half)):
        left_label = _label(base) if left and left[0] else " " * 7
        right_label = _label(newest) if right and right[0] else " " * 7
        lines.append(
            [
                (left_label, "dim"),
                (fit(left[1] if left else "", half - 8), "dim"),
                (" ", ""),
                (right_label, "series-0"),
                (right[1] if right else "", ""),
            ]
        )
    return lines
