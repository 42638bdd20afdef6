"""The one evaluation: loss and task score of a set, for the run in training and for the evaluate job alike.

It leaves no trace on what it measures: modes, random states and weights are afterwards what they were before. It must
not write events or know checkpoints.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from core.data.chat import ChatTokenizer
from core.data.masks import EncodedRow
from core.data.prepare import PreparedEvaluation
from core.evaluate.scores import score
from core.evaluate.tasks import TASKS
from core.events import ExampleScore
from core.worker.batches import IGNORED
from core.worker.generate import generate_greedy

_LOGIT_BYTES = 512 * 1024 * 1024
"""Room for a batch's logits in float32: bounds rows × tokens × vocabulary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How answers are made; results are comparable only where these agree."""

    max_new_tokens: int
    batch_size: int
    autocast: bool = False

    def describe(self, needs_generation: bool) -> str:
        """In words, as it is stored beside a result."""
        return f"greedy, at most {self.max_new_tokens} new tokens" if needs_generation else "no generation"


@dataclass(frozen=True, slots=True)
class SetResult:
    """`metrics` has `loss` (nats per trained token) and, for tasks with answers, the task's mean score (0 to 1)."""

    metrics: dict[str, float]
    examples: tuple[ExampleScore, ...]
    seconds: float
    generation: str


@contextmanager
def untouched(model: PreTrainedModel, autocast: bool) -> Iterator[None]:
    """Evaluation mode without gradients; module modes and all random states are put back afterwards."""
    training = [module for module in model.modules() if module.training]
    states = (random.getstate(), np.random.get_state(), torch.random.get_rng_state())
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    model.eval()
    try:
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16) if autocast else nullcontext():
            yield
    finally:
        for module in training:
            module.training = True
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])
        if cuda_states:
            torch.cuda.set_rng_state_all(cuda_states)


def evaluate_set(
    model: PreTrainedModel,
    tokenizer: ChatTokenizer,
    prepared: PreparedEvaluation,
    task: str,
    settings: EvaluationSettings,
    should_stop: Callable[[], bool] = lambda: False,
) -> SetResult | None:
    """Loss of every example and, where the task wants one, the score of a greedy answer; None if asked to stop."""
    began = time.monotonic()
    examples = prepared.examples
    needs_generation = TASKS[task].needs_generation
    answers: list[tuple[int, ...]] | None = None
    with untouched(model, settings.autocast):
        losses = row_losses(model, [example.encoded for example in examples], settings.batch_size, should_stop)
        if losses is not None and needs_generation:
            answers = generate_greedy(
                model,
                [example.prompt_ids for example in examples],
                max_new_tokens=settings.max_new_tokens,
                batch_size=settings.batch_size,
                pad_token_id=tokenizer.pad_token_id,
                stop_token_ids=tokenizer.stop_token_ids,
                should_stop=should_stop,
            )
    if losses is None or (needs_generation and answers is None):
        return None
    rows = []
    for position, (example, (total, tokens)) in enumerate(zip(examples, losses, strict=True)):
        output = tokenizer.decode(answers[position]) if answers is not None else None
        rows.append(
            ExampleScore(
                index=example.index,
                output=output,
                score=score(task, output, example.expected) if output is not None else None,
                negative_log_likelihood=total / tokens if tokens else None,
                output_tokens=len(answers[position]) if answers is not None else None,
            )
        )
    metrics = _summary(task, rows, losses)
    return SetResult(metrics, tuple(rows), time.monotonic() - began, settings.describe(needs_generation))


def _summary(task: str, rows: Sequence[ExampleScore], losses: Sequence[tuple[float, int]]) -> dict[str, float]:
    tokens = sum(count for _, count in losses)
    metrics = {"loss": sum(total for total, _ in losses) / tokens} if tokens else {}
    scores = [row.score for row in rows if row.score is not None]
    if scores:
        metrics[task] = sum(scores) / len(scores)
    return metrics


def row_losses(
    model: PreTrainedModel,
    rows: Sequence[EncodedRow],
    batch_size: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[tuple[float, int]] | None:
    """(summed negative log-likelihood in nats, trained tokens) of each row; None if asked to stop.

    Caller's duty: evaluation mode, no gradients. `use_cache=False` throughout: with a cache, transformers builds
    another attention mask.
    """
    results: list[tuple[float, int]] = [(0.0, 0)] * len(rows)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    order = sorted(range(len(rows)), key=lambda index: -len(rows[index].input_ids))
    while order:
        if should_stop():
            return None
        width = max(1, len(rows[order[0]].input_ids))
        count = max(1, min(batch_size, _LOGIT_BYTES // (4 * width * vocabulary)))
        batch, order = order[:count], order[count:]
        for index, result in zip(batch, _batch_losses(model, [rows[index] for index in batch], width), strict=True):
            results[index] = result
    return results


def _batch_losses(model: PreTrainedModel, rows: Sequence[EncodedRow], width: int) -> list[tuple[float, int]]:
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    labels = torch.full((len(rows), width), IGNORED, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        length = len(row.input_ids)
        ids[index, :length] = torch.tensor(row.input_ids, dtype=torch.long)
        labels[index, :length] = torch.tensor(row.labels, dtype=torch.long)
        mask[index, :length] = 1
    device = model.device
    logits = model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).logits
    targets = labels[:, 1:].to(device)
    trained = targets != IGNORED
    per_token = torch.zeros(targets.shape, dtype=torch.float32, device=device)
    chosen = logits[:, :-1][trained].float()  # only trained positions: the rest of the logits is never upcast
    per_token[trained] = torch.nn.functional.cross_entropy(chosen, targets[trained], reduction="none")
    sums = per_token.double().sum(dim=1).tolist()
    return list(zip(sums, trained.sum(dim=1).tolist(), strict=True))
