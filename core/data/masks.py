"""Token ids and labels of a row: the one code path behind the preview, the launch gate and the training itself.

A token is trained if any of its characters is (the first token of an answer may carry the white space before it), and
the end-of-turn token after an answer always is: a model that is never taught to stop does not stop.  White space that
the template writes behind that token is not trained, since generation ends before it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from core.data.chat import ChatTokenizer, Encoded
from core.data.examples import Example
from core.data.layout import Layout, Span, lay_out
from core.errors import DatasetError

IGNORED = -100
"""The label of a token that is not trained (PyTorch's cross entropy ignores it)."""

OVERLONG = ("truncate", "drop", "refuse")


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """One row as it is trained: `labels[i]` is `input_ids[i]`, or -100 where that token is not trained.

    `method` says how the labels were found: generation_markers | prefix | offsets | whole_text.
    `source` is the position of the row's file among the sources, `tokens_cut` what truncation took away.
    """

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    line: int
    truncated: bool
    method: str
    source: int = 0
    tokens_cut: int = 0

    @property
    def tokens_trained(self) -> int:
        return sum(label != IGNORED for label in self.labels)


def encode_example(
    example: Example,
    tokenizer: ChatTokenizer,
    *,
    train_on: str = "assistant",
    max_length: int | None = None,
    overlong: str = "truncate",
) -> EncodedRow | None:
    """Ids and labels of one example; None where it is longer than `max_length` tokens and `overlong` is drop.

    Raises:
        DatasetError: see `lay_out`; or it is too long and `overlong` is refuse.
        ModelError: a conversation, and the model has no chat template.
    """
    layout = lay_out(example, tokenizer, train_on)
    (encoded,) = tokenizer.encode_with_offsets([layout.text])
    return finish_row(layout, encoded, tokenizer, line=example.line, max_length=max_length, overlong=overlong)


def finish_row(
    layout: Layout,
    encoded: Encoded,
    tokenizer: ChatTokenizer,
    *,
    line: int,
    max_length: int | None,
    overlong: str = "truncate",
    source: int = 0,
) -> EncodedRow | None:
    """The row of a laid-out and tokenised example; see `encode_example`."""
    ids = encoded.ids
    labels = [IGNORED] * len(ids)
    method = layout.method
    for span in layout.spans:
        first, last = _token_range(span, encoded)
        if method == "prefix" and first <= last and encoded.offsets[first][0] < span.start:
            method = "offsets"  # one token reaches from the prompt into the answer
        if layout.method in ("prefix", "offsets"):
            last = _mend_end(span, first, last, encoded, layout.text, tokenizer.stop_token_ids)
        labels[first : last + 1] = ids[first : last + 1]
    if layout.framed:
        ids, labels = _frame(ids, labels, tokenizer)
    cut = 0 if max_length is None else max(0, len(ids) - max_length)
    if cut and overlong == "drop":
        return None
    if cut and overlong == "refuse":
        raise DatasetError(
            f"the row has {len(ids)} tokens, more than max_length {max_length}",
            try_this="raise data.max_length, or set data.overlong to truncate or drop",
        )
    kept = len(ids) - cut
    return EncodedRow(tuple(ids[:kept]), tuple(labels[:kept]), line, cut > 0, method, source, cut)


def _token_range(span: Span, encoded: Encoded) -> tuple[int, int]:
    """First and last token that hold a character of the span (last < first: none do).

    Offsets never fall back, so both ends are found by bisection; a character of several byte tokens keeps them all.
    """
    first = bisect_right(encoded.offsets, span.start, key=_end)
    last = bisect_left(encoded.offsets, span.end, key=_begin) - 1
    return first, last


def _begin(offset: tuple[int, int]) -> int:
    return offset[0]


def _end(offset: tuple[int, int]) -> int:
    return offset[1]


def _mend_end(span: Span, first: int, last: int, encoded: Encoded, text: str, stops: Sequence[int]) -> int:
    """The last trained token: the end-of-turn token where there is one, without white space behind it."""
    ids, offsets = encoded.ids, encoded.offsets

    def is_blank(token: int) -> bool:
        return ids[token] not in stops and not text[slice(*offsets[token])].strip()

    if span.ends_at == "first_stop":
        return next((token for token in range(first, last + 1) if ids[token] in stops), last)
    if span.ends_at == "next_stop":
        after = last + 1
        while after < len(ids) and is_blank(after):
            after += 1
        return after if after < len(ids) and ids[after] in stops else last
    end = last
    while end > first and is_blank(end):
        end -= 1
    return end if end >= first and ids[end] in stops else last


def _frame(ids: list[int], labels: list[int], tokenizer: ChatTokenizer) -> tuple[list[int], list[int]]:
    """A plain text with the tokenizer's own start tokens, not doubled, and one trained end token."""
    before, after = tokenizer.frame
    if tuple(ids[: len(before)]) != before:
        starts_trained = bool(labels) and labels[0] != IGNORED
        ids = [*before, *ids]
        labels = [*(before if starts_trained else [IGNORED] * len(before)), *labels]
    eos = tokenizer.eos_token_id
    tail = after or ((eos,) if eos is not None else ())
    if tail and tuple(ids[-len(tail) :]) != tail:
        ids, labels = [*ids, *tail], [*labels, *tail]
    return ids, labels
