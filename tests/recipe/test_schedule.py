"""The plan drawn before a run is the plan that transformers carries out, step by step."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DatasetError
from core.recipe.schedule import learning_rates, plan_steps, scheduler_arguments
from core.recipe.schema import Recipe

SCHEDULERS = ("cosine", "linear", "constant", "constant_with_warmup", "cosine_with_min_lr", "inverse_sqrt")


def recipe(
    *, evaluate: dict[str, object] | None = None, checkpoints: dict[str, object] | None = None, **train: object
) -> Recipe:
    return Recipe.model_validate(
        {
            "model": {"path": "builtin:starter"},
            "data": {"train": ({"path": "builtin:starter/train"},)},
            "method": {"type": "lora"},
            "train": train,
            "evaluate": evaluate or {},
            "checkpoints": checkpoints or {},
        }
    )


def test_every_scheduler_of_the_schema_is_tested_here() -> None:
    from typing import get_args

    from core.recipe.schema import TrainSection

    assert get_args(TrainSection.model_fields["lr_scheduler_type"].annotation) == SCHEDULERS


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("warmup", [0, 0.03, 0.5, 1, 7, 60])
@pytest.mark.parametrize("steps", [1, 2, 37])
def test_learning_rates_are_what_torch_applies(name: str, warmup: float, steps: int) -> None:
    import torch
    from transformers import get_scheduler
    from transformers.training_args import TrainingArguments

    torch.set_num_threads(1)
    one = recipe(lr_scheduler_type=name, warmup_steps=warmup, max_steps=steps, learning_rate=3e-4, min_lr_rate=0.2)
    plan = plan_steps(one, 100)
    arguments = TrainingArguments(output_dir="unused", use_cpu=True, warmup_steps=warmup, max_steps=steps)
    assert plan.warmup_steps == arguments.get_warmup_steps(steps)

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=one.train.learning_rate)
    scheduler = get_scheduler(
        name, optimizer, plan.warmup_steps, plan.max_steps, scheduler_specific_kwargs=scheduler_arguments(one)
    )
    applied = []
    for _ in range(plan.max_steps):
        applied.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert learning_rates(one, plan) == applied


@pytest.mark.parametrize(
    ("rows", "batch", "accumulation", "epochs", "per_epoch", "total"),
    [(1000, 4, 4, 3, 63, 189), (16, 4, 4, 1, 1, 1), (17, 4, 4, 1, 2, 2), (3, 8, 8, 2, 1, 2), (10, 1, 3, 0.5, 4, 2)],
)
def test_length_by_epochs(rows: int, batch: int, accumulation: int, epochs: float, per_epoch: int, total: int) -> None:
    one = recipe(per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation, num_train_epochs=epochs)
    plan = plan_steps(one, rows)
    assert (plan.steps_per_epoch, plan.max_steps) == (per_epoch, total)


def test_length_is_what_the_trainer_computes() -> None:
    import torch
    from transformers import Trainer, TrainingArguments

    torch.set_num_threads(1)
    for rows, batch, accumulation, epochs in ((1000, 4, 4, 3.0), (17, 4, 4, 1.0), (10, 1, 3, 0.5), (3, 8, 8, 2.3)):
        arguments = TrainingArguments(
            output_dir="unused", use_cpu=True, num_train_epochs=epochs, per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation, report_to=[],
        )  # fmt: skip
        trainer = Trainer(model=torch.nn.Linear(1, 1), args=arguments, train_dataset=[{"x": 0}] * rows)
        loader = trainer.get_train_dataloader()
        _, per_epoch, _, _, _, _, max_steps = trainer.set_initial_training_values(arguments, loader)[:7]
        plan = plan_steps(
            recipe(
                num_train_epochs=epochs, per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation
            ),
            rows,
        )
        assert (plan.steps_per_epoch, plan.max_steps) == (per_epoch, max_steps)


def test_max_steps_win_over_epochs() -> None:
    plan = plan_steps(recipe(max_steps=20, num_train_epochs=3.0), 160)
    assert (plan.max_steps, plan.num_train_epochs) == (20, 2.0)


def test_no_rows_is_an_error() -> None:
    with pytest.raises(DatasetError):
        plan_steps(recipe(), 0)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.integers(1, 5000),
    every=st.none() | st.integers(1, 6000),
    measured=st.none() | st.integers(1, 6000),
    warmup=st.floats(0, 0.999) | st.integers(1, 6000).map(float),
)
def test_a_run_ends_with_a_checkpoint_and_an_evaluation(
    steps: int, every: int | None, measured: int | None, warmup: float
) -> None:
    one = recipe(
        max_steps=steps,
        warmup_steps=warmup,
        checkpoints={"every_steps": every},
        evaluate={"every_steps": measured, "sets": {"v": {"from_train": 3}}},
    )
    plan = plan_steps(one, 10_000)
    assert plan.checkpoint_steps[-1] == plan.evaluation_steps[-1] == steps
    for planned in (plan.checkpoint_steps, plan.evaluation_steps):
        assert list(planned) == sorted(set(planned))
        assert planned[0] >= 1
    if every is None:
        assert len(plan.checkpoint_steps) == min(10, steps)
    if measured is None:
        assert plan.evaluation_steps == plan.checkpoint_steps
    rates = learning_rates(one, plan)
    assert len(rates) == steps
    assert all(math.isfinite(rate) and 0 <= rate <= one.train.learning_rate for rate in rates)


def test_nothing_to_evaluate_means_no_evaluation() -> None:
    sets = {"test": {"path": "builtin:starter/test", "role": "test"}}
    assert plan_steps(recipe(max_steps=5, evaluate={"sets": sets}), 10).evaluation_steps == ()
    assert plan_steps(recipe(max_steps=5, evaluate={"prompts": ("hi",), "sets": sets}), 10).evaluation_steps
