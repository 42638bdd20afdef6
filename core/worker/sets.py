"""Evaluates the recipe's sets and prompts at a step and says the results: the training run's side of evaluation.

How a set is measured is `evaluation`; when it is, is `steps`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from transformers import PreTrainedModel

from core.data.chat import ChatTokenizer
from core.data.prepare import PreparedEvaluation
from core.evaluate.tasks import TASKS
from core.events import Answered, Evaluated, ExampleScore, ExamplesScored
from core.recipe.schema import Recipe
from core.worker.context import Context
from core.worker.evaluation import EvaluationSettings, SetResult, evaluate_set, untouched
from core.worker.generate import generate_greedy
from core.worker.prepared import RunData

EXAMPLES_IN_LINE = 100


def say_result(
    context: Context,
    *,
    step: int,
    set_name: str,
    role: str,
    task: str,
    prepared: PreparedEvaluation,
    result: SetResult,
    checkpoint: str | None = None,
    checkpoint_sha256: str | None = None,
) -> None:
    """One Evaluated event, then the examples' rows, a hundred to a line."""
    context.say(
        Evaluated(
            step=step,
            set_name=set_name,
            role=role,
            metrics=result.metrics,
            rows=len(result.examples),
            seconds=result.seconds,
            set_sha256=prepared.sha256,
            checkpoint=checkpoint,
            checkpoint_sha256=checkpoint_sha256,
            generation=result.generation,
        )
    )
    for examples in _chunks(result.examples):
        context.say(ExamplesScored(step=step, set_name=set_name, metric=task, examples=examples, checkpoint=checkpoint))


def _chunks(examples: tuple[ExampleScore, ...]) -> Iterator[tuple[ExampleScore, ...]]:
    rest = iter(examples)
    while chunk := tuple(islice(rest, EXAMPLES_IN_LINE)):
        yield chunk


class SetEvaluator:
    """Called with a step; evaluates what the recipe names, on the weights in memory."""

    def __init__(
        self, context: Context, recipe: Recipe, data: RunData, tokenizer: ChatTokenizer, autocast: bool
    ) -> None:
        self._context = context
        self._recipe = recipe
        self._data = data
        self._tokenizer = tokenizer
        self._settings = EvaluationSettings(
            max_new_tokens=recipe.evaluate.max_new_tokens, batch_size=recipe.evaluate.batch_size, autocast=autocast
        )

    def evaluate(self, model: PreTrainedModel, step: int) -> dict[str, dict[str, float]] | None:
        """Set name → metrics; None where a stop or a pause was asked for meanwhile (nothing is said then)."""
        results: list[tuple[str, SetResult]] = []
        for name, prepared in self._data.sets.items():
            task = self._recipe.evaluate.sets[name].task
            result = evaluate_set(
                model, self._tokenizer, prepared, task, self._settings, self._context.control.wants_to_end
            )
            if result is None:
                return None
            results.append((name, result))
        answered = self._answer_prompts(model, step)
        if not answered:
            return None
        for name, result in results:
            entry = self._recipe.evaluate.sets[name]
            say_result(
                self._context,
                step=step,
                set_name=name,
                role=entry.role,
                task=entry.task if TASKS[entry.task].needs_generation else "loss",
                prepared=self._data.sets[name],
                result=result,
            )
        return {name: result.metrics for name, result in results}

    def _answer_prompts(self, model: PreTrainedModel, step: int) -> bool:
        if not self._data.prompts:
            return True
        with untouched(model, self._settings.autocast):
            answers = generate_greedy(
                model,
                self._data.prompts,
                max_new_tokens=self._settings.max_new_tokens,
                batch_size=self._settings.batch_size,
                pad_token_id=self._tokenizer.pad_token_id,
                stop_token_ids=self._tokenizer.stop_token_ids,
                should_stop=self._context.control.wants_to_end,
            )
        if answers is None:
            return False
        for index, (prompt, tokens) in enumerate(zip(self._recipe.evaluate.prompts, answers, strict=True)):
            text = self._tokenizer.decode(tokens)
            self._context.say(Answered(step=step, prompt_index=index, prompt=prompt, answer=text, tokens=len(tokens)))
        return True
