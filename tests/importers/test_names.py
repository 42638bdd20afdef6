"""What foreign metric names mean here."""

from __future__ import annotations

import pytest

from core.importers.names import EVALUATION, METRIC, Meaning, meanings, roles

OURS = ["value_loss", "evaluation_time", "kl/test"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["train/loss", "train/grad_norm"], {"train/loss": "loss", "train/grad_norm": "grad_norm"}),
        (["loss", "train/loss"], {"loss": "loss", "train/loss": "train/loss"}),
        (["train_loss", "lr"], {"train_loss": "loss", "lr": "learning_rate"}),
        (["train_loss", "loss"], {"train_loss": "train_loss", "loss": "loss"}),
        (OURS, {key: key for key in OURS}),
    ],
)  # fmt: skip
def test_curves(keys: list[str], expected: dict[str, str]) -> None:
    assert {key: means.name for key, means in meanings(keys).items() if means.kind == METRIC} == expected


def test_the_trainers_summary_is_no_curve() -> None:
    found = meanings(["loss", "train_loss", "train_runtime", "total_flos", "epoch", "global_step", "num_tokens"])
    kinds = {key: means.kind for key, means in found.items()}
    assert kinds == {
        "loss": "metric", "train_loss": "total", "train_runtime": "total", "total_flos": "total", "epoch": "epoch",
        "global_step": "nothing", "num_tokens": "tokens",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "key", "set_name", "metric"),
    [
        (["eval_loss", "eval_runtime"], "eval_loss", "eval", "loss"),
        (["eval/loss"], "eval/loss", "eval", "loss"),
        (["val_loss"], "val_loss", "val", "loss"),
        (["test/accuracy"], "test/accuracy", "test", "accuracy"),
        (["eval_code_loss", "eval_code_runtime"], "eval_code_loss", "code", "loss"),
        (["eval_a_loss", "eval_a_runtime", "eval_a_b_loss", "eval_a_b_runtime"], "eval_a_b_loss", "a_b", "loss"),
        (["eval/general/exact_match"], "eval/general/exact_match", "general", "exact_match"),
    ],
)
def test_evaluations(keys: list[str], key: str, set_name: str, metric: str) -> None:
    assert meanings(keys)[key] == Meaning(EVALUATION, metric, set_name)


def test_one_set_is_the_validation_set() -> None:
    assert roles(["general", "val", "test"]) == {"general": "other", "val": "validation", "test": "test"}
    assert roles(["code", "maths"]) == {"code": "validation", "maths": "other"}
    assert roles([]) == {}
