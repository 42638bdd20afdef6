"""`finetui import`: runs that other trackers recorded become finished runs here; their ids go to stdout."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import output
from core.cli.command import Command
from core.cli.json_values import JsonInput
from core.cli.reading import workspace_of
from core.errors import FinetuiError, ForeignFileError, UsageError

if TYPE_CHECKING:
    from core.importers.foreign import ForeignRun
    from core.importers.sources import Source
    from core.runs.imports import Imported


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="+",
        help="a trainer_state.json, TensorBoard event file, W&B run-*.wandb, trackio or MLflow database, or a folder"
        " that holds some",
    )
    parser.add_argument("--name", help="the run's name here (default: the name it had)")
    parser.add_argument("--tag", metavar="TAG", dest="tags", action="append", default=[], help="tag what is imported")


def import_(arguments: argparse.Namespace) -> int:
    """Read everything first, then import; what can't be read is said, and the rest is imported."""
    from core.runs.imports import import_runs

    workspace = workspace_of(arguments)
    runs, failed = _read(arguments.paths)
    if arguments.name is not None and len(runs) > 1:
        raise UsageError(f"--name fits one run, and {len(runs)} were found", try_this="finetui rename, run by run")
    done = import_runs(workspace, runs, name=arguments.name, tags=arguments.tags)
    for run, imported in zip(runs, done, strict=True):
        _narrate(run, imported)
    if arguments.json:
        objects = [_object(run, imported) for run, imported in zip(runs, done, strict=True)]
        output.print_json({"runs": objects, "failed": [{"what": each.what, "why": each.why} for each in failed]})
    else:
        for imported in done:
            output.print_text(imported.run_id)
    return 1 if failed else 0


def _read(paths: list[str]) -> tuple[list[ForeignRun], list[FinetuiError]]:
    """All runs below the paths, and what could not be read.

    Raises:
        UsageError: a path does not exist; nothing is imported then.
    """
    from core.importers.sources import find_sources

    runs: list[ForeignRun] = []
    failed: list[FinetuiError] = []
    for path in paths:
        before = len(runs), len(failed)
        try:
            for source in find_sources(Path(path).expanduser().absolute()):
                _read_source(source, runs, failed)
        except ForeignFileError as error:
            failed.append(error)
        if before == (len(runs), len(failed)):
            failed.append(ForeignFileError(f"{path} holds no run"))
    for each in failed:
        output.print_error(each)
    return runs, failed


def _read_source(source: Source, runs: list[ForeignRun], failed: list[FinetuiError]) -> None:
    from core.importers.sources import read_source

    try:
        found = read_source(source)
    except ForeignFileError as error:
        failed.append(error)
        return
    runs += found
    remark = source.remark if found else "nothing was recorded in it"
    if remark:
        output.narrate(f"note: {source.path}: {remark}")


def _narrate(run: ForeignRun, imported: Imported) -> None:
    what = f"{run.name} ({run.tracker}, steps: {len(run.steps)}, evaluations: {len(run.evaluations)})"
    if not imported.is_new:
        output.narrate(f"{what}: imported before as {imported.run_id}; nothing was changed")
        return
    output.narrate(f"{what}: imported as {imported.run_id}")
    if imported.earlier is not None:
        output.narrate(f"note: {imported.earlier} is the same run as it was imported earlier")
    for remark in run.remarks:
        output.narrate(f"note: {remark}")


def _object(run: ForeignRun, imported: Imported) -> dict[str, JsonInput]:
    return {
        "id": imported.run_id,
        "new": imported.is_new,
        "earlier": imported.earlier,
        "name": run.name,
        "tracker": run.tracker,
        "source": run.source,
        "source_run": run.source_run or None,
        "outcome": run.outcome.value,
        "steps": len(run.steps),
        "evaluations": len(run.evaluations),
        "remarks": list(run.remarks),
    }


COMMANDS = {"import": Command(_configure, import_)}
