"""Which key a person may have meant: other tools' names, names in the wrong section, and slips of the keyboard.

It only words hints; what is a key at all is the schema's matter.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import get_args

from core.recipe.schema import FullMethod, LoraMethod, Recipe, Section
from core.recipe.schema_data import DataSource, EvaluationSet

SECTIONS: Mapping[str, tuple[type[Section], ...]] = {
    name: get_args(field.annotation) or (field.annotation,)
    for name, field in Recipe.model_fields.items()
    if name != "name"
}
"""The section's classes by its key; `method` has one for each method."""

OTHER_NAMES: Mapping[str, str] = {
    # transformers 4 and TRL
    "warmup_ratio": "train.warmup_steps, below 1 a share of all steps",
    "torch_dtype": "model.dtype",
    "bf16": "model.dtype: bfloat16",
    "fp16": "model.dtype: bfloat16 (fp16 is not offered: it needs loss scaling)",
    "attn_implementation": "model.attention",
    "flash_attention": "model.attention: flash_attention_2",
    "model_name_or_path": "model.path",
    "model_name": "model.path",
    "model_revision": "model.revision",
    "max_seq_length": "data.max_length",
    "assistant_only_loss": "data.train_on: assistant",
    "completion_only_loss": "data.train_on: assistant",
    "gradient_checkpointing": "train.activation_checkpointing",
    "per_device_eval_batch_size": "evaluate.batch_size",
    "eval_steps": "evaluate.every_steps",
    "eval_strategy": "evaluate.every_steps",
    "evaluation_strategy": "evaluate.every_steps",
    "early_stopping": "evaluate.early_stopping_patience",
    "save_steps": "checkpoints.every_steps",
    "save_strategy": "checkpoints.every_steps",
    "save_total_limit": "checkpoints.keep",
    "metric_for_best_model": "checkpoints.best_metric",
    "load_best_model_at_end": "nothing: the best checkpoint is always kept",
    "logging_steps": "nothing: every step is logged",
    "output_dir": "nothing: a run has its own folder",
    "overwrite_output_dir": "nothing: a run has its own folder",
    "report_to": "nothing: everything goes to the workspace's own store",
    "resume_from_checkpoint": "nothing: `finetui resume RUN`",
    "trust_remote_code": "nothing: finetui never runs code that comes with a model",
    "load_in_4bit": "method.type: qlora",
    "load_in_8bit": "method.type: qlora",
    "use_peft": "method.type: lora",
    "loss_type": "objective.type",
    # axolotl
    "base_model": "model.path",
    "datasets": "data.train",
    "adapter": "method.type",
    "sequence_len": "data.max_length",
    "sample_packing": "data.packing",
    "micro_batch_size": "train.per_device_train_batch_size",
    "num_epochs": "train.num_train_epochs",
    "lr_scheduler": "train.lr_scheduler_type",
    "optimizer": "train.optim",
    "train_on_inputs": "data.train_on: all",
    "val_set_size": "evaluate.sets: {validation: {from_train: 100}}",
    "excess_length_strategy": "data.overlong",
    "lora_target_linear": "method.lora_target_modules: all-linear",
    # LLaMA-Factory
    "finetuning_type": "method.type",
    "stage": "objective.type",
    "dataset": "data.train",
    "cutoff_len": "data.max_length",
    "lora_rank": "method.lora_r",
    "lora_target": "method.lora_target_modules",
    "quantization_bit": "method.type: qlora",
    "train_on_prompt": "data.train_on: all",
    "val_size": "evaluate.sets: {validation: {from_train: 100}}",
    # habits
    "lr": "train.learning_rate",
    "epochs": "train.num_train_epochs",
    "batch_size": "train.per_device_train_batch_size",
    "grad_accum": "train.gradient_accumulation_steps",
    "gradient_accumulation": "train.gradient_accumulation_steps",
    "steps": "train.max_steps",
    "rank": "method.lora_r",
    "r": "method.lora_r",
    "alpha": "method.lora_alpha",
    "dropout": "method.lora_dropout",
    "target_modules": "method.lora_target_modules",
    "scheduler": "train.lr_scheduler_type",
    "warmup": "train.warmup_steps",
    "clip_grad_norm": "train.max_grad_norm",
    "gradient_clipping": "train.max_grad_norm",
    "patience": "evaluate.early_stopping_patience",
    "eval": "evaluate",
    "evaluation": "evaluate",
    "save": "checkpoints",
    "checkpoint": "checkpoints",
    "training": "train",
    "trainer": "train",
}

OTHER_VALUES: Mapping[str, str] = {
    "bf16": "bfloat16",
    "fp32": "float32",
    "fp16": "bfloat16 or float32; float16 needs loss scaling and is not offered",
    "float16": "bfloat16 or float32; float16 needs loss scaling and is not offered",
    "flash_attn": "flash_attention_2",
    "polynomial": "linear, which is its first power",
    "adamw": "adamw_torch_fused",
    "adamw_bnb_8bit": "adamw_8bit",
    "assistants": "assistant",
    "chatml": "messages",
    "openai": "messages",
    "chat": "messages",
    "conversations": "sharegpt",
    "instruction": "alpaca",
    "completion": "text",
    "qa": "question_answer",
    "accuracy": "exact_match",
    "val": "validation",
    "eval": "validation",
    "freeze": "full, lora or qlora",
}


@cache
def _places() -> Mapping[str, tuple[str, ...]]:
    """Every key's full names: `learning_rate` → (`train.learning_rate`,)."""
    places: dict[str, list[str]] = {}
    for section, classes in SECTIONS.items():
        for key in {key for class_ in classes for key in class_.model_fields}:
            places.setdefault(key, []).append(f"{section}.{key}")
    for prefix, class_ in (("data.train.0", DataSource), ("evaluate.sets.NAME", EvaluationSet)):
        for key in class_.model_fields:
            places.setdefault(key, []).append(f"{prefix}.{key}")
    return {key: tuple(names) for key, names in places.items()}


def hint_for_key(key: str, siblings: Iterable[str], parent: str) -> str:
    """What to write in place of an unknown `key` among `siblings`, the keys known at that place; empty if unknown.

    `parent` is the section's dotted path, so that the hint is not the name that was refused.
    """
    plain = key.strip().lower().replace("-", "_")
    known = list(siblings)
    near = difflib.get_close_matches(plain, known, n=1, cutoff=0.75)
    if near:
        return f"did you mean {near[0]}?"
    if parent == "method" and plain in LoraMethod.model_fields and plain not in FullMethod.model_fields:
        return "it belongs to the methods lora and qlora"
    if plain in OTHER_NAMES:
        name = OTHER_NAMES[plain]
        return f"not needed here: {name[9:]}" if name.startswith("nothing: ") else f"here it is {name}"
    return _hint_elsewhere(plain, known)


def _hint_elsewhere(key: str, siblings: list[str]) -> str:
    places = _places()
    found = difflib.get_close_matches(key, places, n=1, cutoff=0.8)
    if found:
        return f"did you mean {' or '.join(places[found[0]])}?"
    near = difflib.get_close_matches(key, siblings, n=1, cutoff=0.55)
    if near:
        return f"did you mean {near[0]}?"
    return f"known here: {', '.join(siblings)}" if len(siblings) <= 12 else ""


def hint_for_value(value: str, choices: Iterable[str]) -> str:
    """The nearest of `choices`, or what another tool's word is here; empty if neither."""
    plain = value.strip().lower()
    if plain in OTHER_VALUES:
        return f"here it is {OTHER_VALUES[plain]}"
    near = difflib.get_close_matches(plain, list(choices), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""
