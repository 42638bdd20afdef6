"""Rows of the store as the JSON objects that commands promise; the one place that spells their keys.

It must not print, and must not read the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.cli.json_values import JsonInput
from core.errors import CheckpointError
from core.paths import Workspace
from core.store.rows import AttemptRow, CheckpointRow, ChoiceRow, EvaluationRow, HealthRow, RunRow


def run_object(workspace: Workspace, run: RunRow) -> dict[str, JsonInput]:
    """One element of `ls --json`."""
    return {
        "id": run.run_id,
        "name": run.name,
        "kind": run.kind,
        "state": run.state,
        "outcome": run.outcome,
        "method": run.method,
        "objective": run.objective,
        "model": shown_path(workspace, run.model),
        "step": run.step,
        "max_steps": run.max_steps,
        "loss": run.loss,
        "eval_loss": run.eval_loss,
        "best_step": run.best_step,
        "created_at": run.created_at,
    }


def shown_path(workspace: Workspace, path: str | None) -> str | None:
    """A path relative to the workspace where it lies inside; hub ids and builtin: names as they are."""
    return workspace.relative(Path(path)) if path is not None and path.startswith("/") else path


def state_text(run: RunRow) -> str:
    """What a person reads as a run's state: the outcome once it has one."""
    return str(run.outcome or run.state).replace("_", " ")


def steps_text(run: RunRow) -> str:
    """Steps done of all: 120/360."""
    done = "—" if run.step is None else str(run.step)
    return done if run.max_steps is None else f"{done}/{run.max_steps}"


def checkpoint_id(run_id: str, step: int) -> str:
    """A checkpoint as it is named everywhere: RUN@STEP."""
    return f"{run_id}@{step}"


def weights_id(row: EvaluationRow) -> str | None:
    """Whose weights were evaluated: RUN@STEP, RUN@base, or None for those in memory while training."""
    if row.weights == "memory":
        return None
    return f"{row.run_id}@base" if row.weights == "base" else checkpoint_id(row.run_id, row.step)


def checkpoint_object(
    workspace: Workspace, run_id: str, row: CheckpointRow, evaluations: Sequence[EvaluationRow]
) -> dict[str, JsonInput]:
    """A checkpoint of `show --json`. `scores` are `<set>/<metric>`, `eval_loss` the loss on the validation set.

    `valid` is whether all files of its manifest are there with their sizes; `fsck` also reads every byte.
    """
    from core.runs.manifests import verify

    folder = workspace.run(run_id).folder / row.folder
    try:
        verify(folder, deep=False)
        valid = True
    except CheckpointError:
        valid = False
    return {
        "id": checkpoint_id(run_id, row.step),
        "step": row.step,
        "path": workspace.relative(folder),
        "eval_loss": validation_loss(evaluations_at(row.step, evaluations)),
        "scores": scores(evaluations_at(row.step, evaluations)),
        "best": row.best,
        "pinned": row.pinned,
        "valid": valid,
        "bytes": row.bytes,
        "reason": row.reason,
        "created_at": row.at,
    }


def evaluations_at(step: int, evaluations: Sequence[EvaluationRow]) -> list[EvaluationRow]:
    """The evaluations of a step's weights, the saved checkpoint's last: they win over those in memory."""
    fitting = [row for row in evaluations if row.step == step and row.weights != "base"]
    return sorted(fitting, key=lambda row: (row.weights == "checkpoint", row.at))


def scores(evaluations: Sequence[EvaluationRow]) -> dict[str, float]:
    """Metrics by `<set>/<metric>`; a later row wins."""
    return {f"{row.set_name}/{name}": value for row in evaluations for name, value in row.metrics.items()}


def validation_loss(evaluations: Sequence[EvaluationRow]) -> float | None:
    """The loss on the set whose role is validation; None where it was not measured."""
    losses = [row.metrics["loss"] for row in evaluations if row.role == "validation" and "loss" in row.metrics]
    return losses[-1] if losses else None


def evaluation_object(row: EvaluationRow) -> dict[str, JsonInput]:
    """An evaluation; `checkpoint` is null for the weights in memory while training, `by` the run that measured it."""
    return {
        "checkpoint": weights_id(row),
        "step": row.step,
        "set": row.set_name,
        "role": row.role,
        "metrics": dict(row.metrics),
        "rows": row.rows,
        "seconds": row.seconds,
        "generation": row.generation,
        "set_sha256": row.set_sha256,
        "checkpoint_sha256": row.checkpoint_sha256,
        "by": row.source_run_id,
        "at": row.at,
    }


def choice_object(row: ChoiceRow) -> dict[str, JsonInput]:
    """A value that the recipe left open: what was taken, from where, and why."""
    return {"key": row.key, "value": row.value, "source": row.source, "reason": row.reason}


def health_object(row: HealthRow) -> dict[str, JsonInput]:
    """What a health rule said."""
    return {"rule": row.rule, "level": row.level, "message": row.message, "step": row.step, "at": row.at}


def attempt_object(row: AttemptRow) -> dict[str, JsonInput]:
    """One worker process, from its spawning to its exit."""
    return {
        "attempt": row.attempt,
        "resumed_from_step": row.resumed_from_step,
        "device": row.device,
        "pid": row.pid,
        "spawned_at": row.spawned_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "exited_at": row.exited_at,
        "outcome": row.outcome,
        "message": row.message,
        "advice": list(row.advice),
        "totals": dict(row.totals),
        "exit_code": row.exit_code,
        "signal": row.signal,
        "evidence": row.evidence,
    }
