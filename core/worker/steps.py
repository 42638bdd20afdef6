"""What happens after each optimizer step, in order: say it, judge it, evaluate, save, answer requests, stop or go on.

It must not know how an objective computes its loss, nor how a checkpoint reaches the disk.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.errors import WorkspaceError
from core.events import BestChanged, CheckpointRemoved, CheckpointSaved, HealthRaised, RequestAnswered
from core.recipe.schedule import StepPlan
from core.runs.checkpoints import Published, retain
from core.worker.best import BestRule, PinnedSteps
from core.worker.context import Context
from core.worker.control import Request
from core.worker.health import HealthRules
from core.worker.progress import Progress
from core.worker.reporter import Reporter

Metrics = dict[str, dict[str, float]]
"""Set name → metric → value."""


@dataclass(slots=True, kw_only=True)
class Duties:
    """What the steps of one run need done: two functions, and the plan of when."""

    plan: StepPlan
    keep: int
    patience: int | None
    best: BestRule
    evaluate: Callable[[int], Metrics | None]
    save: Callable[[Trainer], Published]
    trainer: Trainer | None = field(default=None)


class AfterStep(TrainerCallback):
    """Runs once per optimizer step, from the trainer's log of that step; `outcome` says how training ended."""

    def __init__(self, context: Context, duties: Duties, progress: Progress) -> None:
        self._context = context
        self._duties = duties
        self._progress = progress
        self._health = HealthRules(progress)
        self._pinned = PinnedSteps(context.workspace.journal, context.paths.run_id)
        self._saved_step: int | None = None
        self.reporter = Reporter(context, progress)
        self.outcome: str | None = None
        self.diverged_key = ""
        self.not_saved = ""

    @property
    def _trainer(self) -> Trainer:
        assert self._duties.trainer is not None, "set before train()"
        return self._duties.trainer

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Make up for an evaluation that a stop cut short; then the clock starts."""
        self._saved_step = state.global_step if state.global_step else None
        self._context.training_began = True
        self._context.phase("training", state.global_step)
        self.reporter.begin()
        step = state.global_step
        if step and step in self._duties.plan.evaluation_steps and self._progress.last_evaluated_step != step:
            self._make_up_evaluation(step)
        self.reporter.step_over()

    def _make_up_evaluation(self, step: int) -> None:
        improved = self._judge(self._evaluate(step))
        if improved is not None:
            self._progress.best_step, self._progress.best_value = step, improved
            self._context.say(BestChanged(step=step, metric=self._duties.best.name, value=improved))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """The trainer logs once per step (and once at the end, without a gradient norm)."""
        if logs is None or "grad_norm" not in logs:
            return
        state.log_history.clear()  # it would grow with every step, and be written into every checkpoint
        step = state.global_step
        trainer = self._trainer
        values = self.reporter.step(step, logs, trainer.tokens_in_step, trainer.tokens_trained_in_step)
        for raised in self._health.after_step(step, values):
            self._context.say(raised)
        if self._has_diverged(values):
            control.should_training_stop = True
            return
        self._work(step, self._context.control.take())
        if self.outcome is not None or step >= self._duties.plan.max_steps:
            control.should_training_stop = True
        self.reporter.step_over()

    def _has_diverged(self, values: dict[str, float]) -> bool:
        for key in ("loss", "grad_norm"):
            if not math.isfinite(values.get(key, 0.0)):
                self.outcome, self.diverged_key = "diverged", f"{key} is {values[key]}"
                return True
        return False

    def _work(self, step: int, requests: list[Request]) -> None:
        actions = {request.action for request in requests}
        plan = self._duties.plan
        is_ending = bool(actions & {"stop", "pause"})
        metrics: Metrics | None = None
        if "evaluate" in actions or (step in plan.evaluation_steps and not is_ending):
            metrics = self._evaluate(step)
            requests = requests + self._context.control.take()  # asked while evaluating
            actions = {request.action for request in requests}
        improved = self._judge(metrics)
        if actions & {"stop", "pause"} and step < plan.max_steps:
            self.outcome = "stopped" if "stop" in actions else "paused"
        elif self._is_out_of_patience():
            self.outcome = "early_stopped"
        reason = self._reason_to_save(step, actions)
        failure = self._save(step, reason, improved) if reason else None
        for request in requests:
            self._answer(request, step, metrics, failure)

    def _reason_to_save(self, step: int, actions: set[str]) -> str | None:
        if step == self._saved_step:
            return None
        if step >= self._duties.plan.max_steps or self.outcome == "early_stopped":
            return "final"
        if self.outcome is not None:
            return self.outcome
        if "save" in actions:
            return "requested"
        return "scheduled" if step in self._duties.plan.checkpoint_steps else None

    def _evaluate(self, step: int) -> Metrics | None:
        """All sets of the recipe; None where a stop was asked for meanwhile."""
        self._context.phase("evaluating", step)
        began = time.monotonic()
        metrics = self._duties.evaluate(step)
        self.reporter.evaluate_seconds += time.monotonic() - began
        if metrics is not None:
            self._progress.last_evaluated_step = step
            for set_name, values in metrics.items():
                for raised in self._health.after_evaluation(step, set_name, values):
                    self._context.say(raised)
        self._context.phase("training", step)
        return metrics

    def _judge(self, metrics: Metrics | None) -> float | None:
        """Count patience; returns the best metric's value if it beats the best checkpoint's."""
        value = self._duties.best.value(metrics)
        if value is None:
            return None
        if self._duties.best.is_better(value, self._progress.best_seen):
            self._progress.best_seen = value
            self._progress.evaluations_without_improvement = 0
        else:
            self._progress.evaluations_without_improvement += 1
        return value if self._duties.best.is_better(value, self._progress.best_value) else None

    def _is_out_of_patience(self) -> bool:
        patience = self._duties.patience
        return patience is not None and self._progress.evaluations_without_improvement >= patience

    def _save(self, step: int, reason: str, improved: float | None) -> str | None:
        """Write a checkpoint; returns what went wrong. A full disk does not end the training."""
        progress = self._progress
        before = (progress.best_step, progress.best_value)
        if improved is not None:
            progress.best_step, progress.best_value = step, improved
        self._context.phase("saving", step)
        self._context.outbox.sync()  # a checkpoint must not survive a power cut that its steps do not
        began = time.monotonic()
        try:
            published = self._duties.save(self._trainer)
        except WorkspaceError as error:
            progress.best_step, progress.best_value = before
            self.not_saved = str(error)
            self._context.say(HealthRaised(rule="not_saved", level="error", message=str(error), step=step))
            return str(error)
        seconds = time.monotonic() - began
        self.reporter.save_seconds += seconds
        self._saved_step, self.not_saved = step, ""
        self._context.say(
            CheckpointSaved(
                step=step,
                folder=published.folder.relative_to(self._context.paths.folder).as_posix(),
                bytes=published.bytes,
                manifest_sha256=published.manifest_sha256,
                reason=reason,
                seconds=seconds,
            )
        )
        if improved is not None:
            self._context.say(BestChanged(step=step, metric=self._duties.best.name, value=improved))
        self._context.outbox.sync()
        self._retain()
        self._context.phase("training", step)
        return None

    def _retain(self) -> None:
        removed = retain(
            self._context.paths,
            keep=self._duties.keep,
            best_step=self._progress.best_step,
            pinned=self._pinned.read(),
        )
        for step in removed:
            self._context.say(CheckpointRemoved(step=step, reason="retention"))

    def _answer(self, request: Request, step: int, metrics: Metrics | None, failure: str | None) -> None:
        if request.request_id is None:
            return
        if request.action == "evaluate":
            ok = metrics is not None
            message = f"evaluated at step {step}" if ok else "the evaluation was cut short by a stop"
            self._context.say(RequestAnswered(request_id=request.request_id, ok=ok, message=message))
            return
        done = {"stop": "stopping", "pause": "pausing", "save": "saved"}.get(request.action)
        if done is None:
            message = f"this worker knows no request {request.action!r}"
            self._context.say(RequestAnswered(request_id=request.request_id, ok=False, message=message))
            return
        self._context.say(
            RequestAnswered(
                request_id=request.request_id,
                ok=failure is None,
                message=failure or f"{done} at step {step}",
                checkpoint_step=None if failure else self._saved_step,
            )
        )
