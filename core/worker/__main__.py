"""One worker process: reads its run folder, does the job, turns every error into an outcome, exits with a code.

    FINETUI_ATTEMPT=1 python -P -m core.worker WORKSPACE/runs/RUN

Exit status 0 says that a Finished event is on disk; 1 that the supervisor has to find out by itself. It must not know
how a job is done, and prints for the log alone.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from core.errors import FinetuiError, LaunchError
from core.events import RequestAnswered
from core.locks import FileLock
from core.paths import RunPaths, Workspace
from core.runs.folder import read_job
from core.runs.launch import ensure_supervisor
from core.runs.recover import attempt_facts
from core.runs.spool import Spool
from core.worker.context import Context, Ending
from core.worker.control import Control
from core.worker.device import choose_device, prepare_environment, take_device
from core.worker.outbox import Outbox
from core.worker.outcomes import ending_of

_FLUSH_SECONDS = 30.0
_LOCK_SECONDS = 10.0
"""An earlier attempt's worker may still be leaving when the next one is started."""


def main(arguments: list[str]) -> int:
    """Run the worker of one run folder; returns the exit status."""
    os.umask(0o077)
    prepare_environment()
    if len(arguments) != 1:
        sys.stderr.write("usage: python -P -m core.worker RUN_FOLDER\n")
        return 2
    paths = RunPaths(Path(arguments[0]).resolve())
    workspace = Workspace(paths.folder.parent.parent)
    attempt = int(os.environ.get("FINETUI_ATTEMPT", "1"))
    control = Control(paths.control, attempt)
    control.install_signals()
    lock = FileLock(paths.lock)  # held until the process is gone: the kernel gives it back, and only then
    if not lock.acquire(_LOCK_SECONDS) or attempt_facts(paths, attempt)[0] is not None:
        sys.stderr.write(f"another worker has, or had, attempt {attempt} of {paths.folder}\n")
        return 1
    try:
        return _work(workspace, paths, attempt, control)
    finally:
        _leave_a_supervisor(workspace)


def _work(workspace: Workspace, paths: RunPaths, attempt: int, control: Control) -> int:
    try:
        context = Context(
            workspace, paths, read_job(paths), attempt, Outbox(Spool.open(paths.events, attempt)), control
        )
    except (FinetuiError, OSError):
        traceback.print_exc()
        return 1
    try:
        ending = _do_job(context)
    except BaseException as error:  # noqa: BLE001  the last word must be said whatever happened
        ending = ending_of(error, context)
    try:
        context.started()
        for request in control.take():
            if request.request_id is not None:
                granted = (request.action, ending.outcome) in (("stop", "stopped"), ("pause", "paused"))
                message = ending.message if granted else f"the run ended as {ending.outcome} first"
                context.say(RequestAnswered(request_id=request.request_id, ok=granted, message=message))
        context.say(ending.to_event())
        return 0 if context.outbox.flush(_FLUSH_SECONDS) else 1
    except (FinetuiError, OSError):
        traceback.print_exc()
        return 1
    finally:
        context.outbox.close()


def _do_job(context: Context) -> Ending:
    wanted = context.job.queued.device
    context.device = choose_device(wanted)
    if wanted != "none":
        take_device(context)
    return _job_of(context.job.queued.kind)(context)


def _job_of(kind: str) -> Callable[[Context], Ending]:
    """The job's function; imported only now, since it loads the whole training stack."""
    if kind == "train":
        from core.worker.jobs import train

        return train.run
    if kind == "evaluate":
        from core.worker.jobs import evaluate

        return evaluate.run
    raise LaunchError(f"this finetui has no worker job of kind {kind!r}")


def _leave_a_supervisor(workspace: Workspace) -> None:
    """A worker's last act: whoever waits in the queue must not wait for a supervisor that died."""
    try:
        ensure_supervisor(workspace)
    except (FinetuiError, OSError):
        traceback.print_exc()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
