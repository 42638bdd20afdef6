"""What a recipe and its number of rows mean step by step: length, warm-up, evaluations, checkpoints, learning rates.

The worker follows this plan and the app draws it before a run starts, so both must come from here. The formulas are
those of transformers' Trainer and `optimization.py`, written without torch; a test holds them equal, step by step.

Convention: optimizer steps count from 1, and the learning rate of step k is the one that step k applies. The
scheduler's own counter is k - 1 then, so with a linear warm-up the rate of step 1 is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import DatasetError
from core.recipe.schema import Recipe

CHECKPOINTS_BY_DEFAULT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """The optimizer steps of one run; step numbers are 1-based and ascending.

    `num_train_epochs` are the passes over the rows that `max_steps` come to, whichever of the two the recipe gave.
    """

    max_steps: int
    steps_per_epoch: int
    num_train_epochs: float
    warmup_steps: int
    evaluation_steps: tuple[int, ...]
    checkpoint_steps: tuple[int, ...]


def plan_steps(recipe: Recipe, train_rows: int) -> StepPlan:
    """The plan for `train_rows` sequences as they are batched: after held-out rows are gone, and packed where asked.

    A run ends with a checkpoint, and with an evaluation where there is anything to evaluate.

    Raises:
        DatasetError: there is no row to train on.
    """
    if train_rows < 1:
        raise DatasetError(
            "there is no row left to train on", try_this="see `finetui check` and the report on the data"
        )
    train = recipe.train
    batches = math.ceil(train_rows / train.per_device_train_batch_size)
    steps_per_epoch = max(1, math.ceil(batches / train.gradient_accumulation_steps))
    max_steps = train.max_steps or max(1, math.ceil(train.num_train_epochs * steps_per_epoch))
    checkpoint_steps = _every(recipe.checkpoints.every_steps, max_steps) or _spread(max_steps)
    return StepPlan(
        max_steps=max_steps,
        steps_per_epoch=steps_per_epoch,
        num_train_epochs=max_steps / steps_per_epoch,
        warmup_steps=_warmup_steps(train.warmup_steps, max_steps),
        evaluation_steps=_evaluation_steps(recipe, max_steps, checkpoint_steps),
        checkpoint_steps=checkpoint_steps,
    )


def _evaluation_steps(recipe: Recipe, max_steps: int, checkpoint_steps: tuple[int, ...]) -> tuple[int, ...]:
    evaluate = recipe.evaluate
    if not evaluate.prompts and all(one.role == "test" for one in evaluate.sets.values()):
        return ()
    return _every(evaluate.every_steps, max_steps) or checkpoint_steps


def _every(every_steps: int | None, max_steps: int) -> tuple[int, ...]:
    """The multiples of `every_steps`, and the last step."""
    if every_steps is None:
        return ()
    return tuple(sorted({*range(every_steps, max_steps + 1, every_steps), max_steps}))


def _spread(max_steps: int) -> tuple[int, ...]:
    """Ten steps spread evenly through the run, the last among them; fewer where the run has fewer."""
    return tuple(sorted({math.ceil(max_steps * part / CHECKPOINTS_BY_DEFAULT) for part in range(1, 11)}))


def _warmup_steps(warmup_steps: float, max_steps: int) -> int:
    return int(warmup_steps) if warmup_steps >= 1 else math.ceil(max_steps * warmup_steps)


def scheduler_arguments(recipe: Recipe) -> dict[str, float]:
    """What transformers' `lr_scheduler_kwargs` have to be for this recipe."""
    is_used = recipe.train.lr_scheduler_type == "cosine_with_min_lr"
    return {"min_lr_rate": recipe.train.min_lr_rate} if is_used else {}


def learning_rates(recipe: Recipe, plan: StepPlan) -> list[float]:
    """The learning rate that each optimizer step applies: item 0 is step 1's. Length: `plan.max_steps`."""
    train = recipe.train
    after_warmup = _AFTER_WARMUP[train.lr_scheduler_type]
    warmup = 0 if train.lr_scheduler_type == "constant" else plan.warmup_steps
    minimum = scheduler_arguments(recipe).get("min_lr_rate", 0.0)

    def factor(counter: int) -> float:
        if counter < warmup:
            return counter / max(1, warmup)
        return after_warmup(counter, warmup, plan.max_steps, minimum)

    return [train.learning_rate * factor(counter) for counter in range(plan.max_steps)]


def _constant(_counter: int, _warmup: int, _total: int, _minimum: float) -> float:
    return 1.0


def _linear(counter: int, warmup: int, total: int, _minimum: float) -> float:
    return max(0.0, (total - counter) / max(1, total - warmup))


def _cosine(counter: int, warmup: int, total: int, minimum: float) -> float:
    progress = (counter - warmup) / max(1, total - warmup)
    factor = 0.5 * (1.0 + math.cos(math.pi * progress))
    return max(0.0, factor * (1 - minimum) + minimum)


def _inverse_sqrt(counter: int, warmup: int, _total: int, _minimum: float) -> float:
    timescale = warmup or 10_000  # transformers' own value where there is no warm-up
    return 1.0 / math.sqrt((counter + timescale - warmup) / timescale)


_AFTER_WARMUP: dict[str, Callable[[int, int, int, float], float]] = {
    "constant": _constant,
    "constant_with_warmup": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "cosine_with_min_lr": _cosine,
    "inverse_sqrt": _inverse_sqrt,
}
