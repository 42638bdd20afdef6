"""A trainer over rows of one's own, and what each of its steps logged."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.data.masks import EncodedRow
from core.recipe.schedule import plan_steps
from core.recipe.schema import Recipe
from core.worker.adapters import peft_config
from core.worker.batches import IGNORED, to_dataset
from core.worker.model import load_model
from core.worker.objectives.sft import SftTrainer, make_trainer
from tests.worker.tiny import END, PAD


class Recorder(TrainerCallback):
    """Keeps every step's log."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float], **_: Any
    ) -> None:
        if "grad_norm" in logs:
            self.steps.append(dict(logs))


def draw_rows(count: int, seed: int = 1, trained: bool = True) -> list[EncodedRow]:
    """Rows of 4 to 30 tokens; the first third of each is read only."""
    draw = random.Random(seed)
    rows = []
    for line in range(1, count + 1):
        ids = [draw.randrange(5, 200) for _ in range(draw.randrange(4, 30))] + [END]
        read_only = len(ids) // 3 if trained else len(ids)
        labels = [IGNORED] * read_only + ids[read_only:]
        rows.append(EncodedRow(tuple(ids), tuple(labels), line, False, "test"))
    return rows


def trainer_of(recipe: Recipe, rows: Sequence[EncodedRow], folder: Path) -> tuple[SftTrainer, Recorder]:
    """The objective's own trainer over `rows`."""
    recorder = Recorder()
    dataset = to_dataset(rows, packing=recipe.data.packing, max_length=recipe.data.max_length)
    trainer = make_trainer(
        recipe,
        plan_steps(recipe, len(dataset)),
        load_model(recipe, Path(recipe.model.path), "cpu"),
        peft_config(recipe.method),
        dataset,
        pad_token_id=PAD,
        device="cpu",
        output_folder=folder,
        callback=recorder,
    )
    return trainer, recorder


def train_rows(recipe: Recipe, rows: Sequence[EncodedRow], folder: Path) -> list[dict[str, float]]:
    """Train, and return each step's log."""
    trainer, recorder = trainer_of(recipe, rows, folder)
    trainer.train()
    return recorder.steps
