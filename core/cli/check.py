"""`finetui check`: every problem of a recipe at once, with file, line and key; exit status 2 where there is one."""

from __future__ import annotations

import argparse

from core.cli import output
from core.cli.command import Command
from core.cli.json_values import JsonInput
from core.cli.ready import recipe_path
from core.errors import Problem, UsageError


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe and what is set over it, as `check` and `run` take them."""
    parser.add_argument("recipe", metavar="RECIPE", help="a YAML file, or the name of a ready recipe")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        dest="overrides",
        action="append",
        default=[],
        help="set one value over the recipe's (train.learning_rate=1e-4); may be given again",
    )


def check(arguments: argparse.Namespace) -> int:
    """Print the problems; warnings alone are no failure."""
    from core.recipe.load import check_recipe

    problems = check_recipe(recipe_path(arguments.recipe), arguments.overrides)
    if arguments.json:
        output.print_json([_problem_object(problem) for problem in problems])
    else:
        for problem in problems:
            output.print_text(f"{problem.level}: {problem}" if problem.level != "error" else str(problem))
    errors = sum(problem.level == "error" for problem in problems)
    if not arguments.json:
        output.narrate(_verdict(arguments.recipe, errors, len(problems) - errors))
    return UsageError.exit_status if errors else 0


def _verdict(recipe: str, errors: int, warnings: int) -> str:
    if not errors and not warnings:
        return f"{recipe}: no problems"
    counts = [(errors, "problem"), (warnings, "warning")]
    return f"{recipe}: " + ", ".join(f"{count} {word}{'s' if count != 1 else ''}" for count, word in counts if count)


def _problem_object(problem: Problem) -> dict[str, JsonInput]:
    return {
        "file": problem.file,
        "line": problem.line,
        "key": problem.key,
        "what": problem.what,
        "try_this": problem.try_this,
        "level": problem.level,
    }


COMMANDS = {"check": Command(add_recipe_arguments, check)}
