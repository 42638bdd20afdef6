"""Looking does not change: an evaluation leaves gradients, random states and modes as they were."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest
import torch

from core.data.chat import ChatTokenizer
from core.data.load import Source
from core.data.prepare import prepare_evaluation
from core.worker.evaluation import EvaluationSettings, evaluate_set
from core.worker.objectives.sft import SftTrainer
from tests.laws.harness import draw_rows, trainer_of
from tests.worker.tiny import make_recipe


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_evaluation_does_not_change_training(method: str, tiny_model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    """On CPUs with AVX512-BF16 an evaluation used to make every later 4-bit gradient wrong, without an error."""
    trainer, _ = trainer_of(make_recipe(tmp_path, tiny_model, tiny_rows, method=method), draw_rows(8), tmp_path)
    trainer.model.train()
    tokenizer = ChatTokenizer.load(tiny_model)
    prepared = prepare_evaluation(Source(path=str(tiny_rows)), tokenizer, max_length=64)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*autograd.*")  # a kernel without gradients says no more than this
        before = gradients(trainer)
        states = random.getstate(), torch.random.get_rng_state()
        settings = EvaluationSettings(max_new_tokens=4, batch_size=8)
        result = evaluate_set(trainer.model, tokenizer, prepared, "exact_match", settings)
        assert result is not None and len(result.examples) == 40
        assert random.getstate() == states[0]
        assert torch.equal(torch.random.get_rng_state(), states[1])
        assert trainer.model.training
        after = gradients(trainer)
    assert before and before.keys() == after.keys()
    for name, gradient in before.items():
        assert torch.equal(gradient, after[name]), name


def gradients(trainer: SftTrainer) -> dict[str, torch.Tensor]:
    """Of one fixed batch."""
    trainer.model.zero_grad()
    batch = trainer.data_collator([trainer.train_dataset[index] for index in range(4)])
    batch = {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}
    trainer.compute_loss(trainer.model, batch).backward()
    return {
        name: parameter.grad.clone()
        for name, parameter in trainer.model.named_parameters()
        if parameter.grad is not None
    }
