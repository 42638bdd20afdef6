"""`finetui metrics`: curves as numbers, exactly as the worker measured them."""

from __future__ import annotations

import argparse
import difflib

from core.cli import output
from core.cli.command import Command
from core.cli.json_values import JsonInput, curve
from core.cli.output import Column
from core.cli.reading import find_run, open_store
from core.errors import RunError
from core.store.reader import Reader
from core.units import format_value


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's id, the start of it, or its name")
    parser.add_argument(
        "keys", metavar="KEY", nargs="*", help="loss, grad_norm, eval/<set>/<metric>, …; none: list them"
    )


def metrics(arguments: argparse.Namespace) -> int:
    """Print the curves, or the keys where none is named."""
    with open_store(arguments) as (_, reader):
        run_id = find_run(reader, arguments.run)
        if not arguments.keys:
            return _print_keys(reader.metric_keys(run_id), arguments.json)
        require_keys(reader, run_id, arguments.keys)
        curves = {key: reader.series(run_id, key) for key in arguments.keys}
    if arguments.json:
        document: dict[str, JsonInput] = {key: curve(series.steps, series.values) for key, series in curves.items()}
        output.print_json(document)
        return 0
    by_key = {key: dict(zip(series.steps, series.values, strict=True)) for key, series in curves.items()}
    steps = sorted({step for values in by_key.values() for step in values})
    columns = [Column("STEP", right=True), *(Column(key, right=True) for key in by_key)]
    rows = [[str(step), *(_cell(values, step) for values in by_key.values())] for step in steps]
    output.print_table(columns, rows)
    return 0


def _cell(values: dict[int, float], step: int) -> str:
    return format_value(values[step], digits=6) if step in values else ""


def _print_keys(keys: list[str] | tuple[str, ...], as_json: bool) -> int:
    if as_json:
        output.print_json(list(keys))
    else:
        for key in keys:
            output.print_text(key)
    return 0


def require_keys(reader: Reader, run_id: str, keys: list[str]) -> None:
    """Refuse a key that the run has not logged.

    Raises:
        RunError: one is missing; it names the nearest that exist.
    """
    known = list(reader.metric_keys(run_id))
    for key in keys:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=3) or known[:12]
            hint = f"it has {', '.join(nearest)}" if nearest else "it has logged nothing yet"
            raise RunError(f"run {run_id} has no metric {key!r}", try_this=hint)


COMMANDS = {"metrics": Command(_configure, metrics)}
