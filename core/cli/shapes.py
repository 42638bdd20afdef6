"""Rows of the store as the JSON objects that commands promise; the one place that spells their keys.

It must not print, and must not read the store.
"""

from __future__ import annotations

from pathlib import Path

from core.cli.json_values import JsonInput
from core.paths import Workspace
from core.store.rows import RunRow


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


def checkpoint_object(
    workspace: Workspace, row: CheckpointRow, evaluations: Sequence[EvaluationRow]
) -> dict[str, JsonInput]:
    """A checkpoint of `show --json`. `valid` is whether it is whole by manifest and sizes, not hashed again.

    `scores` are `<set>/<metric>` measured at its step, while training or of the saved checkpoint.
    """
    scores = checkpoint_scores(row, evaluations)
    folder = workspace.run(row.run_id).folder / row.folder
    return {
        "id": f"{row.run_id}@{row.step}",
        "step": row.step,
        "path": workspace.relative(folder),
        "eval_loss": validation_loss(row, evaluations),
        "scores": scores,
        "best": row.best,
        "pinned": row.pinned,
        "valid": is_whole(folder),
        "bytes": row.bytes,
        "reason": row.reason,
    }
