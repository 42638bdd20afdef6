"""`finetui logs`: what a worker printed, made readable and harmless.

The file is read line by line while it is printed: a log can be larger than memory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from core.cli import output
from core.cli.command import Command, non_negative
from core.cli.log_lines import LineReader
from core.cli.reading import catch_up, find_run, open_store, workspace_of
from core.errors import RunError
from core.states import State
from core.store.reader import open_reader

_POLL_SECONDS = 0.3


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's id, the start of it, or its name")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the run ends, or Ctrl-C")
    parser.add_argument("--tail", type=non_negative, metavar="N", help="the last N lines only")


def logs(arguments: argparse.Namespace) -> int:
    """Print the log; `--json` gives a list of lines."""
    with open_store(arguments) as (workspace, reader):
        run = reader.run(find_run(reader, arguments.run))
        path = workspace.run(run.run_id).log
    if not path.exists() and not arguments.follow:
        hint = f"it is {run.state}: its worker has printed nothing yet" if run.state != State.FINISHED else ""
        raise RunError(f"run {run.run_id} has no log", why=hint)
    lines = LineReader(path)
    whole = list(_last(lines.read(to_the_end=not arguments.follow), arguments.tail))
    if arguments.json:
        output.print_json(whole)
        return 0
    for line in whole:
        output.print_text(line)
    return _follow(arguments, run.run_id, lines) if arguments.follow else 0


def _last(lines: Iterator[str], count: int | None) -> Iterator[str]:
    if count is None:
        return lines
    from collections import deque

    return iter(deque(lines, maxlen=count))


def _follow(arguments: argparse.Namespace, run_id: str, lines: LineReader) -> int:
    workspace = workspace_of(arguments)
    while True:
        catch_up(workspace)  # where no supervisor lives, nobody else would see that the run has ended
        with open_reader(workspace) as reader:
            ended = reader.run(run_id).state in (State.FINISHED, State.PAUSED)
        for line in lines.read(to_the_end=ended):
            output.print_text(line, flush=True)
        if ended:
            return 0
        time.sleep(_POLL_SECONDS)


COMMANDS = {"logs": Command(_configure, logs)}
