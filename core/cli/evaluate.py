"""`finetui eval`: score saved checkpoints, or the base model, on evaluation sets; a job in the queue like any other."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from core.cli import output
from core.cli.command import Command
from core.cli.json_values import JsonInput
from core.cli.output import Column
from core.cli.reading import open_store, workspace_of
from core.cli.shapes import weights_id
from core.cli.targets import resolve_targets
from core.paths import Workspace
from core.store.reader import open_reader
from core.store.rows import EvaluationRow
from core.units import format_value


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "targets",
        metavar="RUN[@STEP]",
        nargs="+",
        help="a checkpoint by step, or RUN@best (also RUN alone), RUN@last, RUN@all, RUN@base",
    )
    parser.add_argument(
        "--on", metavar="SET", dest="sets", action="append", required=True, help="a set of the recipe, or a file"
    )
    wait = parser.add_mutually_exclusive_group()
    wait.add_argument("--wait", action="store_true", default=True, help="wait for the figures (the default)")
    wait.add_argument("--no-wait", action="store_false", dest="wait", help="print the job's id at once")


def evaluate(arguments: argparse.Namespace) -> int:
    """Queue the job, wait, and print a row per target and set."""
    with open_store(arguments) as (workspace, reader):
        named = [target for words in arguments.targets for target in resolve_targets(reader, words)]
    targets = list(dict.fromkeys(named))  # RUN and RUN@120 may mean the same checkpoint
    sets = [_absolute_where_a_file(name) for name in arguments.sets]
    job_id = submit_evaluation(workspace, targets, sets)
    if not arguments.wait:
        if arguments.json:
            output.print_json({"id": job_id})
        else:
            output.print_text(job_id)
        return 0
    from core.cli.progress import wait

    status = wait(workspace, job_id, targets)
    rows = read_evaluations(workspace_of(arguments), job_id, targets)
    if arguments.json:
        output.print_json([_object(row) for row in rows])
    elif rows:
        _print_rows(rows)
    return status if rows or status else 1


def _absolute_where_a_file(name: str) -> str:
    """A file is named from here, not from where the worker will stand."""
    path = Path(name).expanduser()
    return str(path.resolve()) if path.is_file() else name


def submit_evaluation(workspace: Workspace, targets: Sequence[str], sets: Sequence[str]) -> str:
    """Queue one evaluate job for all targets, with the recipe of the first one's run; the job's run id."""
    from core.recipe.load import load_resolved
    from core.runs.queue import submit

    recipe = load_resolved(workspace.run(targets[0].partition("@")[0]).recipe)
    return submit(
        workspace,
        recipe,
        kind="evaluate",
        arguments={"targets": list(targets), "sets": list(sets)},
        name=f"{recipe.name} evaluation",
    )


def read_evaluations(workspace: Workspace, job_id: str, targets: Sequence[str]) -> list[EvaluationRow]:
    """The figures that the job measured, in the order of the targets."""
    with open_reader(workspace) as reader:
        runs = dict.fromkeys(target.partition("@")[0] for target in targets)
        found = [row for run_id in runs for row in reader.evaluations(run_id) if row.source_run_id == job_id]
    return sorted(found, key=lambda row: targets.index(str(weights_id(row))))


def _object(row: EvaluationRow) -> dict[str, JsonInput]:
    return {"checkpoint": weights_id(row), "set": row.set_name, "rows": row.rows, "metrics": dict(row.metrics)}


def _print_rows(rows: Sequence[EvaluationRow]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    columns = [Column("CHECKPOINT"), Column("SET", may_shrink=True), Column("ROWS", right=True)]
    cells = [
        [weights_id(row) or "", row.set_name, str(row.rows), *(format_value(row.metrics.get(name)) for name in names)]
        for row in rows
    ]
    output.print_table([*columns, *(Column(name.upper().replace("_", " "), right=True) for name in names)], cells)


COMMANDS = {"eval": Command(_configure, evaluate)}
