"""`finetui queue`: what runs and waits, in start order and why; hold, release, move and cancel change it."""

from __future__ import annotations

import argparse

from core.cli import output
from core.cli.command import Command
from core.cli.json_values import JsonInput
from core.cli.output import Column
from core.cli.reading import find_run, open_store
from core.cli.shapes import run_object, state_text
from core.paths import Workspace
from core.states import WITH_PROCESS, State
from core.store.rows import RunRow

_COLUMNS = (
    Column("#", right=True),
    Column("ID"),
    Column("NAME", may_shrink=True),
    Column("KIND"),
    Column("STATE"),
    Column("WAITS FOR"),
)


def _configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for name, summary in (
        ("ls", "list it (what `finetui queue` alone does)"),
        ("hold", "let a queued run wait until it is released"),
        ("release", "let held runs start"),
        ("cancel", "end runs that have no process yet"),
        ("move", "put a queued run elsewhere"),
    ):
        action = actions.add_parser(name, help=summary, description=summary)
        if name in ("hold", "release", "cancel"):
            action.add_argument("runs", metavar="RUN", nargs="+", help="a run's id, the start of it, or its name")
        if name == "move":
            action.add_argument("run", metavar="RUN")
            where = action.add_mutually_exclusive_group(required=True)
            where.add_argument("--before", metavar="RUN", help="in front of this one")
            where.add_argument("--first", action="store_true", help="in front of all")
            where.add_argument("--last", action="store_true", help="behind all")


def queue(arguments: argparse.Namespace) -> int:
    """List the queue, or change it and then list it."""
    if arguments.action == "move":
        _move(arguments)
    elif arguments.action in ("hold", "release", "cancel"):
        _change(arguments)
    with open_store(arguments) as (workspace, reader):
        running = reversed(reader.runs(kind=None, states=sorted(WITH_PROCESS)))
        waiting = reader.queue(with_held=True)
    _print(workspace, [*running, *waiting], arguments.json)
    return 0


def _change(arguments: argparse.Namespace) -> None:
    from core.runs import queue as decisions

    with open_store(arguments) as (workspace, reader):
        run_ids = [find_run(reader, words) for words in arguments.runs]
    change = {"hold": decisions.hold, "release": decisions.release, "cancel": decisions.cancel}[arguments.action]
    for run_id in run_ids:
        change(workspace, run_id)
        output.narrate(f"{run_id}: {arguments.action} done")


def _move(arguments: argparse.Namespace) -> None:
    from core.runs import queue as decisions

    with open_store(arguments) as (workspace, reader):
        run_id = find_run(reader, arguments.run)
        others = [run.run_id for run in reader.queue(with_held=True) if run.run_id != run_id]
        before = find_run(reader, arguments.before) if arguments.before else None
    if arguments.first:
        before = others[0] if others else None
    decisions.move(workspace, run_id, before=before)


def _print(workspace: Workspace, runs: list[RunRow], as_json: bool) -> None:
    reasons = _reasons(runs)
    if as_json:
        objects: list[JsonInput] = [{**run_object(workspace, run), "waits_for": reasons[run.run_id]} for run in runs]
        output.print_json(objects)
    elif not runs:
        output.narrate("the queue is empty")
    else:
        rows = [
            [str(place), run.run_id, run.name, run.kind, state_text(run), reasons[run.run_id] or ""]
            for place, run in enumerate(runs, start=1)
        ]
        output.print_table(_COLUMNS, rows)


def _reasons(runs: list[RunRow]) -> dict[str, str | None]:
    """Why each one does not run yet: None for one that has a process.

    Jobs of one device run one after the other, so a queued run waits for the nearest job in front of it on its device.
    """
    reasons: dict[str, str | None] = {}
    in_front: dict[str, str] = {}
    for run in runs:
        device = run.device
        if run.state in WITH_PROCESS:
            reasons[run.run_id] = None
        elif run.state == State.HELD:
            reasons[run.run_id] = f"finetui queue release {run.run_id}"
            continue
        else:
            reasons[run.run_id] = f"{in_front[device]} on the {device}" if device in in_front else "its start"
        in_front[device] = run.run_id
    return reasons


COMMANDS = {"queue": Command(_configure, queue)}
