"""Every recipe that ships is one that `finetui check` finds nothing wrong with."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.recipe.load import load_recipe
from core.recipe.schedule import plan_steps
from core.recipe.schema import FullMethod, LoraMethod, QloraMethod

RECIPES = Path(__file__).parents[2] / "recipes"
SHIPPED = (
    "full-own-data.yaml",
    "lora-own-data.yaml",
    "qlora-own-data.yaml",
    "smollm2-gsm8k.yaml",
    "starter-qlora.yaml",
    "starter-too-hot.yaml",
)
METHODS = {"full": FullMethod, "lora": LoraMethod, "qlora": QloraMethod}


def test_all_recipes_are_listed_here() -> None:
    assert tuple(sorted(path.name for path in RECIPES.iterdir())) == SHIPPED


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "smollm2-gsm8k.yaml"])
def test_a_shipped_recipe_is_without_problems(name: str) -> None:
    loaded = load_recipe(RECIPES / name)
    assert loaded.recipe.name == name.removesuffix(".yaml")
    assert loaded.warnings == ()
    assert isinstance(loaded.recipe.method, METHODS.get(name.split("-")[0], QloraMethod))
    assert plan_steps(loaded.recipe, 1000).evaluation_steps


@pytest.mark.parametrize("method", list(METHODS))
def test_smollm2_takes_model_data_and_method_from_the_command_line(folder: Path, method: str) -> None:
    overrides = ("model.path=model", "data.train.0.path=rows.jsonl", "train.max_steps=20", f"method.type={method}")
    recipe = load_recipe(RECIPES / "smollm2-gsm8k.yaml", overrides, folder).recipe
    assert isinstance(recipe.method, METHODS[method])
    assert recipe.train.learning_rate == (2e-5 if method == "full" else 2e-4)
    tokens = (
        recipe.data.max_length * recipe.train.per_device_train_batch_size * recipe.train.gradient_accumulation_steps
    )
    assert tokens <= 512
    assert plan_steps(recipe, 7441).max_steps == 20
    assert recipe.evaluate.sets["validation"].from_train == 32
    assert recipe.checkpoints.best_metric == "validation.loss"
