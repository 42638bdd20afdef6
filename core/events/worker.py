"""What a worker says in `events.jsonl`: progress, measurements, checkpoints, answers to requests, the end.

A worker reports facts; it must not name a state (`running`, `finished`): those are moves that the supervisor makes.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Self, cast

from core.events.lines import FORMAT_VERSION, Event, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """The worker lives and holds its lock. `resumed_from_step` is None for a fresh start."""

    kind: str
    pid: int
    boot_id: str
    start_ticks: int
    device: str = "cpu"
    resumed_from_step: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that finetui chose or took: what, from where (recipe, preset, auto, …), and why."""

    key: str
    value: str | int | float | bool | None
    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved(Event):
    """Every value that was not simply read from the recipe, with its reason."""

    choices: tuple[Choice, ...]

    @classmethod
    def from_json(cls, data: dict[str, Json]) -> Self:
        rows = cast(list[dict[str, str]], data["choices"])
        return cls(choices=tuple(Choice(row["key"], row["value"], row["source"], row["reason"]) for row in rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(Event):
    """The whole plan of a training run, known before its first step; `rows` maps a data set's name to its rows."""

    max_steps: int
    num_train_epochs: float
    rows: dict[str, int]
    parameters_total: int
    parameters_trained: int
    tokens_per_epoch: int | None = None
    tokens_trained_per_epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEntered(Event):
    """What the worker is busy with: loading, preparing, training, evaluating, saving, finishing."""

    phase: str
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLogged(Event):
    """All scalars of one optimizer step. Keys are metric names (`loss`, `grad_norm`, `learning_rate`, …).

    `tokens` counts the tokens seen since step 0, `elapsed_seconds` the time of this run's training over all attempts.
    """

    step: int
    values: dict[str, float]
    epoch: float | None = None
    tokens: int | None = None
    elapsed_seconds: float | None = None

    def as_json(self, seq: int, attempt: int, ts: float) -> str | None:
        numbers = self.values.values() if isinstance(self.values, dict) else (None,)
        if not _FLOAT_ALONE.issuperset(map(type, numbers)):
            return None
        epoch, tokens, elapsed = self.epoch, self.tokens, self.elapsed_seconds
        if epoch is None or tokens is None or elapsed is None or not math.isfinite(sum(numbers) + epoch + elapsed):
            return None  # a sum is not finite where one of its parts is not
        names = tuple(self.values)
        template = _templates.get(names)
        if template is None:
            template = _templates[names] = _template(names)
        return template % (seq, attempt, round(ts, 3), self.step, *numbers, epoch, tokens, elapsed)


_FLOAT_ALONE = frozenset({float})
_templates: dict[tuple[str, ...], str] = {}
"""The line of a step by its metric names; kept, since the same few come back at each step."""


def _template(names: tuple[str, ...]) -> str:
    keys = ",".join(json.dumps(name, ensure_ascii=False).replace("%", "%%") + ":%s" for name in names)
    return (
        f'{{"v":{FORMAT_VERSION},"seq":%s,"attempt":%s,"ts":%s,"type":"StepLogged","step":%s,"values":{{{keys}}},'
        '"epoch":%s,"tokens":%s,"elapsed_seconds":%s}'
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated(Event):
    """One evaluation set's metrics at a step; stored as metrics `eval/<set_name>/<metric>`.

    `checkpoint` is `RUN@STEP` for an evaluation of a saved checkpoint, `base` for the untrained model, None for the
    weights in memory while training. `set_sha256` is the set's version; `generation` describes how answers were made.
    """

    step: int
    set_name: str
    role: str
    metrics: dict[str, float]
    rows: int
    seconds: float
    set_sha256: str = ""
    checkpoint: str | None = None
    checkpoint_sha256: str | None = None
    generation: str = ""


@dataclass(frozen=True, slots=True)
class ExampleScore:
    """One example's outcome; `negative_log_likelihood` is the mean over its trained tokens, in nats."""

    index: int
    output: str | None
    score: float | None
    negative_log_likelihood: float | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamplesScored(Event):
    """Per-example rows of one evaluation, at most a hundred to a line."""

    step: int
    set_name: str
    metric: str
    examples: tuple[ExampleScore, ...]
    checkpoint: str | None = None

    @classmethod
    def from_json(cls, data: dict[str, Json]) -> Self:
        rows = cast(list[dict[str, Json]], data["examples"])
        examples = tuple(
            ExampleScore(
                index=cast(int, row["index"]),
                output=cast("str | None", row.get("output")),
                score=cast("float | None", row.get("score")),
                negative_log_likelihood=cast("float | None", row.get("negative_log_likelihood")),
                output_tokens=cast("int | None", row.get("output_tokens")),
            )
            for row in rows
        )
        return cls(
            step=cast(int, data["step"]),
            set_name=cast(str, data["set_name"]),
            metric=cast(str, data["metric"]),
            examples=examples,
            checkpoint=cast("str | None", data.get("checkpoint")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Event):
    """The answer to one fixed prompt of the recipe (`evaluate.prompts`), greedy, at a step."""

    step: int
    prompt_index: int
    prompt: str
    answer: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved(Event):
    """A checkpoint was published: renamed into place with its manifest. `folder` is relative to the run folder.

    `reason` is scheduled, requested, paused, stopped or final.
    """

    step: int
    folder: str
    bytes: int
    manifest_sha256: str
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRemoved(Event):
    """Retention removed a checkpoint."""

    step: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BestChanged(Event):
    """The best checkpoint so far by the recipe's `checkpoints.best_metric`."""

    step: int
    metric: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRaised(Event):
    """A rule over the stream has something to say; `level` is info, warning or error."""

    rule: str
    level: str
    message: str
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAnswered(Event):
    """What came of a request; `checkpoint_step` names the checkpoint that was written for it."""

    request_id: str
    ok: bool
    message: str
    checkpoint_step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Event):
    """The worker's last word. `outcome` is one of `core.states.Outcome`, or `paused`.

    `advice` are whole sentences; `totals` are measured figures of the attempt (`train_seconds`, `evaluate_seconds`,
    `memory_peak_bytes`, …).
    """

    outcome: str
    message: str
    step: int | None = None
    advice: tuple[str, ...] = ()
    totals: dict[str, float] = field(default_factory=dict)
