"""`finetui rm` and `finetui gc`: show what would go and how many bytes, ask, then delete exactly that.

Without a terminal nobody can be asked: then only `--yes` deletes.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from core.cli import output
from core.cli.command import Command, non_negative
from core.cli.json_values import JsonInput
from core.cli.output import Column
from core.cli.reading import find_run, open_store, workspace_of
from core.errors import UsageError
from core.units import format_bytes

if TYPE_CHECKING:
    from core.paths import Workspace
    from core.runs.upkeep import GcItem

_DECLINED = 1


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _configure_rm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run's id, the start of it, or its name")
    _add_yes(parser)


def _configure_gc(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep",
        type=non_negative,
        metavar="N",
        help="checkpoints to keep besides best, last and pinned (default: as the recipe says)",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would go, and stop there")
    _add_yes(parser)


def rm(arguments: argparse.Namespace) -> int:
    """Remove runs with their folders."""
    from core.runs.upkeep import remove, remove_plan

    with open_store(arguments) as (workspace, reader):
        run_ids = [find_run(reader, words) for words in arguments.runs]
    plan = remove_plan(workspace, run_ids)
    for run in plan.runs:
        output.narrate(f"{run.run_id}  {format_bytes(run.bytes):>10}  {run.name}")
    if not _agreed(f"remove {_count(len(plan.runs), 'run')} ({format_bytes(plan.bytes)})?", arguments.yes):
        return _DECLINED
    freed = remove(workspace, plan)
    if arguments.json:
        output.print_json({"removed": [run.run_id for run in plan.runs], "bytes": freed})
    else:
        for run in plan.runs:
            output.print_text(run.run_id)
        output.narrate(f"{format_bytes(freed)} freed")
    return 0


def gc(arguments: argparse.Namespace) -> int:
    """Remove checkpoints that nothing needs, and what interrupted work left behind."""
    from core.runs.upkeep import gc as collect
    from core.runs.upkeep import gc_plan

    workspace = workspace_of(arguments)
    plan = gc_plan(workspace, keep=arguments.keep)
    for reason in plan.skipped:
        output.narrate(f"left alone: {reason}")
    if arguments.dry_run or not plan.items:
        return _print_collected(workspace, plan.items, 0, arguments)
    for item in plan.items:
        output.narrate(f"{format_bytes(item.bytes):>10}  {item.kind:<11}  {workspace.relative(item.path)}")
    if not _agreed(f"delete {_count(len(plan.items), 'folder')} ({format_bytes(plan.bytes)})?", arguments.yes):
        return _DECLINED
    report = collect(workspace, plan)
    for item, reason in report.failed:
        output.narrate(f"not deleted: {workspace.relative(item.path)}: {reason}")
    status = _print_collected(workspace, report.removed, report.bytes, arguments)
    return 1 if report.failed else status


def _print_collected(
    workspace: Workspace, items: tuple[GcItem, ...], freed_bytes: int, arguments: argparse.Namespace
) -> int:
    key = "would_remove" if arguments.dry_run else "removed"
    if arguments.json:
        objects: list[JsonInput] = [_object(workspace, item) for item in items]
        output.print_json({key: objects, "bytes": sum(item.bytes for item in items)})
    elif not items:
        output.narrate("nothing to collect")
    else:
        rows = [[format_bytes(item.bytes), item.kind, workspace.relative(item.path)] for item in items]
        output.print_table([Column("SIZE", right=True), Column("WHAT"), Column("FOLDER")], rows)
        if not arguments.dry_run:
            output.narrate(f"{format_bytes(freed_bytes)} freed")
    return 0


def _object(workspace: Workspace, item: GcItem) -> dict[str, JsonInput]:
    checkpoint = None if item.run_id is None or item.step is None else f"{item.run_id}@{item.step}"
    path = workspace.relative(item.path)
    return {"what": item.kind, "path": path, "bytes": item.bytes, "id": item.run_id, "checkpoint": checkpoint}


def _agreed(question: str, yes: bool) -> bool:
    """Whether the person agrees.

    Raises:
        UsageError: nobody can be asked, and `--yes` was not given.
    """
    if yes:
        return True
    if not output.can_ask():
        raise UsageError("nobody is here to be asked; nothing was deleted", try_this="add --yes")
    if output.ask(question):
        return True
    output.narrate("nothing was deleted")
    return False


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"


COMMANDS = {"rm": Command(_configure_rm, rm), "gc": Command(_configure_gc, gc)}
