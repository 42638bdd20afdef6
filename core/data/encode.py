"""Examples of one file → encoded rows, with every loss on the way counted and the forbidden ones refused.

Rows in which nothing would be trained stop a launch here: such a run shows a loss of 0.0 and "succeeds".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.data.chat import ChatTokenizer
from core.data.examples import Example
from core.data.layout import TRAIN_ON, Layout, lay_out
from core.data.masks import IGNORED, OVERLONG, EncodedRow, finish_row
from core.data.report import PROBLEMS_KEPT, Report, name_lines
from core.errors import DatasetError

BATCH_ROWS = 1000
SWALLOWED_SHARE = 0.05
"""A larger share of rows whose prompt alone fills max_length is refused; a smaller one is left out and counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How rows become tokens; the words are those of the recipe's `data` section.

    Raises (at construction):
        ValueError: a word that is not one of them.
    """

    max_length: int
    train_on: str = "assistant"
    overlong: str = "truncate"
    bad_rows: str = "refuse"

    def __post_init__(self) -> None:
        for value, known in ((self.train_on, TRAIN_ON), (self.overlong, OVERLONG), (self.bad_rows, ("refuse", "skip"))):
            if value not in known:
                raise ValueError(f"{value} is none of {', '.join(known)}")
        if self.max_length < 1:
            raise ValueError("max_length must be at least 1 token")


@dataclass(slots=True)
class Tally:
    """Counts while rows go by; `report` freezes them."""

    read: int = 0
    bad: int = 0
    held_out: int = 0
    dropped: int = 0
    without_trained_tokens: int = 0
    empty_answer: int = 0
    without_stop_token: int = 0
    start_doubled: int = 0
    problems: list[str] = field(default_factory=list)

    def say(self, problem: str) -> None:
        """Keep a problem's sentence, up to a readable number of them."""
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append(problem)

    def report(self, used: Sequence[EncodedRow]) -> Report:
        return Report(
            rows_read=self.read,
            rows_used=len(used),
            rows_bad=self.bad,
            rows_held_out=self.held_out,
            rows_dropped=self.dropped,
            rows_truncated=sum(row.truncated for row in used),
            rows_without_trained_tokens=self.without_trained_tokens,
            rows_empty_answer=self.empty_answer,
            rows_without_stop_token=self.without_stop_token,
            rows_start_doubled=self.start_doubled,
            tokens=sum(len(row.input_ids) for row in used),
            tokens_trained=sum(row.tokens_trained for row in used),
            tokens_cut=sum(row.tokens_cut for row in used),
            methods=dict(sorted(Counter(row.method for row in used).items())),
            problems=tuple(self.problems),
        )


def encode_file(
    path: Path,
    examples: Sequence[Example],
    tokenizer: ChatTokenizer,
    settings: Settings,
    tally: Tally,
    *,
    source: int = 0,
    keep_untrained: bool = False,
) -> list[tuple[int, EncodedRow]]:
    """(position in `examples`, row) of each row that can be used; the others are in the tally.

    `keep_untrained` (evaluation): a row whose prompt fills max_length stays, with no token of weight.

    Raises:
        DatasetError: a row the template refuses or that is too long, where the settings refuse those; rows that were
            not cut and have nothing to train on, in any case; too large a share of rows whose prompt fills max_length.
        ModelError: a conversation, and the model has no chat template.
    """
    kept: list[tuple[int, EncodedRow]] = []
    nothing_to_train: list[int] = []
    swallowed: list[int] = []
    empty: list[int] = []
    for position, row in _encoded(path, examples, tokenizer, settings, tally, source):
        if examples[position].has_empty_answer:
            empty.append(row.line)
        tally.start_doubled += len(row.input_ids) > 1 and row.input_ids[0] == row.input_ids[1] == tokenizer.bos_token_id
        if row.tokens_trained:
            tally.without_stop_token += not row.truncated and _last_trained(row) not in tokenizer.stop_token_ids
        else:
            (swallowed if row.truncated else nothing_to_train).append(row.line)
            if not keep_untrained:
                continue
        kept.append((position, row))
    if nothing_to_train:
        raise DatasetError(
            f"{path}: {name_lines(nothing_to_train)}: no token would be trained",
            why="the answers are empty, or the chat template's generation blocks leave them out",
            try_this="look at the rows' masks; mend the rows or the template",
        )
    _judge_swallowed(path, swallowed, len(examples), settings, tally, refuse=not keep_untrained)
    if empty:
        tally.empty_answer += len(empty)
        tally.say(f"{path}: {name_lines(empty)}: an empty answer, which teaches the model to say nothing")
    return kept


def _last_trained(row: EncodedRow) -> int:
    return next(label for label in reversed(row.labels) if label != IGNORED)


def _encoded(
    path: Path,
    examples: Sequence[Example],
    tokenizer: ChatTokenizer,
    settings: Settings,
    tally: Tally,
    source: int,
) -> Iterator[tuple[int, EncodedRow]]:
    """Rows in order, tokenised a batch at a time; overlong and refused ones are dealt with."""
    too_long: list[int] = []
    for start in range(0, len(examples), BATCH_ROWS):
        laid_out: list[tuple[int, Layout]] = []
        for position in range(start, min(start + BATCH_ROWS, len(examples))):
            layout = _lay_out_or_count(path, examples[position], tokenizer, settings, tally)
            if layout is not None:
                laid_out.append((position, layout))
        encoded = tokenizer.encode_with_offsets([layout.text for _, layout in laid_out])
        for (position, layout), tokens in zip(laid_out, encoded, strict=True):
            row = finish_row(
                layout,
                tokens,
                tokenizer,
                line=examples[position].line,
                max_length=settings.max_length,
                overlong="truncate" if settings.overlong == "truncate" else "drop",
                source=source,
            )
            if row is None:
                too_long.append(examples[position].line)
            else:
                yield position, row
    if too_long and settings.overlong == "refuse":
        raise DatasetError(
            f"{path}: {name_lines(too_long)}: longer than max_length ({settings.max_length} tokens)",
            try_this="raise data.max_length, or set data.overlong to truncate or drop",
        )
    tally.dropped += len(too_long)


def _lay_out_or_count(
    path: Path, example: Example, tokenizer: ChatTokenizer, settings: Settings, tally: Tally
) -> Layout | None:
    """The layout, or None for a row that the template refuses where bad rows are skipped."""
    try:
        return lay_out(example, tokenizer, settings.train_on)
    except DatasetError as error:
        placed = DatasetError(f"{path}:{example.line}: {error.what}", why=error.why, try_this=error.try_this)
        if settings.bad_rows == "refuse":
            raise placed from error
        tally.bad += 1
        tally.say(str(placed))
        return None


def _judge_swallowed(
    path: Path, lines: Sequence[int], total: int, settings: Settings, tally: Tally, *, refuse: bool
) -> None:
    """Rows cut before their first trained token: counted while they are few, refused when many."""
    if not lines:
        return
    tally.without_trained_tokens += len(lines)
    said = f"{path}: {name_lines(lines)}: the prompt alone fills max_length ({settings.max_length} tokens)"
    if refuse and settings.bad_rows == "refuse" and len(lines) > SWALLOWED_SHARE * total:
        raise DatasetError(
            f"{said}, so nothing of the answer is left to train on",
            why=f"that is {len(lines)} of {total} rows",
            try_this="raise data.max_length, or set data.bad_rows: skip to go on without these rows",
        )
    tally.say(said)
