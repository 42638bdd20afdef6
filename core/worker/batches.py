"""From encoded rows to the batches that are trained: exactly these ids and labels, padded or packed, nothing else.

Packed rows carry `position_ids` that begin anew with each row; with `use_cache=False` the attention of one row does
not reach another. It must not tokenise: what is trained was decided, and shown, in core.data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from datasets import Dataset

from core.data.masks import IGNORED, EncodedRow
from core.data.packing import pack

__all__ = ["IGNORED", "Collator", "to_dataset"]


def to_dataset(rows: Sequence[EncodedRow], *, packing: bool, max_length: int) -> Dataset:
    """A table of `input_ids` and `labels`, one row per example; packed also `position_ids`, which begin anew."""
    if not packing:
        return Dataset.from_dict(
            {"input_ids": [list(row.input_ids) for row in rows], "labels": [list(row.labels) for row in rows]}
        )
    packed = pack(rows, max_length)
    return Dataset.from_dict(
        {
            "input_ids": [list(row.input_ids) for row in packed],
            "labels": [list(row.labels) for row in packed],
            "position_ids": [list(row.position_ids) for row in packed],
        }
    )


@dataclass(frozen=True, slots=True)
class Collator:
    """Pads rows on the right; labels of padding are ignored.

    Gives `input_ids` and `labels` [rows, tokens], and `attention_mask` (plain rows) or `position_ids` (packed rows) of
    the same shape; `tokens` and `tokens_trained` count without asking the device.
    """

    pad_token_id: int

    def __call__(self, rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor | int]:
        width = max(len(row["input_ids"]) for row in rows)
        packed = "position_ids" in rows[0]
        input_ids = torch.full((len(rows), width), self.pad_token_id, dtype=torch.long)
        labels = torch.full((len(rows), width), IGNORED, dtype=torch.long)
        last = torch.zeros((len(rows), width), dtype=torch.long)
        tokens = 0
        for index, row in enumerate(rows):
            length = len(row["input_ids"])
            tokens += length
            input_ids[index, :length] = torch.tensor(row["input_ids"], dtype=torch.long)
            labels[index, :length] = torch.tensor(row["labels"], dtype=torch.long)
            if packed:
                last[index, :length] = torch.tensor(row["position_ids"], dtype=torch.long)
                last[index, length:] = torch.arange(width - length)  # padding is a row of its own
            else:
                last[index, :length] = 1
        return {
            "input_ids": input_ids,
            "labels": labels,
            "position_ids" if packed else "attention_mask": last,
            "tokens": tokens,
            "tokens_trained": int((labels[:, 1:] != IGNORED).sum()),
        }
