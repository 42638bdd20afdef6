"""Where the packaged starter lies and whether it is whole, because every ``builtin:`` path ends here.

It hands out paths and checks fingerprints; it opens no model, reads no row and never writes into the package.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from core.errors import DatasetError, FinetuiError, ModelError

VERSION = "1"
"""Raised whenever a packaged file changes; part of every run's record of what it was made from."""

FOLDER = Path(__file__).resolve().parent
MODEL_FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
SET_NAMES = ("train", "validation", "test", "general")
MODEL = "starter"
NAMES = (MODEL, *(f"{MODEL}/{name}" for name in SET_NAMES))
"""Every name that may follow ``builtin:``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What ``starter.json`` says of the packaged weights and how they came to be.

    Losses are in nats per trained token; ``first_losses`` holds those of the first 20 steps.  ``lessons_sha256`` is the
    fingerprint of the text that the base was trained on.
    """

    version: str
    seed: int
    steps: int
    parameters: int
    weights_sha256: str
    lessons_sha256: str
    first_losses: tuple[float, ...]
    last_loss: float


def resolve(name: str) -> Path:
    """The path of what stands after ``builtin:``: ``starter`` is the model's folder, ``starter/train`` a JSONL file.

    :raises ModelError: the packaged model lacks a file.
    :raises DatasetError: the name is unknown (with the nearest right one), or the packaged set is missing.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.4)
        known = ", ".join(f"builtin:{known}" for known in NAMES)
        raise DatasetError(
            f"builtin:{name} is unknown",
            try_this=f"did you mean builtin:{near[0]}?" if near else f"the package holds {known}",
        )
    if name == MODEL:
        folder = FOLDER / "model"
        missing = [file for file in MODEL_FILES if not (folder / file).is_file()]
        if missing:
            raise _broken(ModelError, f"the packaged starter lacks {', '.join(missing)}")
        return folder
    rows = FOLDER / "data" / f"{name.removeprefix(f'{MODEL}/')}.jsonl"
    if not rows.is_file():
        raise _broken(DatasetError, f"the packaged starter lacks {rows.name}")
    return rows


def record() -> Record:
    """What is known of the packaged weights.

    :raises ModelError: ``starter.json`` is missing or not what this version writes.
    """
    try:
        said = json.loads((FOLDER / "starter.json").read_text(encoding="utf-8"))
        return Record(**{**said, "first_losses": tuple(said["first_losses"])})
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise _broken(ModelError, "the packaged starter.json can't be read", why=str(problem)) from problem


def verify() -> Record:
    """Checks that every packaged file is there and that the weights are the recorded ones (3.5 MB hashed, some 5 ms).

    :raises ModelError: a file of the model is missing, or the weights differ from their sha256.
    :raises DatasetError: a set is missing.
    """
    said = record()
    for name in NAMES:
        resolve(name)
    found = hashlib.sha256((resolve(MODEL) / "model.safetensors").read_bytes()).hexdigest()
    if found != said.weights_sha256:
        raise _broken(
            ModelError,
            "the packaged starter's weights are not the recorded ones",
            why=f"their sha256 is {found[:12]}…, starter.json says {said.weights_sha256[:12]}…",
        )
    return said


def _broken(kind: type[FinetuiError], what: str, *, why: str = "") -> FinetuiError:
    return kind(what, why=why, try_this="install finetui again")
