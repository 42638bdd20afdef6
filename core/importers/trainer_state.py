"""`trainer_state.json`, which transformers' Trainer writes into every checkpoint: its log, without times.

https://huggingface.co/docs/transformers/main_classes/callback#transformers.TrainerState. The config.json or
adapter_config.json beside it names the model. Pickled files (training_args.bin) are never opened.
"""

from __future__ import annotations

import re
from pathlib import Path

from core.errors import ForeignFileError
from core.importers.foreign import ForeignRun
from core.importers.gather import Gatherer, as_number, as_step, clean_config, model_of, parse_json
from core.states import Outcome

TRACKER = "Hugging Face Trainer"
FILE_NAME = "trainer_state.json"
MAX_BYTES = 512 * 1024 * 1024
_MAX_CONFIG_BYTES = 16 * 1024 * 1024
_CHECKPOINT = re.compile(r"checkpoint-(\d{1,15})")
_KEPT = ("train_batch_size", "num_train_epochs", "max_steps", "logging_steps", "eval_steps", "save_steps", "trial_name")


def state_of(folder: Path) -> Path | None:
    """The trainer_state.json of an output folder or checkpoint: its own, else its newest checkpoint's by step."""
    own = folder / FILE_NAME
    if own.is_file():
        return own
    found: list[tuple[int, Path]] = []
    for child in folder.iterdir():
        match = _CHECKPOINT.fullmatch(child.name)
        if match is not None and (child / FILE_NAME).is_file():
            found.append((int(match[1]), child / FILE_NAME))
    return max(found)[1] if found else None


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder is a checkpoint beside others: its state is told by the folder above."""
    return _CHECKPOINT.fullmatch(folder.name) is not None and (folder / FILE_NAME).is_file()


def read(path: Path) -> list[ForeignRun]:
    """The one run of a trainer_state.json.

    Raises:
        ForeignFileError: it is not one, or is cut off.
    """
    status = path.stat()
    if status.st_size > MAX_BYTES:
        raise ForeignFileError(f"{path} is too large for a {FILE_NAME}")
    state = parse_json(path.read_text("utf-8", "replace"))
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(state, dict) or not isinstance(history, list):
        raise ForeignFileError(
            f"{path} is not a {FILE_NAME}", why="it is cut off, or has no log_history",
            try_this="an earlier checkpoint's may be whole",
        )  # fmt: skip
    gatherer = Gatherer(str(path))
    for entry in history:
        if not isinstance(entry, dict):
            gatherer.refuse()
            continue
        for key, value in entry.items():
            if key != "step":
                gatherer.add(entry.get("step"), key, value)
    gathered = gatherer.gathered()
    ended_at = status.st_mtime
    seconds = gathered.totals.get("train_seconds", 0.0)
    done, planned = as_step(state.get("global_step")), as_step(state.get("max_steps")) or None
    outcome, message = _ending(done, planned)
    config, remarks = clean_config({key: state[key] for key in _KEPT if state.get(key) is not None})
    model, method = _model(path.parent)
    return [
        ForeignRun(
            tracker=TRACKER,
            source=str(path),
            source_run="",
            name=_name(path),
            created_at=ended_at - seconds if 0 < seconds < ended_at else ended_at,
            ended_at=ended_at,
            outcome=outcome,
            message=message,
            steps=gathered.steps,
            evaluations=gathered.evaluations,
            config=config,
            totals=gathered.totals,
            model=model,
            method=method,
            max_steps=planned,
            best=_best(state),
            remarks=(*gathered.remarks, *remarks, "the file has no times: all steps have the file's"),
        )
    ]


def _ending(done: int | None, planned: int | None) -> tuple[Outcome, str]:
    if done is not None and planned is not None and done < planned:
        return Outcome.STOPPED, f"the log ends at step {done} of {planned}"
    return Outcome.COMPLETED, ""


def _name(path: Path) -> str:
    folder = path.resolve().parent
    return folder.parent.name if _CHECKPOINT.fullmatch(folder.name) and folder.parent.name else folder.name


def _best(state: dict[str, object]) -> tuple[int, str, float] | None:
    value, step = as_number(state.get("best_metric")), as_step(state.get("best_global_step"))
    return None if value is None or step is None else (step, "best_metric", value)


def _model(folder: Path) -> tuple[str | None, str | None]:
    """(base model, method) as far as the checkpoint's own files name them."""
    adapter = _object(folder / "adapter_config.json")
    if adapter is not None:
        method = "lora" if adapter.get("peft_type") == "LORA" else None
        return model_of(clean_config(adapter)[0]), method
    config = _object(folder / "config.json")
    return (None, None) if config is None else (model_of(clean_config(config)[0]), None)


def _object(path: Path) -> dict[str, object] | None:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_CONFIG_BYTES:
            return None
        found = parse_json(path.read_text("utf-8", "replace"))
    except OSError:
        return None
    return found if isinstance(found, dict) else None
