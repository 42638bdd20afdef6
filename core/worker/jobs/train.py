"""One training run from its folder to its last checkpoint; reads top to bottom.

It puts the rooms together: recipe, data, model, objective, steps. How each works is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.data.chat import ChatTokenizer
from core.errors import CheckpointError
from core.events import Choice, HealthRaised, Planned, Resolved
from core.paths import Workspace
from core.recipe.dump import recipe_sha256
from core.recipe.load import load_resolved
from core.recipe.schedule import StepPlan, plan_steps
from core.recipe.schema import Recipe
from core.runs.checkpoints import Manifest, sweep_staging, verify
from core.worker.adapters import peft_config
from core.worker.batches import to_dataset
from core.worker.best import BestRule
from core.worker.checkpoints import (
    ResumePoint,
    announce_unannounced,
    find_resume_point,
    save_checkpoint,
)
from core.worker.context import Context, Ending
from core.worker.environment import write_environment
from core.worker.model import LoadedModel, load_model, model_folder
from core.worker.objectives.sft import SftTrainer, make_trainer
from core.worker.prepared import RunData, audit_run, prepare_run
from core.worker.progress import Progress
from core.worker.resident import holds_adapter
from core.worker.sets import SetEvaluator
from core.worker.steps import AfterStep, Duties


@dataclass(frozen=True, slots=True)
class _Start:
    """Where training begins: `resume` in this run's own checkpoint, `from_checkpoint` in another run's weights."""

    resume: ResumePoint | None
    from_checkpoint: Manifest | None

    @property
    def folder(self) -> Path:
        """The folder of the other run's checkpoint."""
        assert self.from_checkpoint is not None
        return self.from_checkpoint.folder

    @property
    def has_adapter(self) -> bool:
        """Whether another run's checkpoint is begun from, and holds an adapter rather than a whole model."""
        return self.from_checkpoint is not None and holds_adapter(self.folder)


def run(context: Context) -> Ending:
    """Train, and say everything on the way.

    Raises:
        FinetuiError: before training began the run could not start; afterwards it crashed.
    """
    recipe = load_resolved(context.paths.recipe)
    sha256 = recipe_sha256(recipe)
    sweep_staging(context.paths)
    resume = find_resume_point(context.paths, sha256) if context.attempt > 1 else None
    resumed_step = resume.manifest.step if resume else 0
    context.started(resumed_from_step=resumed_step if context.attempt > 1 else None)
    if resume is not None:
        announce_unannounced(context, resume, BestRule.of(recipe).name)
    start = _Start(resume, _other_run(context.workspace, context.job.queued.resumed_from))

    context.phase("preparing")
    folder = _base_folder(recipe, start)
    tokenizer = ChatTokenizer.load(folder)
    data = prepare_run(recipe, tokenizer)
    context.advice_facts["longest_row_tokens"] = float(data.longest_row_tokens)
    for warning in (*data.train.report.problems, *audit_run(data).warnings):
        context.say(HealthRaised(rule="data", level="warning", message=warning))
    rows = to_dataset(data.train.rows, packing=recipe.data.packing, max_length=recipe.data.max_length)
    plan = plan_steps(recipe, len(rows))
    context.end_if_asked()

    context.phase("loading")
    base = load_model(recipe, folder, context.device)
    _note_memory(context, base)
    context.end_if_asked()

    progress = resume.progress if resume else Progress()
    evaluator = SetEvaluator(context, recipe, data, tokenizer, base.autocast)
    duties = Duties(
        plan=plan,
        keep=recipe.checkpoints.keep,
        patience=recipe.evaluate.early_stopping_patience,
        best=BestRule.of(recipe),
        evaluate=lambda step: evaluator.evaluate(trainer.model, step),
        save=lambda _: save_checkpoint(
            trainer,
            context.paths,
            recipe_sha256=sha256,
            tokenizer_folder=folder,
            progress=progress,
            expected_bytes=_expected_checkpoint_bytes(trainer),
            extra={"method": recipe.method.type, "base": recipe.model.path},
        ),
    )
    steps = AfterStep(context, duties, progress)
    trainer = make_trainer(
        recipe,
        plan,
        base,
        peft_config(recipe.method),
        rows,
        pad_token_id=tokenizer.pad_token_id,
        device=context.device,
        output_folder=context.paths.checkpoints,
        callback=steps,
    )
    duties.trainer = trainer
    if resume is None and start.has_adapter:
        trainer.load_weights(start.folder)
    _say_plan(context, recipe, plan, data, base, trainer)
    trainer.train(resume_from_checkpoint=str(resume.manifest.folder) if resume else None)
    return _ending(steps, trainer, recipe, plan)


def _other_run(workspace: Workspace, resumed_from: str | None) -> Manifest | None:
    """The proved checkpoint `RUN@STEP` that a new run begins from."""
    if resumed_from is None:
        return None
    run_id, _, step = resumed_from.partition("@")
    try:
        return verify(workspace.run(run_id).checkpoint(int(step)), deep=True)
    except ValueError as error:
        raise CheckpointError(f"{resumed_from!r} is not RUN@STEP") from error


def _base_folder(recipe: Recipe, start: _Start) -> Path:
    """The base model's folder; another run's checkpoint is the base itself where it holds a whole model."""
    if start.from_checkpoint is None:
        return model_folder(recipe.model)
    if start.has_adapter and recipe.method.type == "full":
        raise CheckpointError(
            "an adapter can't be continued as full fine-tuning", try_this="use method.type lora or qlora"
        )
    return model_folder(recipe.model) if start.has_adapter else start.folder


def _note_memory(context: Context, base: LoadedModel) -> None:
    """Keep the figures that out-of-memory advice needs while they can still be asked for."""
    context.advice_facts["weight_bytes"] = float(base.weight_bytes)
    if context.device != "cpu":
        import torch

        context.advice_facts["device_memory_bytes"] = float(torch.cuda.get_device_properties(0).total_memory)


def _expected_checkpoint_bytes(trainer: SftTrainer) -> int:
    """Trained weights and two optimizer moments, about."""
    return 3 * sum(p.numel() * p.element_size() for p in trainer.model.parameters() if p.requires_grad)


def _say_plan(
    context: Context, recipe: Recipe, plan: StepPlan, data: RunData, base: LoadedModel, trainer: SftTrainer
) -> None:
    trained = [p for p in trainer.model.parameters() if p.requires_grad]
    formats = sorted({str(p.dtype).removeprefix("torch.") for p in trained})
    chosen_here = (*base.choices, Choice("trained weights", ", ".join(formats), "auto", _format_reason(recipe)))
    choices = (*_choices_of_job(context), *chosen_here)
    context.say(Resolved(choices=choices))
    report = data.train.report
    context.say(
        Planned(
            max_steps=plan.max_steps,
            num_train_epochs=plan.num_train_epochs,
            rows=data.row_counts(),
            parameters_total=sum(_true_size(p) for p in trainer.model.parameters()),
            parameters_trained=sum(p.numel() for p in trained),
            tokens_per_epoch=report.tokens,
            tokens_trained_per_epoch=report.tokens_trained,
        )
    )
    write_environment(
        context.workspace,
        context.paths,
        attempt=context.attempt,
        device=context.device,
        model=recipe.model.path,
        folder=base.folder,
        seed=recipe.train.seed,
        datasets=data.train.versions,
        choices=choices,
    )


def _choices_of_job(context: Context) -> tuple[Choice, ...]:
    """What the recipe's loader chose when the run was queued."""
    event = Resolved.from_json({"choices": context.job.arguments.get("choices") or []})
    return event.choices


def _format_reason(recipe: Recipe) -> str:
    if recipe.method.type == "qlora":
        return "as in the QLoRA paper: adapters in bfloat16 over a base in 4 bits"
    return "adapters keep small updates" if recipe.method.type == "lora" else "the weights' own format"


def _true_size(parameter: object) -> int:
    """Weights in a parameter; one of 4 bits holds two in each of its bytes."""
    state = getattr(parameter, "quant_state", None)
    return int(state.shape.numel()) if state is not None else int(parameter.numel())  # type: ignore[attr-defined]


def _ending(steps: AfterStep, trainer: SftTrainer, recipe: Recipe, plan: StepPlan) -> Ending:
    step = trainer.state.global_step
    totals = steps.reporter.totals()
    if steps.outcome == "diverged":
        rate = recipe.train.learning_rate
        return Ending(
            outcome="diverged",
            message=f"{steps.diverged_key} at step {step}",
            step=step,
            advice=(
                f"Set train.learning_rate={rate / 10:.3g} (a tenth) and start anew.",
                "Raise train.warmup_steps, or lower train.max_grad_norm, if a lower rate learns too slowly.",
            ),
            totals=totals,
        )
    if steps.not_saved and steps.outcome in (None, "early_stopped"):
        return Ending(
            outcome="crashed",
            message=f"trained to step {step}, but the last checkpoint is missing: {steps.not_saved}",
            step=step,
            advice=("Free some space, then resume: the run goes on from its last checkpoint and ends the same.",),
            totals=totals,
        )
    words = {"stopped": "stopped", "paused": "paused", "early_stopped": "stopped early: no further improvement"}
    outcome = steps.outcome or "completed"
    message = f"{words.get(outcome, 'completed')} at step {step} of {plan.max_steps}"
    return Ending(outcome=outcome, message=message, step=step, totals=totals)
