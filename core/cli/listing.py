"""`finetui ls`: runs, newest first; train runs unless another kind, or all, is asked for."""

from __future__ import annotations

import argparse
import time

from core.cli import output
from core.cli.command import Command, non_negative
from core.cli.output import Column
from core.cli.reading import open_store
from core.cli.shapes import run_object, state_text, steps_text
from core.events import KINDS
from core.store.rows import RunRow
from core.units import format_value

_COLUMNS = (
    Column("ID"),
    Column("NAME", may_shrink=True),
    Column("STATE"),
    Column("STEP", right=True),
    Column("LOSS", right=True),
    Column("EVAL", right=True),
    Column("CREATED"),
    Column("METHOD"),
)
_YEAR_CHARACTERS = len("2026-")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=[*KINDS, "all"], default="train", help="which jobs (default: train)")
    parser.add_argument("--limit", type=non_negative, metavar="N", help="the newest N only")


def ls(arguments: argparse.Namespace) -> int:
    """Print the runs."""
    kind = None if arguments.kind == "all" else arguments.kind
    with open_store(arguments) as (workspace, reader):
        runs = reader.runs(kind=kind, limit=arguments.limit)
        if arguments.json:
            output.print_json([run_object(workspace, run) for run in runs])
        elif runs:
            output.print_table(_COLUMNS, [_row(run) for run in runs])
        else:
            output.narrate(f"no runs in {workspace.root} yet: queue one with finetui run RECIPE")
    return 0


def _row(run: RunRow) -> list[str]:
    return [
        run.run_id,
        run.name,
        state_text(run),
        steps_text(run),
        format_value(run.loss),
        format_value(run.eval_loss),
        when(run.created_at)[_YEAR_CHARACTERS:],
        run.method or "",
    ]


def when(seconds: float | None) -> str:
    """A moment in local time, to the minute."""
    return "—" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


COMMANDS = {"ls": Command(_configure, ls)}
