"""What must stop a launch and what must be said before one, judged from counts alone.

Rows that can't be used at all have raised a `DatasetError` long before; this is about sets that can be trained on but
would teach nothing, or teach and then examine on the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.data.held_out import hashes
from core.data.load import Source, load_source
from core.data.report import Report
from core.units import format_percent

CUT_SHARE_WORTH_A_WORD = 0.01


@dataclass(frozen=True, slots=True)
class Audit:
    """Sentences for a person. A launch with a blocker must not start; warnings are shown and stored."""

    blockers: tuple[str, ...]
    warnings: tuple[str, ...]


def content_of(source: Source, bad_rows: str = "skip") -> frozenset[int]:
    """Hashes of a file's distinct rows, without a tokenizer: for comparing sets that are not to be looked at.

    Raises:
        DatasetError: the file can't be read, or holds no usable row.
    """
    return hashes(example.canonical() for example in load_source(source, bad_rows).examples)


def count_leaks(train: frozenset[int], evaluation: Mapping[str, frozenset[int]]) -> dict[str, int]:
    """For each evaluation set, how many of its distinct rows are training rows too (exactly the same content)."""
    return {name: len(train & contents) for name, contents in evaluation.items()}


def audit(report: Report, leaks: Mapping[str, int] | None = None) -> Audit:
    """Judge a training set by its report, and by `leaks`: evaluation set → rows that are training rows too."""
    blockers = []
    if not report.rows_used:
        blockers.append("no row is left to train on")
    elif not report.tokens_trained:
        blockers.append("no token would be trained: every label is masked")
    return Audit(tuple(blockers), (*_losses(report), *_doubts(report), *_leaks(leaks or {})))


def _losses(report: Report) -> list[str]:
    said = []
    for count, what in (
        (report.rows_bad, "are left out because they can't be read or converted"),
        (report.rows_dropped, "are left out because they are longer than max_length"),
        (report.rows_without_trained_tokens, "are left out because the prompt alone fills max_length"),
        (report.rows_truncated, "are cut at max_length"),
    ):
        if count:
            said.append(f"{count} of {report.rows_read} rows {what}")
    cut = report.tokens_cut / (report.tokens + report.tokens_cut) if report.tokens_cut else 0.0
    if cut >= CUT_SHARE_WORTH_A_WORD:
        said.append(f"{format_percent(cut)} of all tokens are lost to max_length")
    return said


def _doubts(report: Report) -> list[str]:
    said = []
    for count, what in (
        (report.rows_empty_answer, "rows have an empty answer, which teaches the model to say nothing"),
        (report.rows_without_stop_token, "rows do not train the end of an answer: the model may not learn to stop"),
        (report.rows_start_doubled, "rows begin with the start token twice"),
        (
            report.methods.get("offsets", 0),
            "rows are masked by position in the text: the chat template rewrites earlier turns, its generation prompt "
            "differs from what stands before an answer, or one token reaches from the prompt into the answer",
        ),
    ):
        if count:
            said.append(f"{count} {what}")
    return said


def _leaks(leaks: Mapping[str, int]) -> list[str]:
    return [
        f"{count} rows of the evaluation set {name} are training rows too, so its scores say too much"
        for name, count in leaks.items()
        if count
    ]
