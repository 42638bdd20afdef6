"""What readers get: frozen rows with the units in their names; None is "not measured". It must not know SQL."""

from __future__ import annotations

from dataclasses import dataclass

from core.states import Outcome, State


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run as lists and pages show it. `created_at` in seconds since 1970.

    `eval_loss` is the latest loss on the validation set, `message` the worker's last word or why the run ended,
    `queue_rank` is given while the run waits; the lowest starts first.
    """

    run_id: str
    name: str
    kind: str
    state: State
    outcome: Outcome | None
    attempt: int
    method: str | None
    objective: str | None
    model: str | None
    step: int | None
    max_steps: int | None
    loss: float | None
    eval_loss: float | None
    best_step: int | None
    best_metric: str | None
    best_value: float | None
    created_at: float
    queue_rank: int | None
    resumed_from: str | None
    message: str
    advice: tuple[str, ...]
    phase: str | None
    device: str
    note: str
    tags: tuple[str, ...]
    recipe_sha256: str
    imported: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionRow:
    """One move of a run; `from_state` is None for its beginning. `source` is journal or supervisor."""

    at: float
    from_state: State | None
    to_state: State
    outcome: Outcome | None
    attempt: int
    source: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One worker process of a run, from its spawning to its exit."""

    attempt: int
    spawned_at: float | None
    started_at: float | None
    pid: int | None
    boot_id: str | None
    start_ticks: int | None
    detached_by: str | None
    device: str | None
    resumed_from_step: int | None
    finished_at: float | None
    outcome: str | None
    message: str
    advice: tuple[str, ...]
    totals: dict[str, float]
    exited_at: float | None
    exit_code: int | None
    signal: int | None
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRow:
    """One published checkpoint; `folder` is relative to the run folder. `removed_because` is None while it exists."""

    step: int
    attempt: int
    at: float
    folder: str
    bytes: int
    manifest_sha256: str
    reason: str
    seconds: float
    removed_because: str | None
    pinned: bool
    best: bool

    @property
    def removed(self) -> bool:
        """Whether retention or `gc` deleted it."""
        return self.removed_because is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """One set's metrics of one run's weights: in memory while training, a saved checkpoint, or the untrained base.

    `source_run_id` measured it, `run_id` is whose weights they are; `step` is 0 for the base.
    """

    run_id: str
    source_run_id: str
    weights: str  # memory | checkpoint | base
    step: int
    set_name: str
    role: str
    metrics: dict[str, float]
    rows: int
    seconds: float
    at: float
    set_sha256: str
    checkpoint_sha256: str | None
    generation: str

    @property
    def checkpoint(self) -> str | None:
        """Whose weights, as people write it: `RUN@STEP` or `RUN@base`; None for weights in memory while training."""
        if self.weights == "memory":
            return None
        return f"{self.run_id}@{'base' if self.weights == 'base' else self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleRow:
    """One example of one evaluation."""

    source_run_id: str
    weights: str
    step: int
    set_name: str
    metric: str
    index: int
    output: str | None
    score: float | None
    negative_log_likelihood: float | None
    output_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """The answer to one fixed prompt at a step."""

    step: int
    prompt_index: int
    prompt: str
    answer: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRow:
    """What a health rule said; `level` is info, warning or error."""

    at: float
    attempt: int
    rule: str
    level: str
    message: str
    step: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """A wish of a living run with its answer; `answered_at` is None while there is none."""

    request_id: str
    journal_seq: int
    at: float
    action: str
    arguments: dict[str, str]
    answered_at: float | None
    ok: bool | None
    message: str
    checkpoint_step: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """One reading of the machine; the fields of `core.events.HardwareSampled`."""

    at: float
    attempt: int
    gpu_uuid: str | None
    gpu_name: str | None
    gpu_utilisation_percent: float | None
    gpu_memory_used_bytes: int | None
    gpu_memory_total_bytes: int | None
    gpu_power_watts: float | None
    gpu_temperature_celsius: float | None
    cpu_percent: float | None
    host_memory_used_bytes: int | None
    host_memory_total_bytes: int | None
    worker_memory_bytes: int | None
    disk_free_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """The plan of a training run, as its worker announced it."""

    max_steps: int
    num_train_epochs: float
    rows: dict[str, int]
    parameters_total: int
    parameters_trained: int
    tokens_per_epoch: int | None
    tokens_trained_per_epoch: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceRow:
    """A value that was chosen, with its source and reason."""

    key: str
    value: str | int | float | bool | None
    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersionRow:
    """One data file as a run used it."""

    path: str
    fingerprint: str
    rows: int | None
    bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One metric of one run. Least and greatest leave out numbers that are not finite; `nan_count` counts those."""

    key: str
    last: float
    last_step: int
    minimum: float | None
    minimum_step: int | None
    maximum: float | None
    maximum_step: int | None
    count: int
    nan_count: int


@dataclass(frozen=True, slots=True)
class Series:
    """One curve; `values` holds nan and ±inf where they were logged."""

    key: str
    steps: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What a step corresponds to, one entry a logged step: wall clock, epoch, tokens seen, seconds of training."""

    steps: list[int]
    at: list[float]
    epochs: list[float | None]
    tokens: list[int | None]
    elapsed_seconds: list[float | None]
