"""`finetui run`: a recipe becomes a queued run; its id goes to stdout, how it goes to stderr."""

from __future__ import annotations

import argparse

from core.cli import output
from core.cli.check import add_recipe_arguments
from core.cli.command import Command
from core.cli.reading import open_store, workspace_of
from core.cli.ready import recipe_path
from core.cli.shapes import run_object
from core.errors import UsageError
from core.paths import Workspace


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
    return print_and_wait(arguments, workspace, run_id, "held" if arguments.hold else "queued")


def print_and_wait(arguments: argparse.Namespace, workspace: Workspace, run_id: str, what_it_is: str) -> int:
    """Print the id at once, and with `--wait` stay until the end; with `--json` that is one document, at the end."""
    if not arguments.json:
        output.print_text(run_id, flush=True)
    elif not arguments.wait:
        output.print_json({"id": run_id})
    if not arguments.wait:
        output.narrate(f"{what_it_is}; see it with finetui show {run_id}")
        return 0
    from core.cli.progress import wait

    status = wait(workspace, run_id)
    if arguments.json:
        with open_store(arguments) as (_, reader):
            output.print_json(run_object(workspace, reader.run(run_id)))
    return status


COMMANDS = {"run": Command(_configure, run)}
