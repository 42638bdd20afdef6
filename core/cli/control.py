"""`finetui stop, pause, save, evaluate-now, resume`: one wish of one run, and whether it came true."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from core.cli import output
from core.cli.command import Command, non_negative
from core.cli.reading import find_run, open_store
from core.paths import Workspace
from core.states import State

_ACTIONS = {"stop": "stop", "pause": "pause", "save": "save", "evaluate-now": "evaluate"}


def _configure_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's id, the start of it, or its name")
    parser.add_argument(
        "--timeout",
        type=non_negative,
        metavar="SECONDS",
        default=600,
        help="how long to wait for the answer (default: 600; a step or an evaluation may have to end first)",
    )


def _request(command: str) -> Callable[[argparse.Namespace], int]:
    def handle(arguments: argparse.Namespace) -> int:
        from core.runs.requests import ask

        with open_store(arguments) as (workspace, reader):
            run_id = find_run(reader, arguments.run)
            waits = reader.run(run_id).state in (State.QUEUED, State.HELD, State.PAUSED)
        if command == "stop" and waits:
            return _cancel(workspace, run_id, arguments.json)
        answer = ask(workspace, run_id, _ACTIONS[command], float(arguments.timeout))
        step = answer.checkpoint_step
        checkpoint = None if step is None else f"{run_id}@{step}"
        if arguments.json:
            output.print_json({"id": run_id, "ok": answer.ok, "message": answer.message, "checkpoint": checkpoint})
        else:
            if checkpoint is not None:
                output.print_text(checkpoint)
            output.narrate(f"{run_id}: {answer.message}")
        return 0 if answer.ok else 1

    return handle


def _cancel(workspace: Workspace, run_id: str, as_json: bool) -> int:
    """To stop a run that has no process is to cancel it."""
    from core.runs import queue

    queue.cancel(workspace, run_id)
    message = "cancelled before it had a process"
    if as_json:
        output.print_json({"id": run_id, "ok": True, "message": message, "checkpoint": None})
    else:
        output.narrate(f"{run_id}: {message}")
    return 0


def _configure_resume(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's id, the start of it, or its name")
    parser.add_argument("--wait", action="store_true", help="wait for the end; exit 0 if it completed or was stopped")


def resume(arguments: argparse.Namespace) -> int:
    """Queue the run's next attempt, from its newest valid checkpoint."""
    from core.cli.run import print_and_wait
    from core.runs import queue

    with open_store(arguments) as (workspace, reader):
        run_id = find_run(reader, arguments.run)
    queue.resume(workspace, run_id)
    return print_and_wait(arguments, workspace, run_id, "queued again")


COMMANDS = {
    **{command: Command(_configure_request, _request(command)) for command in _ACTIONS},
    "resume": Command(_configure_resume, resume),
}
