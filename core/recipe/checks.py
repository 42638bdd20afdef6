"""What two keys of a recipe mean together: contradictions are errors, likely mistakes are warnings.

Each check takes what is valid by itself and is skipped where it isn't; it must not repeat what the schema says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import Problem
from core.recipe.document import KeyPath
from core.recipe.names import hint_for_value
from core.recipe.problems import Places, quoted
from core.recipe.schema import (
    CheckpointSection,
    DataSection,
    DataSource,
    EvaluateSection,
    EvaluationSet,
    FullMethod,
    LowRankMethod,
    ModelSection,
    TrainSection,
)
from core.recipe.schema_data import FORMAT_FIELDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """The sections without the keys that are wrong by themselves; None where nothing valid is left.

    `partial` names those that lack a key for that reason, so that no check mistakes it for one left open;
    `set_names` are all evaluation sets, the wrong ones too.
    """

    model: ModelSection | None
    data: DataSection | None
    method: FullMethod | LowRankMethod | None
    train: TrainSection | None
    evaluate: EvaluateSection | None
    checkpoints: CheckpointSection | None
    partial: frozenset[str]
    set_names: tuple[str, ...]


def cross_checks(sections: Sections, places: Places) -> Iterator[Problem]:
    """Every contradiction (level error) and likely mistake (level warning) between keys."""
    if sections.model:
        yield from _model(sections.model, places)
    if isinstance(sections.method, LowRankMethod):
        yield from _target_modules(sections.method, places)
    if sections.evaluate:
        for name, one in sections.evaluate.sets.items():
            yield from _evaluation_set(name, one, places)
            yield from _field_names(("evaluate", "sets", name), one, places)
    if sections.data:
        for index, source in enumerate(sections.data.train):
            yield from _field_names(("data", "train", index), source, places)
        if sections.evaluate:
            yield from _trained_and_measured(sections.data, sections.evaluate, places)
    if sections.checkpoints and sections.checkpoints.best_metric is not None:
        yield from _best_set(sections.checkpoints.best_metric, sections.set_names, places)
    if sections.evaluate and sections.checkpoints and not sections.partial & {"evaluate", "checkpoints"}:
        yield from _best_metric(sections.evaluate, sections.checkpoints, places)
        yield from _cadence(sections.evaluate, sections.checkpoints, places)
    if sections.train:
        yield from _length(sections.train, places)
        yield from _schedule(sections.train, places)
        if sections.method:
            yield from _learning_rate(sections.train, sections.method, places)


def _model(model: ModelSection, places: Places) -> Iterator[Problem]:
    if model.attention == "flash_attention_2" and model.dtype == "float32":
        what = "flash_attention_2 computes in bfloat16 only, but model.dtype is float32"
        yield places.problem(("model", "attention"), what, "dtype: auto, or attention: sdpa")
    if model.revision is not None and (model.path.startswith("/") or model.path.startswith("builtin:")):
        what = "only a hub id has revisions; model.path is a folder"
        yield places.problem(("model", "revision"), what, level="warning")


def _target_modules(method: LowRankMethod, places: Places) -> Iterator[Problem]:
    names = method.lora_target_modules
    if isinstance(names, str):
        return
    key = ("method", "lora_target_modules")
    if any(name.rpartition(".")[2] == "lm_head" for name in names):
        what = "lm_head can't carry an adapter: the loss is computed inside the output head, past any adapter"
        yield places.problem(key, what, "leave lm_head out")
    if "all-linear" in names:
        yield places.problem(key, "all-linear stands alone, not in a list", "lora_target_modules: all-linear")


def _field_names(holder: KeyPath, one: DataSource | EvaluationSet, places: Places) -> Iterator[Problem]:
    known = FORMAT_FIELDS.get(one.format) or tuple(
        dict.fromkeys(name for one in FORMAT_FIELDS.values() for name in one)
    )
    for name in one.fields:
        if name not in known:
            what = f"the format {one.format} has no field of this name" if one.format != "auto" else "no format has it"
            hint = hint_for_value(name, known) or f"one of {', '.join(known)}"
            yield places.problem((*holder, "fields", name), what, hint)


def _evaluation_set(name: str, one: EvaluationSet, places: Places) -> Iterator[Problem]:
    key = ("evaluate", "sets", name)
    if (one.path is None) == (one.from_train is None):
        what = "needs exactly one of path and from_train" + (", not both" if one.path else "")
        yield places.problem(key, what)
    if one.role == "test" and one.from_train is not None:
        what = "a test set needs a file of its own, so that no training run opens it"
        yield places.problem((*key, "from_train"), what, "path: …, or role: validation")
    if one.from_train is not None and (one.format != "auto" or one.fields):
        yield places.problem(key, "rows held out of the training files have those files' format", "leave it out")


def _trained_and_measured(data: DataSection, evaluate: EvaluateSection, places: Places) -> Iterator[Problem]:
    trained = {source.path for source in data.train}
    for name, one in evaluate.sets.items():
        if one.path in trained:
            what = "this file is trained on as well: its score will say nothing about new rows"
            yield places.problem(("evaluate", "sets", name, "path"), what, "from_train: 100", level="warning")


def _best_set(best: str, set_names: tuple[str, ...], places: Places) -> Iterator[Problem]:
    name, dot, _ = best.partition(".")
    if not dot or name not in set_names:
        known = [f"{one}.loss" for one in set_names]
        what = f"{quoted(best)} is not <set>.<metric> of one of evaluate.sets"
        hint = hint_for_value(best, known) or (f"as in {known[0]}" if known else "there are no sets")
        yield places.problem(("checkpoints", "best_metric"), what, hint)


def _best_metric(evaluate: EvaluateSection, checkpoints: CheckpointSection, places: Places) -> Iterator[Problem]:
    best = checkpoints.best_metric
    if best is None:
        if evaluate.early_stopping_patience is not None:
            key = ("evaluate", "early_stopping_patience")
            yield places.problem(key, "needs a set with role validation in evaluate.sets, or checkpoints.best_metric")
        else:
            what = "no evaluation set has role validation, so nothing will say which checkpoint is best"
            hint = "sets: {validation: {from_train: 100}}"
            yield places.problem(("evaluate", "sets"), what, hint, level="warning")
        return
    key = ("checkpoints", "best_metric")
    name, dot, metric = best.partition(".")
    if not dot or name not in evaluate.sets:
        return
    one = evaluate.sets[name]
    known = list(dict.fromkeys(("loss", one.task)))
    if metric not in known:
        hint = hint_for_value(metric, known)
        yield places.problem(key, f"the set {name} has {' and '.join(known)}, not {quoted(metric)}", hint)
    if one.role == "test":
        yield places.problem(key, f"{name} is a test set, which is never opened while training", "a validation set")


def _cadence(evaluate: EvaluateSection, checkpoints: CheckpointSection, places: Places) -> Iterator[Problem]:
    measured, saved = evaluate.every_steps, checkpoints.every_steps
    if measured and saved and saved % measured:
        what = f"checkpoints come every {saved} steps: those that fall between evaluations can't be best"
        hint = f"a divisor of {saved}, or null"
        yield places.problem(("evaluate", "every_steps"), what, hint, level="warning")


def _length(train: TrainSection, places: Places) -> Iterator[Problem]:
    if train.warmup_steps >= 1 and train.warmup_steps != int(train.warmup_steps):
        yield places.problem(
            ("train", "warmup_steps"), "must be a whole number of steps, or below 1 for a share of all steps"
        )
    if train.max_steps is not None and train.warmup_steps >= train.max_steps and train.warmup_steps >= 1:
        what = f"the run has {train.max_steps} steps, so the learning rate never reaches its peak"
        yield places.problem(("train", "warmup_steps"), what, "a share: 0.03", level="warning")


def _schedule(train: TrainSection, places: Places) -> Iterator[Problem]:
    unused = train.min_lr_rate != TrainSection.model_fields["min_lr_rate"].default
    if unused and train.lr_scheduler_type != "cosine_with_min_lr":
        what = f"the schedule {train.lr_scheduler_type} takes no notice of it"
        yield places.problem(("train", "min_lr_rate"), what, "lr_scheduler_type: cosine_with_min_lr", level="warning")


def _learning_rate(train: TrainSection, method: FullMethod | LowRankMethod, places: Places) -> Iterator[Problem]:
    key = ("train", "learning_rate")
    if isinstance(method, FullMethod) and train.learning_rate > 2e-4:
        what = f"{train.learning_rate:g} is high for full fine-tuning: what the base knew is likely to be lost"
        yield places.problem(key, what, "usual: 1e-5 to 2e-5", level="warning")
    if isinstance(method, LowRankMethod) and train.learning_rate <= 2e-5:
        what = f"{train.learning_rate:g} is a rate for full fine-tuning; adapters hardly move with it"
        yield places.problem(key, what, "usual: 1e-4 to 2e-4", level="warning")
