"""How rows are put into batches changes speed and memory, never what is learnt."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.laws.harness import draw_rows, train_rows, trainer_of
from tests.worker.tiny import make_recipe

ONE_BY_EIGHT = ("train.per_device_train_batch_size=1", "train.gradient_accumulation_steps=8")
EIGHT_BY_ONE = ("train.per_device_train_batch_size=8", "train.gradient_accumulation_steps=1")


@pytest.mark.parametrize("method", ["full", "lora"])
def test_accumulated_batches_equal_one_large_batch(
    method: str, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """Each trained token weighs the same, though rows differ in length: a mean of means would not pass."""
    rows = draw_rows(32)
    logs = [
        train_rows(
            make_recipe(tmp_path, tiny_model, tiny_rows, "train.max_steps=6", *split, method=method), rows, tmp_path
        )
        for split in (ONE_BY_EIGHT, EIGHT_BY_ONE)
    ]
    assert len(logs[0]) == len(logs[1]) == 6
    for key in ("loss", "grad_norm"):
        first, second = ([step[key] for step in log] for log in logs)
        assert first == pytest.approx(second, rel=2e-4)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("method", ["full", "qlora"])
def test_packed_rows_learn_what_separate_rows_learn(
    attention: str, method: str, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """All rows in one optimizer step: loss and every gradient agree, so no row sees another."""
    rows = draw_rows(12)
    shared = ("train.max_steps=1", f"model.attention={attention}", "train.gradient_accumulation_steps=1")
    separate = make_recipe(
        tmp_path, tiny_model, tiny_rows, *shared, "train.per_device_train_batch_size=12", method=method
    )
    packed = make_recipe(
        tmp_path, tiny_model, tiny_rows, *shared, "data.packing=true", "data.max_length=64",
        "train.per_device_train_batch_size=8", method=method,
    )  # fmt: skip
    one, other = train_rows(separate, rows, tmp_path)[0], train_rows(packed, rows, tmp_path)[0]
    tolerance = 1e-5 if method == "full" else 1e-2  # qlora's adapters and their gradients are held in bfloat16
    assert one["loss"] == pytest.approx(other["loss"], abs=1e-5)
    assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=tolerance)


def test_packing_packs(tiny_model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, tiny_model, tiny_rows, "data.packing=true", "data.max_length=64")
    rows = draw_rows(12)
    trainer, _ = trainer_of(recipe, rows, tmp_path)
    assert len(trainer.train_dataset) < len(rows) / 2
    packed = [tokens for row in trainer.train_dataset for tokens in row["input_ids"]]
    assert sorted(packed) == sorted(token for row in rows for token in row.input_ids)


def test_masked_tokens_contribute_nothing(tiny_model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    """Rows without a trained token, added to the batch, change neither loss nor gradient."""
    recipe = make_recipe(
        tmp_path, tiny_model, tiny_rows, "train.max_steps=1", "train.per_device_train_batch_size=16",
        "train.gradient_accumulation_steps=1", method="full",
    )  # fmt: skip
    rows = draw_rows(8)
    alone = train_rows(recipe, rows, tmp_path)[0]
    beside = train_rows(recipe, rows + draw_rows(8, seed=2, trained=False), tmp_path)[0]
    assert alone["loss"] == pytest.approx(beside["loss"], abs=1e-6)
    assert alone["grad_norm"] == pytest.approx(beside["grad_norm"], rel=1e-6)


def test_loss_is_the_mean_over_trained_tokens(tiny_model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    """Against a plain cross entropy, row by row, without the library's fused head."""
    from transformers import AutoModelForCausalLM

    rows = draw_rows(8)
    recipe = make_recipe(
        tmp_path, tiny_model, tiny_rows, "train.max_steps=1", "train.per_device_train_batch_size=8",
        "train.gradient_accumulation_steps=1", method="full",
    )  # fmt: skip
    logged = train_rows(recipe, rows, tmp_path)[0]["loss"]
    model = AutoModelForCausalLM.from_pretrained(str(tiny_model))
    total, count = 0.0, 0
    for row in rows:
        with torch.no_grad():
            logits = model(torch.tensor([row.input_ids]), use_cache=False).logits[0, :-1]
        labels = torch.tensor(row.labels[1:])
        total += torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
        count += int((labels != -100).sum())
    assert logged == pytest.approx(total / count, abs=1e-5)
