"""What a command is to the program: how its words are parsed and the function that does it.

A table of module names instead of imports, because a command must not pay for the imports of all the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """`configure` adds the command's arguments; `handle` does it and gives the exit status."""

    configure: Callable[[argparse.ArgumentParser], None]
    handle: Callable[[argparse.Namespace], int]


SUMMARIES: dict[str, tuple[str, str]] = {
    "demo": ("demo", "fine-tune the starter model, evaluate it before and after"),
    "check": ("check", "report every problem of a recipe"),
    "run": ("run", "queue a recipe"),
    "ls": ("listing", "list runs, newest first"),
    "show": ("show", "all about one run"),
    "metrics": ("metrics", "curves of a run as numbers"),
    "plot": ("plot", "one curve, drawn in the terminal"),
    "logs": ("logs", "what a run's worker printed"),
    "stop": ("control", "stop a run; it saves a checkpoint first"),
    "pause": ("control", "save, end the worker and free the device"),
    "save": ("control", "save a checkpoint now"),
    "evaluate-now": ("control", "evaluate at the next step"),
    "resume": ("control", "continue a paused or failed run"),
    "queue": ("queue", "what waits, in start order; hold, release, move, cancel"),
    "eval": ("evaluate", "score checkpoints on evaluation sets"),
    "import": ("import_", "take in runs that other trackers recorded"),
    "export": ("export", "write a run's metrics as CSV, Parquet or TensorBoard events"),
    "rename": ("labels", "give a run another name"),
    "note": ("labels", "write a note on a run"),
    "tag": ("labels", "tag a run, or take a tag away"),
    "pin": ("labels", "keep a checkpoint whatever retention says"),
    "rm": ("remove", "remove runs with their folders"),
    "gc": ("remove", "remove checkpoints that nothing needs"),
    "rebuild": ("upkeep", "make the database anew from the journal and the run folders"),
    "fsck": ("upkeep", "check every file of the workspace"),
    "doctor": ("upkeep", "check this machine and the installation"),
}
"""Command → its module in `core.cli`, and what it does, in the order of the help."""


def add_global_options(parser: argparse.ArgumentParser) -> None:
    """The options that every command takes, before or after its name.

    They have no default here: a subparser's default would overwrite what stood in front of the command's name.
    """
    group = parser.add_argument_group("options of every command")
    group.add_argument(
        "--workspace",
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="the folder that holds runs and experiments.db (default: the current folder)",
    )
    group.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON document")


def non_negative(text: str) -> int:
    """An argument that counts something.

    Raises:
        ArgumentTypeError: it is not a whole number, or below 0.
    """
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return number
