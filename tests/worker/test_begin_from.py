"""A new run that begins from another run's checkpoint, with another recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.events import Started, StepLogged
from core.paths import Workspace
from tests.worker.tiny import curve, events, make_recipe, make_run, train_here

FIVE = "train.max_steps=5"
FLAT = ("train.lr_scheduler_type=constant", "train.warmup_steps=0", "train.seed=7")


@pytest.mark.parametrize("methods", [("qlora", "qlora"), ("full", "full"), ("full", "lora")])
def test_weights_are_taken_over_and_the_optimizer_is_not(
    methods: tuple[str, str], workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """Its first loss lies under that of a run from the base, and its steps begin at 1."""
    before, after = methods
    trained = make_recipe(tmp_path, tiny_model, tiny_rows, FIVE, "train.learning_rate=5e-3", *FLAT, method=before)
    first = make_run(workspace, trained)
    assert train_here(first).outcome == "completed"
    changed = make_recipe(tmp_path, tiny_model, tiny_rows, FIVE, *FLAT, method=after)
    fresh, second = make_run(workspace, changed), make_run(workspace, changed, resumed_from=f"{first.run_id}@5")
    assert train_here(fresh).outcome == train_here(second).outcome == "completed"
    assert curve(second, "loss")[1] < curve(fresh, "loss")[1] - 0.02
    assert [event.resumed_from_step for event in events(second, Started)] == [None]
    assert events(second, StepLogged)[0].step == 1


def test_an_adapter_is_not_a_base_for_full_fine_tuning(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    first = make_run(workspace, make_recipe(tmp_path, tiny_model, tiny_rows, FIVE))
    train_here(first)
    full = make_recipe(tmp_path, tiny_model, tiny_rows, FIVE, method="full")
    ending = train_here(make_run(workspace, full, resumed_from=f"{first.run_id}@5"))
    assert ending.outcome == "could_not_start" and "adapter" in ending.message


def test_a_checkpoint_that_is_not_there(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(tmp_path, tiny_model, tiny_rows, FIVE)
    other = make_run(workspace, recipe)
    ending = train_here(make_run(workspace, recipe, resumed_from=f"{other.run_id}@5"))
    assert ending.outcome == "could_not_start" and "step-000005" in ending.message
