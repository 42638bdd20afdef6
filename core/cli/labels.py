"""`finetui rename, note, tag, pin`: what a person says about a run; no process takes part."""

from __future__ import annotations

import argparse

from core.cli import output
from core.cli.command import Command
from core.cli.reading import find_run, open_store
from core.cli.targets import resolve_targets
from core.errors import UsageError


def _run_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's id, the start of it, or its name")


def _configure_rename(parser: argparse.ArgumentParser) -> None:
    _run_argument(parser)
    parser.add_argument("name", metavar="NAME")


def _configure_note(parser: argparse.ArgumentParser) -> None:
    _run_argument(parser)
    parser.add_argument("text", metavar="TEXT", nargs="+", help='replaces an earlier note; "" removes it')


def _configure_tag(parser: argparse.ArgumentParser) -> None:
    _run_argument(parser)
    parser.add_argument("tags", metavar="TAG", nargs="+")
    parser.add_argument("--remove", action="store_true", help="take the tags away")


def _configure_pin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", metavar="RUN@STEP")
    parser.add_argument("--remove", action="store_true", help="let retention judge it again")


def rename(arguments: argparse.Namespace) -> int:
    """Give the run another name."""
    from core.runs import labels

    with open_store(arguments) as (workspace, reader):
        run_id = find_run(reader, arguments.run)
    labels.rename(workspace, run_id, arguments.name)
    return _print_labels(arguments, run_id)


def note(arguments: argparse.Namespace) -> int:
    """Write, replace or remove the run's note."""
    from core.runs import labels

    with open_store(arguments) as (workspace, reader):
        run_id = find_run(reader, arguments.run)
    labels.note(workspace, run_id, " ".join(arguments.text))
    return _print_labels(arguments, run_id)


def tag(arguments: argparse.Namespace) -> int:
    """Tag the run, or take tags away."""
    from core.runs import labels

    with open_store(arguments) as (workspace, reader):
        run_id = find_run(reader, arguments.run)
    change = labels.untag if arguments.remove else labels.tag
    for word in arguments.tags:
        change(workspace, run_id, word)
    return _print_labels(arguments, run_id)


def pin(arguments: argparse.Namespace) -> int:
    """Keep a checkpoint, or let it go."""
    from core.runs import labels

    with open_store(arguments) as (workspace, reader):
        (target, *others) = resolve_targets(reader, arguments.checkpoint)
    run_id, _, step = target.partition("@")
    if others or not step.isdecimal():
        raise UsageError(f"{arguments.checkpoint!r} is not one checkpoint", try_this="name it RUN@STEP")
    change = labels.unpin if arguments.remove else labels.pin
    change(workspace, run_id, int(step))
    return _print_labels(arguments, run_id)


def _print_labels(arguments: argparse.Namespace, run_id: str) -> int:
    with open_store(arguments) as (_, reader):
        run = reader.run(run_id)
        pinned = [f"{run_id}@{row.step}" for row in reader.checkpoints(run_id) if row.pinned]
    if arguments.json:
        document = {"id": run_id, "name": run.name, "note": run.note, "tags": list(run.tags), "pinned": pinned}
        output.print_json(document)
        return 0
    fields = [("run", run_id), ("name", run.name), ("tags", " ".join(run.tags)), ("note", run.note)]
    output.print_fields((name, value) for name, value in [*fields, ("pinned", " ".join(pinned))] if value)
    return 0


COMMANDS = {
    "rename": Command(_configure_rename, rename),
    "note": Command(_configure_note, note),
    "tag": Command(_configure_tag, tag),
    "pin": Command(_configure_pin, pin),
}
