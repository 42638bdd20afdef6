"""What became of the rows on their way to training, as counts: a row that is lost without a count is a silent mistake.

Counting only; which counts stop a launch is decided in gate.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

PROBLEMS_KEPT = 20
LINES_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Counts over all sources of one set; `problems` are sentences that name files and lines.

    rows_read        rows in the files, bad ones included
    rows_bad         left out because they could not be read or converted
    rows_held_out    left out of training because an evaluation set took them (copies included)
    rows_dropped     left out because they are longer than max_length
    rows_truncated   used, but cut at max_length
    rows_without_trained_tokens   left out, or (in evaluation) of no weight: nothing in them is learnt
    rows_empty_answer             used, with an empty answer: they teach the model to say nothing
    rows_without_stop_token       whole rows whose last trained token does not end an answer
    rows_start_doubled            rows that begin with the start token twice
    rows_used        rows trained (a row with weight 2 counts twice)
    tokens, tokens_trained, tokens_cut   of the used rows; cut: lost to truncation
    methods          how labels were found → rows (see masks.py)
    """

    rows_read: int = 0
    rows_used: int = 0
    rows_bad: int = 0
    rows_held_out: int = 0
    rows_dropped: int = 0
    rows_truncated: int = 0
    rows_without_trained_tokens: int = 0
    rows_empty_answer: int = 0
    rows_without_stop_token: int = 0
    rows_start_doubled: int = 0
    tokens: int = 0
    tokens_trained: int = 0
    tokens_cut: int = 0
    methods: dict[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def share_trained(self) -> float:
        """Trained tokens among all tokens, 0 where there are none."""
        return self.tokens_trained / self.tokens if self.tokens else 0.0


def name_lines(lines: Sequence[int]) -> str:
    """Line numbers as a person reads them: "line 3", "lines 3, 5 and 9", "lines 3, 5, … (12 in all)"."""
    if len(lines) == 1:
        return f"line {lines[0]}"
    if len(lines) > LINES_NAMED:
        return f"lines {', '.join(map(str, lines[:LINES_NAMED]))}, … ({len(lines)} in all)"
    return f"lines {', '.join(map(str, lines[:-1]))} and {lines[-1]}"
