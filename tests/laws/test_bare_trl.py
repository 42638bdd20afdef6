"""The same job by a plain TRL script learns the same, step by step: nothing was added to the training itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from core.paths import Workspace
from core.worker.model import guard_evaluation
from tests.worker.tiny import curve, make_recipe, make_run, train_here


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_losses_equal_those_of_a_plain_script(
    method: str, workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """TRL renders, masks and batches by its own rules; evaluations and checkpoints are on our side alone."""
    dropout = [] if method == "full" else ["method.lora_dropout=0.1"]
    held_out_too = tmp_path / "held.jsonl"
    held_out_too.write_bytes(tiny_rows.read_bytes())
    sets = f"evaluate.sets={{held: {{path: {held_out_too}, task: exact_match, role: validation}}}}"
    recipe = make_recipe(tmp_path, tiny_model, tiny_rows, sets, "train.warmup_steps=2", *dropout, method=method)
    run = make_run(workspace, recipe)
    assert train_here(run).outcome == "completed"
    plain = _plain_script(method, tiny_model, tiny_rows, tmp_path)
    assert len(plain) == 20
    for key in ("loss", "grad_norm", "learning_rate"):
        assert list(curve(run, key).values()) == [step[key] for step in plain], key


def _plain_script(method: str, model_folder: Path, rows: Path, output: Path) -> list[dict[str, float]]:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    model = AutoModelForCausalLM.from_pretrained(
        str(model_folder), dtype=torch.float32, quantization_config=quantization if method == "qlora" else None
    )
    guard_evaluation(model, "cpu")
    adapter = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, lora_dropout=0.1, target_modules="all-linear")
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(output / "plain"),
            use_cpu=True,
            bf16=False,
            max_steps=20,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            learning_rate=1e-3,
            lr_scheduler_type="cosine",
            warmup_steps=2,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            activation_checkpointing=False,
            max_length=64,
            seed=42,
            assistant_only_loss=True,
        ),
        train_dataset=Dataset.from_list([json.loads(line) for line in rows.read_text().splitlines()]),
        processing_class=AutoTokenizer.from_pretrained(str(model_folder)),
        peft_config=None if method == "full" else adapter,
    )
    trainer.train()
    return [entry for entry in trainer.state.log_history if "grad_norm" in entry]
