"""`finetui run`: a recipe becomes a queued run; its id goes to stdout, how it goes to stderr."""

from __future__ import annotations

import argparse

from core.cli import output
from core.cli.check import add_recipe_arguments
from core.cli.command import Command
from core.cli.reading import workspace_of
from core.cli.ready import recipe_path
from core.errors import UsageError


def _configure(parser: argparse.ArgumentParser) -> None:
    add_recipe_arguments(parser)
    parser.add_argument("--name", help="the run's name (default: the recipe's)")
    parser.add_argument("--hold", action="store_true", help="queue it, but do not start it until it is released")
    parser.add_argument("--wait", action="store_true", help="wait for the end; exit 0 if it completed or was stopped")


def run(arguments: argparse.Namespace) -> int:
    """Queue the recipe, print the id, and wait where that is asked."""
    if arguments.hold and arguments.wait:
        raise UsageError("--hold and --wait exclude each other", why="a held run does not start, so it never ends")
    from core.recipe.load import load_recipe
    from core.runs.queue import submit

    workspace = workspace_of(arguments)
    loaded = load_recipe(recipe_path(arguments.recipe), arguments.overrides)
    for warning in loaded.warnings:
        output.narrate(f"warning: {warning}")
    run_id = submit(workspace, loaded, name=arguments.name, held=arguments.hold)
    if not arguments.wait:
        _print_id(run_id, arguments.json)
        output.narrate(f"{'held' if arguments.hold else 'queued'}; see it with finetui show {run_id}")
        return 0
    from core.cli.progress import wait

    if not arguments.json:
        _print_id(run_id, as_json=False)
    status = wait(workspace, run_id)
    if arguments.json:
        _print_ended(arguments, run_id)
    return status


def _print_id(run_id: str, as_json: bool) -> None:
    if as_json:
        output.print_json({"id": run_id})
    else:
        output.print_text(run_id, flush=True)


def _print_ended(arguments: argparse.Namespace, run_id: str) -> None:
    from core.cli.reading import open_store
    from core.cli.shapes import run_object

    with open_store(arguments) as (workspace, reader):
        output.print_json(run_object(workspace, reader.run(run_id)))


COMMANDS = {"run": Command(_configure, run)}
