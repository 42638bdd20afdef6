"""The sections that say how it is trained: method, objective, optimizer and schedule, checkpoints.

Names are Hugging Face's. Defaults that depend on the method are overruled by `presets.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from core.recipe.schema_base import Section, facts

ALL_LINEAR = "all-linear"
STEPS = "optimizer steps"


def _target_modules(value: object) -> object:
    """One clear sentence instead of one error for each member of the union."""
    if value == ALL_LINEAR:
        return value
    if isinstance(value, tuple) and value and all(isinstance(name, str) and name for name in value):
        return value
    raise PydanticCustomError("target_modules", "must be all-linear or a list of module names, as in [q_proj, v_proj]")


TargetModules = Annotated[Literal["all-linear"] | tuple[str, ...], BeforeValidator(_target_modules)]


class FullMethod(Section):
    """Every weight of the base is trained."""

    type: Literal["full"] = Field(default="full", description="Train every weight of the base.")


class LowRankMethod(Section):
    """Two small matrices beside each chosen layer are trained, the base is frozen (LoRA, arXiv:2106.09685)."""

    type: str
    lora_r: int = Field(
        default=16,
        ge=1,
        le=4096,
        description="Rank of the adapters: how much they can hold, and how much memory they take.",
        json_schema_extra=facts(why="enough for most fine-tuning sets; the best rate hardly depends on it"),
    )
    lora_alpha: int = Field(
        default=32,
        ge=1,
        le=65_536,
        description="The adapters' output is scaled by `lora_alpha / lora_r`.",
        json_schema_extra=facts(why="twice the rank of 16, the field's convention; kept where the rank is changed"),
    )
    lora_dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the adapters' inputs that is dropped at each step.",
        json_schema_extra=facts(unit="share"),
    )
    lora_target_modules: TargetModules = Field(
        default="all-linear",
        description="`all-linear` (every linear layer but the output head), or a list of module names.",
        json_schema_extra=facts(why="adapters on all linear layers learn more than on attention alone"),
    )


class LoraMethod(LowRankMethod):
    """LoRA over the base in its own number format."""

    type: Literal["lora"] = Field(default="lora", description="Train adapters beside the frozen base.")


class QloraMethod(LowRankMethod):
    """LoRA over the base in four bits: NF4 with double quantisation (QLoRA, arXiv:2305.14314)."""

    type: Literal["qlora"] = Field(
        default="qlora", description="Train adapters beside the frozen base held in 4 bits (NF4, double quantisation)."
    )


Method = Annotated[FullMethod | LoraMethod | QloraMethod, Field(discriminator="type")]


class ObjectiveSection(Section):
    """What is optimised."""

    type: Literal["sft"] = Field(default="sft", description="Supervised fine-tuning: predict the next token.")


class TrainSection(Section):
    """Optimizer, schedule, batches and length of the run."""

    learning_rate: float = Field(
        default=2e-4,
        gt=0,
        le=1,
        description="Peak learning rate. The default depends on the method.",
    )
    lr_scheduler_type: Literal[
        "cosine", "linear", "constant", "constant_with_warmup", "cosine_with_min_lr", "inverse_sqrt"
    ] = Field(
        default="cosine",
        description="How the learning rate moves after the warm-up.",
        json_schema_extra=facts(why="it ends at zero, gently; most published recipes use it"),
    )
    min_lr_rate: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Where `cosine_with_min_lr` ends, as a share of `learning_rate`; the other schedules ignore it.",
        json_schema_extra=facts(unit="share of learning_rate"),
    )
    warmup_steps: float = Field(
        default=0.03,
        ge=0,
        description="Steps over which the rate rises to its peak. Below 1: a share of all steps.",
        json_schema_extra=facts(
            unit=f"{STEPS}, or a share of them", why="a short rise keeps the first, badly scaled steps small"
        ),
    )
    per_device_train_batch_size: int = Field(
        default=4,
        ge=1,
        le=65_536,
        description="Rows in memory at once. Lower it, and raise accumulation, where memory runs out.",
        json_schema_extra=facts(unit="rows", why="with accumulation 4, sixteen rows to an optimizer step"),
    )
    gradient_accumulation_steps: int = Field(
        default=4,
        ge=1,
        le=65_536,
        description="Batches whose gradients are added up before one optimizer step.",
        json_schema_extra=facts(unit="batches", why="with 4 rows to a batch, sixteen rows to an optimizer step"),
    )
    num_train_epochs: float = Field(
        default=3.0,
        gt=0,
        le=10_000,
        description="Passes over the training rows; `max_steps` wins where it is set.",
        json_schema_extra=facts(
            unit="epochs", why="enough for most sets of rows; the validation loss says when to stop"
        ),
    )
    max_steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Length of the run, in place of `num_train_epochs`; null: by epochs.",
        json_schema_extra=facts(unit=STEPS),
    )
    optim: Literal[
        "adamw_torch_fused",
        "adamw_torch",
        "adamw_8bit",
        "paged_adamw_8bit",
        "paged_adamw_32bit",
        "adafactor",
        "sgd",
    ] = Field(
        default="adamw_torch_fused",
        description="Optimizer. The 8-bit and paged ones (bitsandbytes) keep its state in less device memory.",
    )
    adam_beta1: float = Field(default=0.9, ge=0, lt=1, description="Decay of Adam's mean of gradients.")
    adam_beta2: float = Field(default=0.999, ge=0, lt=1, description="Decay of Adam's mean of squared gradients.")
    adam_epsilon: float = Field(default=1e-8, gt=0, le=1, description="Added to Adam's denominator.")
    weight_decay: float = Field(default=0.0, ge=0, le=10, description="Decoupled weight decay.")
    max_grad_norm: float = Field(
        default=1.0, ge=0, description="Gradients are scaled down to this norm; 0 switches clipping off."
    )
    activation_checkpointing: bool = Field(
        default=True,
        description="Recompute activations in the backward pass: much less memory, about a third more time.",
        json_schema_extra=facts(why="on one GPU memory runs out first; switch it off where there is room"),
    )
    seed: int = Field(
        default=42, ge=0, le=2**32 - 1, description="Seeds adapters, order of rows, dropout and held-out rows."
    )


class CheckpointSection(Section):
    """When the run is saved, and what is kept."""

    every_steps: int | None = Field(
        default=None,
        ge=1,
        description="Save every so many optimizer steps; null: ten through the run. A run always ends with one.",
        json_schema_extra=facts(unit=STEPS),
    )
    keep: int = Field(
        default=3,
        ge=0,
        le=100_000,
        description="How many of the newest are kept, besides the best, the last and the pinned.",
        json_schema_extra=facts(unit="checkpoints"),
    )
    best_metric: str | None = Field(
        default=None,
        description="`<set>.<metric>`: what says which checkpoint is best. Null: the loss on the validation set.",
    )
