"""Measures saved checkpoints, and the base they grew from, on sets: the same evaluation as in training, later.

Checkpoints of one base share one load of it. It writes results only; which of them is better is core.compare's.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from core.data.chat import ChatTokenizer
from core.data.prepare import PreparedEvaluation, prepare_train
from core.errors import UsageError
from core.events import RequestAnswered, Resolved
from core.paths import Workspace
from core.recipe.load import load_resolved
from core.recipe.schema import Recipe
from core.runs.checkpoints import Manifest, verify
from core.worker.context import Context, Ending
from core.worker.evaluation import EvaluationSettings, evaluate_set
from core.worker.model import load_model, model_folder
from core.worker.prepared import read_file_set, read_set, to_source
from core.worker.resident import ResidentBase, holds_adapter
from core.worker.sets import say_result


@dataclass(frozen=True, slots=True)
class Target:
    """What is measured: `manifest` is None for the base of the run."""

    name: str
    recipe: Recipe
    manifest: Manifest | None

    @property
    def step(self) -> int:
        return self.manifest.step if self.manifest else 0


@dataclass(frozen=True, slots=True)
class EvaluationTask:
    """One set, ready for a target: its rows as the target's tokenizer writes them."""

    name: str
    role: str
    task: str
    prepared: PreparedEvaluation


def run(context: Context) -> Ending:
    """Evaluate every target on every set.

    Raises:
        FinetuiError: a target, set, model or data file can't be used.
    """
    context.started()
    targets = [find_target(context.workspace, str(name)) for name in _names(context, "targets")]
    set_names = _names(context, "sets")
    context.phase("preparing")
    measured = 0
    for group in _by_base(targets):
        measured += _evaluate_group(context, group, set_names)
        outcome = context.control.wanted_end()
        if outcome is not None:
            return Ending(outcome=outcome, message=f"{outcome} after {measured} of {len(targets)} checkpoints")
    return Ending(outcome="completed", message=f"evaluated {measured} of {len(targets)} on {', '.join(set_names)}")


def _names(context: Context, key: str) -> list[str]:
    names = context.job.arguments.get(key)
    if not isinstance(names, list) or not names:
        raise UsageError(f"an evaluate job needs {key}", try_this="finetui eval RUN@STEP --on SET")
    return [str(name) for name in names]


def find_target(workspace: Workspace, name: str) -> Target:
    """The checkpoint `RUN@STEP`, proved byte by byte, or the base `RUN@base`.

    Raises:
        CheckpointError: it is missing, incomplete or altered.
        UsageError: the name is none of the two forms.
    """
    run_id, _, place = name.partition("@")
    try:
        paths = workspace.run(run_id)
        step = None if place == "base" else int(place)
    except ValueError as error:
        raise UsageError(f"{name!r} is neither RUN@STEP nor RUN@base") from error
    recipe = load_resolved(paths.recipe)
    return Target(name, recipe, None if step is None else verify(paths.checkpoint(step), deep=True))


def _by_base(targets: Sequence[Target]) -> list[list[Target]]:
    """Targets that can share one loaded base; a whole model is a group of its own."""
    groups: dict[str, list[Target]] = {}
    for target in targets:
        is_whole = target.manifest is not None and not holds_adapter(target.manifest.folder)
        key = target.name if is_whole else f"{target.recipe.model!r} {target.recipe.method.type == 'qlora'}"
        groups.setdefault(key, []).append(target)
    return list(groups.values())


def _evaluate_group(context: Context, group: Sequence[Target], set_names: Sequence[str]) -> int:
    """Load what the group shares once, then measure; returns how many targets were measured whole."""
    first = group[0]
    is_whole = first.manifest is not None and not holds_adapter(first.manifest.folder)
    folder = cast("Manifest", first.manifest).folder if is_whole else model_folder(first.recipe.model)
    tokenizer = ChatTokenizer.load(folder)
    context.phase("loading")
    loaded = load_model(first.recipe, folder, context.device)
    context.training_began = True  # from here on a failure is no longer one of the start
    context.say(Resolved(choices=loaded.choices))
    resident = ResidentBase(loaded.model)
    prepared: dict[str, EvaluationTask] = {}
    done = 0
    for target in group:
        for name in set_names:
            key = f"{name} {target.recipe.data!r} {target.recipe.evaluate.sets!r} {target.recipe.train.seed}"
            task = prepared.get(key) or _find_set(target.recipe, name, tokenizer)
            prepared[key] = task
            context.phase(f"evaluating {target.name} on {task.name}", target.step)
            if not _measure(context, resident, loaded.autocast, tokenizer, target, task):
                return done
            _answer(context)
        done += 1
    del resident, loaded
    gc.collect()  # a whole model must be gone before the next one is loaded
    return done


def _measure(
    context: Context,
    resident: ResidentBase,
    autocast: bool,
    tokenizer: ChatTokenizer,
    target: Target,
    task: EvaluationTask,
) -> bool:
    settings = EvaluationSettings(
        max_new_tokens=target.recipe.evaluate.max_new_tokens,
        batch_size=target.recipe.evaluate.batch_size,
        autocast=autocast,
    )
    adapter = target.manifest.folder if target.manifest and holds_adapter(target.manifest.folder) else None
    with resident.with_adapter(adapter) as model:
        result = evaluate_set(model, tokenizer, task.prepared, task.task, settings, context.control.wants_to_end)
    if result is None:
        return False
    say_result(
        context,
        step=target.step,
        set_name=task.name,
        role=task.role,
        task=task.task,
        prepared=task.prepared,
        result=result,
        checkpoint=target.name,
        checkpoint_sha256=target.manifest.sha256 if target.manifest else None,
    )
    return True


def _answer(context: Context) -> None:
    """Save, evaluate: nothing that this job could do; a stop is seen by `wants_to_end` and stays."""
    if context.control.wants_to_end():
        return
    for request in context.control.take():
        if request.request_id is not None:
            message = "an evaluate job has nothing to save or pause"
            context.say(RequestAnswered(request_id=request.request_id, ok=False, message=message))


def _find_set(recipe: Recipe, name: str, tokenizer: ChatTokenizer) -> EvaluationTask:
    """A set of the recipe by name, else a file.

    Raises:
        UsageError: it is neither.
    """
    entry = recipe.evaluate.sets.get(name)
    if entry is not None and entry.from_train is None:
        return EvaluationTask(name, entry.role, entry.task, read_set(recipe, entry, tokenizer))
    if entry is not None:
        return EvaluationTask(name, entry.role, entry.task, _held_out(recipe, name, tokenizer))
    path = Path(name)
    if not path.is_absolute() or not path.is_file():
        known = ", ".join(recipe.evaluate.sets) or "none"
        raise UsageError(f"{name!r} is neither a set of the recipe nor a file", try_this=f"its sets are: {known}")
    prepared = read_file_set(recipe, path, tokenizer)
    has_answers = any(example.expected for example in prepared.examples)
    return EvaluationTask(path.stem, "file", "exact_match" if has_answers else "loss", prepared)


def _held_out(recipe: Recipe, name: str, tokenizer: ChatTokenizer) -> PreparedEvaluation:
    """The rows that training held out: drawn again by the same seed."""
    held_out = {key: entry.from_train for key, entry in recipe.evaluate.sets.items() if entry.from_train is not None}
    train = prepare_train(
        [to_source(source) for source in recipe.data.train],
        tokenizer,
        max_length=recipe.data.max_length,
        train_on=recipe.data.train_on,
        overlong=recipe.data.overlong,
        bad_rows=recipe.data.bad_rows,
        held_out=held_out,
        seed=recipe.train.seed,
    )
    return train.held_out[name]
