"""Several rows in one sequence, because short rows padded to the longest waste most of a batch.

Best-fit decreasing (Johnson 1974; for language models: Ding et al. 2024, arXiv:2404.10830): the longest rows first,
each into the fullest sequence that still has room.  No row is cut, and positions begin anew with each row, so that a
trainer that honours `position_ids` keeps the rows apart.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

from core.data.masks import IGNORED, EncodedRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedRow:
    """One sequence. `lengths`: tokens of each row in it, in order; `members`: their positions among the rows given.

    `labels` of each row's first token are -100: it must not be predicted from the row before it.
    """

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    position_ids: tuple[int, ...]
    lengths: tuple[int, ...]
    members: tuple[int, ...]


def pack(rows: Sequence[EncodedRow], max_length: int) -> tuple[PackedRow, ...]:
    """The rows packed into sequences of at most `max_length` tokens, ordered by their first member.

    The same rows always pack in the same way; within a sequence they keep their order.

    Raises:
        ValueError: a row is longer than `max_length`.
    """
    sequences = plan([len(row.input_ids) for row in rows], max_length)
    return tuple(_join(rows, members) for members in sequences)


def plan(lengths: Sequence[int], max_length: int) -> list[list[int]]:
    """Which rows share a sequence, by position: best-fit decreasing in O(n log n) searches.

    Raises:
        ValueError: a length is above `max_length`.
    """
    if lengths and max(lengths) > max_length:
        raise ValueError(f"a row of {max(lengths)} tokens does not fit into {max_length}")
    sequences: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free tokens, sequence), sorted: the first with enough room is the fullest
    for row in sorted(range(len(lengths)), key=lambda position: (-lengths[position], position)):
        found = bisect_left(room, (lengths[row], -1))
        free, sequence = room.pop(found) if found < len(room) else (max_length, len(sequences))
        if sequence == len(sequences):
            sequences.append([])
        sequences[sequence].append(row)
        insort(room, (free - lengths[row], sequence))
    return sorted(sorted(members) for members in sequences)


def _join(rows: Sequence[EncodedRow], members: Sequence[int]) -> PackedRow:
    input_ids: list[int] = []
    labels: list[int] = []
    positions: list[int] = []
    for member in members:
        row = rows[member]
        input_ids += row.input_ids
        labels += (IGNORED, *row.labels[1:])
        positions += range(len(row.input_ids))
    return PackedRow(
        input_ids=tuple(input_ids),
        labels=tuple(labels),
        position_ids=tuple(positions),
        lengths=tuple(len(rows[member].input_ids) for member in members),
        members=tuple(members),
    )
