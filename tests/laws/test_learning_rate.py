"""The rate that is drawn before a run is the rate that the run applies, at every step."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.recipe.schedule import learning_rates, plan_steps
from tests.laws.harness import draw_rows, train_rows
from tests.worker.tiny import make_recipe

SCHEDULES = (
    "cosine", "linear", "constant", "constant_with_warmup", "cosine_with_min_lr", "inverse_sqrt",
)  # fmt: skip


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_applied_rate_is_the_planned_one(schedule: str, tiny_model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    recipe = make_recipe(
        tmp_path, tiny_model, tiny_rows, f"train.lr_scheduler_type={schedule}", "train.warmup_steps=0.2",
        "train.max_steps=10",
    )  # fmt: skip
    rows = draw_rows(16)
    applied = [step["learning_rate"] for step in train_rows(recipe, rows, tmp_path)]
    assert applied == pytest.approx(learning_rates(recipe, plan_steps(recipe, len(rows))), rel=1e-12)
    assert len(applied) == 10
