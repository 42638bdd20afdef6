"""What a training run puts into a checkpoint and takes out again; how it gets safely to disk is core.runs.checkpoints.

The layout is the trainer's own (so that its tested resume reads it), less the pickled arguments: weights as safetensors
with configuration, tokenizer and chat template (the folder opens in plain transformers or PEFT), optimizer.pt,
scheduler.pt, rng_state.pth, trainer_state.json, and finetui's own state as JSON. The three torch files are opened with
`weights_only=True`, and only after the manifest's hashes were proved.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import Trainer

from core.errors import CheckpointError, WorkspaceError
from core.events import BestChanged, CheckpointSaved
from core.paths import RunPaths
from core.runs.checkpoints import (
    Manifest,
    Published,
    discard,
    ensure_space,
    list_checkpoints,
    newest_valid,
    publish,
    stage,
)
from core.runs.spool import tail
from core.worker.context import Context
from core.worker.progress import STATE_FILE, Progress

OPTIMIZER_FILE, SCHEDULER_FILE, RNG_FILE, TRAINER_STATE_FILE = (
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "trainer_state.json",
)
REQUIRED = (OPTIMIZER_FILE, SCHEDULER_FILE, RNG_FILE, TRAINER_STATE_FILE, STATE_FILE)
"""Without any one of these a resumed run would differ silently."""

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """A proved checkpoint of this run, and what the run remembered there."""

    manifest: Manifest
    progress: Progress


def find_resume_point(paths: RunPaths, recipe_sha256: str) -> ResumePoint | None:
    """The newest checkpoint of this recipe whose every byte is proved; None where the run never saved one.

    Raises:
        CheckpointError: there are checkpoints, but none can be continued from.
    """
    manifest = newest_valid(paths, recipe_sha256)
    if manifest is None:
        if not _has_step_folder(paths):
            return None
        others = [entry for entry in list_checkpoints(paths) if entry.recipe_sha256 != recipe_sha256]
        raise CheckpointError(
            f"run {paths.run_id} has no checkpoint to continue from",
            why="those it has belong to another recipe" if others else "those it has are incomplete or were altered",
            try_this="start a new run; a changed recipe can begin from RUN@STEP",
        )
    names = {entry.name for entry in manifest.files}
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise CheckpointError(f"{manifest.folder.name} can't be resumed exactly: it has no {', '.join(missing)}")
    return ResumePoint(manifest, Progress.read(manifest.folder))


def announce_unannounced(context: Context, resume: ResumePoint, best_name: str) -> None:
    """Say of the resumed checkpoint what its worker had no time to say: it was killed right after the rename."""
    manifest, progress = resume.manifest, resume.progress
    if any(
        isinstance(record.event, CheckpointSaved) and record.event.step == manifest.step
        for _, record in tail(context.paths.events, 0).records
    ):
        return
    context.say(
        CheckpointSaved(
            step=manifest.step,
            folder=manifest.folder.relative_to(context.paths.folder).as_posix(),
            bytes=manifest.bytes,
            manifest_sha256=manifest.sha256,
            reason="scheduled",
            seconds=0.0,
        )
    )
    if progress.best_step == manifest.step and progress.best_value is not None:
        context.say(BestChanged(step=manifest.step, metric=best_name, value=progress.best_value))


def _has_step_folder(paths: RunPaths) -> bool:
    return paths.checkpoints.is_dir() and any(entry.name.startswith("step-") for entry in paths.checkpoints.iterdir())


def save_checkpoint(
    trainer: Trainer,
    paths: RunPaths,
    *,
    recipe_sha256: str,
    tokenizer_folder: Path,
    progress: Progress,
    expected_bytes: int,
    extra: dict[str, object],
) -> Published:
    """Stage, fill and publish the checkpoint of the trainer's present step.

    Raises:
        WorkspaceError: the disk is full or refuses; nothing half-written stays, older checkpoints are untouched.
    """
    step = trainer.state.global_step
    ensure_space(paths.folder, expected_bytes // 2)  # twice its argument is asked for, and old ones are kept beside
    staging = stage(paths, step)
    try:
        progress.parameter_dtypes = trained_dtypes(trainer.model)
        _fill(trainer, staging, tokenizer_folder, progress)
    except (OSError, SafetensorError, RuntimeError) as error:
        discard(staging)
        if isinstance(error, torch.OutOfMemoryError) or not _is_write_failure(error):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error).split("\n")[0]
        raise WorkspaceError(
            f"the checkpoint of step {step} could not be saved: {reason}",
            why="older checkpoints are untouched",
            try_this="free some space on the workspace's disk, then ask for a save again",
        ) from error
    return publish(staging, step=step, run_id=paths.run_id, recipe_sha256=recipe_sha256, extra=extra)


def _is_write_failure(error: BaseException) -> bool:
    """torch and safetensors wrap the system's error into their own; their words are all that is left of it."""
    if isinstance(error, (OSError, SafetensorError)):
        return True
    return any(words in str(error) for words in ("PytorchStreamWriter", "failed writing", "unexpected pos"))


def _fill(trainer: Trainer, staging: Path, tokenizer_folder: Path, progress: Progress) -> None:
    save_weights(trainer.model, staging)
    for name in _TOKENIZER_FILES:
        if (tokenizer_folder / name).is_file():
            shutil.copyfile(tokenizer_folder / name, staging / name)
    torch.save(trainer.optimizer.state_dict(), staging / OPTIMIZER_FILE)
    torch.save(trainer.lr_scheduler.state_dict(), staging / SCHEDULER_FILE)
    torch.save(random_states(), staging / RNG_FILE)
    trainer.state.save_to_json(str(staging / TRAINER_STATE_FILE))
    progress.write(staging)


def save_weights(model: torch.nn.Module, folder: Path) -> None:
    """The trained weights as safetensors: the adapter alone, or the whole model."""
    if isinstance(model, PeftModel):
        model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # a model card with nothing but empty headings
    else:
        model.save_pretrained(str(folder), max_shard_size="50GB")


def random_states() -> dict[str, object]:
    """Every random state that training draws from, in the trainer's own layout."""
    states: dict[str, object] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "cpu": torch.random.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.random.get_rng_state()
    return states


def trained_dtypes(model: torch.nn.Module) -> dict[str, str]:
    """The number format of each trained parameter, by name."""
    return {name: str(p.dtype).removeprefix("torch.") for name, p in model.named_parameters() if p.requires_grad}


def restore_dtypes(model: torch.nn.Module, dtypes: dict[str, str]) -> None:
    """Cast the trained parameters to the formats they had when the checkpoint was written.

    Loading an adapter leaves it in float32 where training held it in bfloat16; the run would then go on otherwise.

    Raises:
        CheckpointError: the model's trained parameters are not those of the checkpoint.
    """
    present = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if present.keys() != dtypes.keys():
        different = sorted(present.keys() ^ dtypes.keys())
        raise CheckpointError(
            "the checkpoint does not fit the model", why=f"{len(different)} trained parameters differ: {different[0]} …"
        )
    for name, parameter in present.items():
        wanted = getattr(torch, dtypes[name])
        if parameter.dtype != wanted:
            parameter.data = parameter.data.to(wanted)


def restore_optimizer_formats(optimizer: torch.optim.Optimizer, path: Path) -> None:
    """Give the optimizer's state the number formats in which it was saved.

    torch casts a loaded state to the format of its weight: an optimizer that keeps float32 beside bfloat16 weights
    (Adafactor) would go on with a coarser state than it had.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    if all(weight.dtype == torch.float32 for weight in weights):
        return
    saved = torch.load(path, map_location="cpu", weights_only=True)
    numbers = [number for group in saved["param_groups"] for number in group["params"]]
    for weight, number in zip(weights, numbers, strict=True):
        state = optimizer.state[weight]
        for key, value in saved["state"].get(number, {}).items():
            loaded = state.get(key)
            if isinstance(value, torch.Tensor) and isinstance(loaded, torch.Tensor) and loaded.dtype != value.dtype:
                state[key] = value.to(loaded.device)
