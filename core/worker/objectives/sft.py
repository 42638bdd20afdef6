"""Supervised fine-tuning: TRL's SFTTrainer over our own ids and labels, and nothing prepared behind our back.

It must not log, evaluate, save or stop by itself: that is `steps`. The loss of a step is the mean over all its trained
tokens, whatever way they are split into batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from datasets import Dataset
from peft import PeftConfig
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from core.errors import ModelError
from core.recipe.schedule import StepPlan
from core.recipe.schema import Recipe
from core.worker.batches import Collator
from core.worker.checkpoints import OPTIMIZER_FILE, restore_dtypes, restore_optimizer_formats, trained_dtypes
from core.worker.model import LoadedModel
from core.worker.progress import Progress


class SftTrainer(SFTTrainer):
    """TRL's trainer with three additions: tokens counted without asking the device, an exact resume, a short log."""

    tokens_in_step = 0
    tokens_trained_in_step = 0

    def get_batch_samples(
        self, epoch_iterator: Iterator[dict[str, torch.Tensor]], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, torch.Tensor]], torch.Tensor | int | None]:
        """One optimizer step's batches, with the collator's counts taken out."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        self.tokens_in_step = sum(int(batch.pop("tokens")) for batch in batches)
        self.tokens_trained_in_step = sum(int(batch.pop("tokens_trained")) for batch in batches)
        return batches, items

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        restore_dtypes(self.model, Progress.read(Path(resume_from_checkpoint)).parameter_dtypes)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            restore_optimizer_formats(self.optimizer, Path(checkpoint) / OPTIMIZER_FILE)

    def load_weights(self, folder: Path) -> None:
        """Begin from another run's weights, in the number formats of this one."""
        dtypes = trained_dtypes(self.model)
        super()._load_from_checkpoint(str(folder))
        restore_dtypes(self.model, dtypes)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The library's tokenizer object, which the trainer wants for its special tokens; ids come from core.data.

    Raises:
        ModelError: the folder has no tokenizer that can be loaded.
    """
    try:
        return AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"the tokenizer in {folder} can't be loaded", why=str(error).strip().split("\n")[0]) from error


def make_trainer(
    recipe: Recipe,
    plan: StepPlan,
    base: LoadedModel,
    adapter: PeftConfig | None,
    rows: Dataset,
    *,
    pad_token_id: int,
    device: str,
    output_folder: Path,
    callback: TrainerCallback,
) -> SftTrainer:
    """The trainer of a run, ready for `train()`."""
    trainer = SftTrainer(
        model=base.model,
        args=trainer_arguments(recipe, plan, autocast=base.autocast, device=device, output_folder=output_folder),
        data_collator=Collator(pad_token_id),
        train_dataset=rows,
        processing_class=load_tokenizer(base.folder),
        peft_config=adapter,
        callbacks=[callback],
    )
    trainer.remove_callback(PrinterCallback)  # a line of text per step that nobody reads: the spool has them all
    return trainer


def trainer_arguments(recipe: Recipe, plan: StepPlan, *, autocast: bool, device: str, output_folder: Path) -> SFTConfig:
    """The library's arguments, with everything that it would do on its own switched off."""
    train = recipe.train
    scheduler_arguments = {"min_lr_rate": train.min_lr_rate} if train.lr_scheduler_type == "cosine_with_min_lr" else {}
    return SFTConfig(
        output_dir=str(output_folder),
        max_steps=plan.max_steps,
        learning_rate=train.learning_rate,
        lr_scheduler_type=train.lr_scheduler_type,
        lr_scheduler_kwargs=scheduler_arguments,
        warmup_steps=plan.warmup_steps,
        per_device_train_batch_size=train.per_device_train_batch_size,
        gradient_accumulation_steps=train.gradient_accumulation_steps,
        optim=train.optim,
        adam_beta1=train.adam_beta1,
        adam_beta2=train.adam_beta2,
        adam_epsilon=train.adam_epsilon,
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        activation_checkpointing=train.activation_checkpointing,
        seed=train.seed,
        data_seed=train.seed,
        bf16=autocast,
        fp16=False,
        use_cpu=device == "cpu",
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=device != "cpu",
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
