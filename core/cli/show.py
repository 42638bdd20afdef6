"""`finetui show`: all about one run: what was asked, where it stands, its checkpoints, evaluations and health."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from typing import cast

from core.cli import output
from core.cli.command import Command
from core.cli.json_values import JsonInput
from core.cli.listing import when
from core.cli.output import Column
from core.cli.reading import find_run, open_store
from core.cli.shapes import (
    attempt_object,
    checkpoint_id,
    checkpoint_object,
    choice_object,
    evaluation_object,
    health_object,
    run_object,
    shown_path,
    state_text,
    steps_text,
    weights_id,
)
from core.errors import FinetuiError
from core.paths import RunPaths, Workspace
from core.store.reader import Reader
from core.store.rows import CheckpointRow, ChoiceRow, EvaluationRow, HealthRow, RunRow
from core.units import format_bytes, format_value


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's id, the start of it, or its name")
    parser.add_argument("--why", action="store_true", help="also every default that was taken, with its reason")


def show(arguments: argparse.Namespace) -> int:
    """Print the run."""
    with open_store(arguments) as (workspace, reader):
        run = reader.run(find_run(reader, arguments.run))
        if arguments.json:
            output.print_json(run_document(workspace, reader, run))
        else:
            _print_run(workspace, reader, run, why=arguments.why)
    return 0


def run_document(workspace: Workspace, reader: Reader, run: RunRow) -> dict[str, JsonInput]:
    """The object of `show --json`: that of `ls --json` and what belongs to the run."""
    paths = workspace.run(run.run_id)
    evaluations = reader.evaluations(run.run_id)
    checkpoints = reader.checkpoints(run.run_id)
    return {
        **run_object(workspace, run),
        "note": run.note,
        "tags": list(run.tags),
        "message": run.message,
        "advice": list(run.advice),
        "device": run.device,
        "resumed_from": run.resumed_from,
        "recipe": _recipe(paths, imported=run.imported),
        "environment": cast(JsonInput, reader.environment(run.run_id)),
        "choices": [choice_object(row) for row in reader.choices(run.run_id)],
        "checkpoints": [checkpoint_object(workspace, run.run_id, row, evaluations) for row in checkpoints],
        "evaluations": [evaluation_object(row) for row in evaluations],
        "health": [health_object(row) for row in reader.health(run.run_id)],
        "attempts": [attempt_object(row) for row in reader.attempts(run.run_id)],
    }


def _recipe(paths: RunPaths, *, imported: bool) -> JsonInput:
    if imported and not paths.recipe.exists():
        return None  # another tracker recorded it
    from core.recipe.load import load_resolved

    try:
        return cast(JsonInput, load_resolved(paths.recipe).model_dump(mode="json"))
    except FinetuiError as error:
        output.narrate(f"note: the run's recipe can't be read: {error.what}")
        return None


def _print_run(workspace: Workspace, reader: Reader, run: RunRow, *, why: bool) -> None:
    fields = [
        ("run", run.run_id),
        ("name", run.name),
        ("state", state_text(run) + (f", attempt {run.attempt}" if run.attempt > 1 else "")),
        ("message", run.message),
        ("advice", "\n".join(run.advice)),
        ("job", " ".join(word for word in (run.kind, run.method, run.objective) if word)),
        ("model", shown_path(workspace, run.model) or ""),
        ("step", steps_text(run)),
        ("loss", format_value(run.loss)),
        ("eval loss", format_value(run.eval_loss)),
        ("created", when(run.created_at)),
        ("resumed from", run.resumed_from or ""),
        ("tags", " ".join(run.tags)),
        ("note", run.note),
        ("folder", workspace.relative(workspace.run(run.run_id).folder)),
    ]
    output.print_fields((name, value) for name, value in fields if value)
    evaluations = reader.evaluations(run.run_id)
    checkpoints = reader.checkpoints(run.run_id)
    _print_section("checkpoints", _CHECKPOINTS, (_checkpoint_row(run.run_id, row) for row in checkpoints))
    _print_section("evaluations", _EVALUATIONS, (_evaluation_row(row) for row in evaluations))
    _print_choices(reader.choices(run.run_id), all_of_them=why)
    _print_section("health", _HEALTH, (_health_row(row) for row in reader.health(run.run_id)))
    if run.imported:
        _print_foreign(reader.environment(run.run_id) or {})


_CHECKPOINTS = (Column("CHECKPOINT"), Column("SIZE", right=True), Column(""), Column("FOLDER"))
_EVALUATIONS = (Column("STEP", right=True), Column("SET", may_shrink=True), Column("OF"), Column("METRICS"))
_HEALTH = (Column("STEP", right=True), Column("LEVEL"), Column("MESSAGE", may_shrink=True))


def _print_choices(choices: Sequence[ChoiceRow], *, all_of_them: bool) -> None:
    """In whole lines: a reason that is cut explains nothing."""
    shown = [row for row in choices if all_of_them or row.source != "default"]
    if not shown:
        return
    output.print_text("\nchosen by finetui" + ("" if all_of_them else " (defaults too: --why)"))
    for row in shown:
        value = "null" if row.value is None else row.value
        output.print_text(f"{row.key}: {value} ({row.source}: {row.reason})")


def _print_foreign(environment: dict[str, object]) -> None:
    """Where an imported run came from, and the settings that its tracker kept."""
    origin, config = environment.get("imported"), environment.get("config")
    if isinstance(origin, dict):
        output.print_text(f"\nimported from {origin.get('tracker')}: {origin.get('source')}")
        remarks = origin.get("remarks")
        for remark in remarks if isinstance(remarks, list) else ():
            output.print_text(f"note: {remark}")
    if isinstance(config, dict):
        for key, value in config.items():
            output.print_text(f"{key}: {value if isinstance(value, str) else json.dumps(value)}")


def _print_section(title: str, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    found = list(rows)
    if found:
        output.print_text(f"\n{title}")
        output.print_table(columns, found)


def _checkpoint_row(run_id: str, row: CheckpointRow) -> list[str]:
    marks = [word for word, is_so in (("best", row.best), ("pinned", row.pinned)) if is_so]
    return [checkpoint_id(run_id, row.step), format_bytes(row.bytes), " ".join(marks), row.folder]


def _evaluation_row(row: EvaluationRow) -> list[str]:
    metrics = "  ".join(f"{name} {format_value(value)}" for name, value in row.metrics.items())
    return [str(row.step), row.set_name, weights_id(row) or "training", metrics]


def _health_row(row: HealthRow) -> list[str]:
    return ["" if row.step is None else str(row.step), row.level, row.message]


COMMANDS = {"show": Command(_configure, show)}
