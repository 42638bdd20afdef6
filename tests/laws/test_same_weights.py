"""What is saved is what was trained: evaluated later, merged, or opened outside finetui, it computes the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.events import Evaluated
from core.paths import Workspace
from core.recipe.schema import Recipe
from tests.worker.tiny import events, make_job, make_recipe, make_run, run_here, train_here

PROMPT = torch.tensor([[2, 102, 37, 56, 1, 3, 102]])


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_evaluation_of_a_checkpoint_equals_the_one_while_training(
    method: str, workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """The evaluate job measures exactly what the training saw at that step, and the base gets its own row."""
    from core.worker.jobs import evaluate

    recipe = make_recipe(tmp_path, tiny_model, tiny_rows, "train.max_steps=10", method=method)
    run = make_run(workspace, recipe)
    train_here(run)
    arguments = {"targets": [f"{run.run_id}@base", f"{run.run_id}@5", f"{run.run_id}@10"], "sets": ["held"]}
    job = make_job(workspace, recipe, kind="evaluate", arguments=arguments)

    assert run_here(job, evaluate.run).outcome == "completed"

    while_training = {event.step: event.metrics for event in events(run, Evaluated)}
    later = {event.checkpoint: event for event in events(job, Evaluated)}
    assert list(later) == arguments["targets"]
    for step in (5, 10):
        assert later[f"{run.run_id}@{step}"].metrics == while_training[step]
        assert later[f"{run.run_id}@{step}"].checkpoint_sha256
    base = later[f"{run.run_id}@base"]
    assert base.step == 0 and base.checkpoint_sha256 is None
    assert base.metrics["loss"] > while_training[10]["loss"]


def test_full_checkpoint_opens_in_plain_transformers(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = _trained(workspace, make_recipe(tmp_path, tiny_model, tiny_rows, "train.max_steps=5", method="full"))
    plain = AutoModelForCausalLM.from_pretrained(str(run), use_safetensors=True)
    base = AutoModelForCausalLM.from_pretrained(str(tiny_model))
    assert not torch.equal(plain(PROMPT).logits, base(PROMPT).logits)
    chat = [{"role": "user", "content": "a 3"}]
    before = AutoTokenizer.from_pretrained(str(tiny_model)).apply_chat_template(chat, tokenize=False)
    assert AutoTokenizer.from_pretrained(str(run)).apply_chat_template(chat, tokenize=False) == before


def test_merged_adapter_equals_the_adapter_and_an_untrained_one_changes_nothing(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    run = _trained(workspace, make_recipe(tmp_path, tiny_model, tiny_rows, "train.max_steps=5"))
    with torch.no_grad():
        base = AutoModelForCausalLM.from_pretrained(str(tiny_model)).eval()
        alone = base(PROMPT).logits
        adapted = PeftModel.from_pretrained(base, str(run))
        tuned = adapted(PROMPT).logits
        with adapted.disable_adapter():
            assert torch.equal(adapted(PROMPT).logits, alone)
        merged = adapted.merge_and_unload()(PROMPT).logits
        fresh = get_peft_model(
            AutoModelForCausalLM.from_pretrained(str(tiny_model)), LoraConfig(target_modules="all-linear")
        ).eval()
        assert torch.equal(fresh(PROMPT).logits, alone)
    assert (tuned - alone).abs().max() > 1e-3
    assert torch.allclose(merged, tuned, atol=1e-5)


def _trained(workspace: Workspace, recipe: Recipe) -> Path:
    run = make_run(workspace, recipe)
    assert train_here(run).outcome == "completed"
    return run.checkpoint(5)
