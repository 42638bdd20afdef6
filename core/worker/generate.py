"""Greedy answers in batches: sorted by length, padded on the left, stopped at the model's own end tokens.

It must not score or report; who asks decides what an answer means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from transformers import GenerationConfig, PreTrainedModel

_TOKENS_AT_ONCE = 16_384
"""Rows × tokens in one batch: bounds the key-value cache (2 GiB for an 8 B model with grouped heads)."""


def generate_greedy(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    batch_size: int,
    pad_token_id: int,
    stop_token_ids: Sequence[int],
    should_stop: Callable[[], bool] = lambda: False,
) -> list[tuple[int, ...]] | None:
    """The generated tokens of each prompt, in the order of `prompts`, without the stop token; None if asked to stop.

    Caller's duty: evaluation mode, no gradients (see `evaluation.untouched`).
    """
    answers: list[tuple[int, ...]] = [()] * len(prompts)
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        pad_token_id=pad_token_id,
        eos_token_id=list(stop_token_ids),
        use_cache=True,
    )
    for batch in _batches(prompts, max_new_tokens, batch_size):
        if should_stop():
            return None
        width = max(len(prompts[index]) for index in batch)
        ids = torch.full((len(batch), width), pad_token_id, dtype=torch.long)
        mask = torch.zeros((len(batch), width), dtype=torch.long)
        for row, index in enumerate(batch):
            length = len(prompts[index])
            ids[row, width - length :] = torch.tensor(list(prompts[index]), dtype=torch.long)
            mask[row, width - length :] = 1
        output = model.generate(
            input_ids=ids.to(model.device), attention_mask=mask.to(model.device), generation_config=config
        )
        for index, tokens in zip(batch, output[:, width:].tolist(), strict=True):
            answers[index] = _until_stop(tokens, stop_token_ids)
    return answers


def _batches(prompts: Sequence[Sequence[int]], max_new_tokens: int, batch_size: int) -> list[list[int]]:
    """Indices of prompts, longest first, so that the largest batch fails first if memory is short."""
    order = sorted((index for index, prompt in enumerate(prompts) if prompt), key=lambda index: -len(prompts[index]))
    batches: list[list[int]] = []
    while order:
        rows = max(1, min(batch_size, _TOKENS_AT_ONCE // (len(prompts[order[0]]) + max_new_tokens)))
        batches.append(order[:rows])
        order = order[rows:]
    return batches


def _until_stop(tokens: Sequence[int], stop_token_ids: Sequence[int]) -> tuple[int, ...]:
    kept = []
    for token in tokens:
        if token in stop_token_ids:
            break
        kept.append(token)
    return tuple(kept)
