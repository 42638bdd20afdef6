"""`python -P -m core.supervisor --workspace ROOT`: become the workspace's supervisor, or say that another one lives."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path

from core.errors import FinetuiError
from core.locks import FileLock
from core.paths import Workspace, find_workspace
from core.runs.identity import read_boot_id
from core.runs.launch import WORKER_MODULE
from core.supervisor.loop import Supervisor
from core.supervisor.options import TIDY_UP_SECONDS, Options

LOCK_TIMEOUT_SECONDS = 10.0
logger = logging.getLogger("finetui.supervisor")


def main(arguments: list[str] | None = None) -> int:
    """0 after the work is done or SIGTERM, 1 where another supervisor lives or the workspace can't be used."""
    chosen = _parse(sys.argv[1:] if arguments is None else arguments)
    os.umask(0o077)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format=f"%(asctime)s {os.getpid()} %(levelname)s %(message)s"
    )
    logging.raiseExceptions = False  # a full disk takes the log first
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    workspace = find_workspace(chosen.workspace)
    options = Options(
        worker_module=chosen.worker_module,
        boot_id=read_boot_id(chosen.boot_id_file) if chosen.boot_id_file else None,
        samples_hardware=not chosen.no_samples,
        tidy_up_seconds=chosen.tidy_up_seconds,
    )
    try:
        return _supervise(workspace, options, chosen.wait_for_lock)
    except FinetuiError as error:
        logger.error("%s", error)
        return 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m core.supervisor", description="Drain a workspace's queue.")
    parser.add_argument("--workspace", metavar="ROOT", help="the workspace (default: the current folder)")
    parser.add_argument("--worker-module", default=WORKER_MODULE, help=argparse.SUPPRESS)
    parser.add_argument("--boot-id-file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--wait-for-lock", type=float, default=LOCK_TIMEOUT_SECONDS, help=argparse.SUPPRESS)
    parser.add_argument("--tidy-up-seconds", type=float, default=TIDY_UP_SECONDS, help=argparse.SUPPRESS)
    parser.add_argument("--no-samples", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _supervise(workspace: Workspace, options: Options, timeout_seconds: float) -> int:
    supervising, ingesting = FileLock(workspace.supervisor_lock), FileLock(workspace.ingest_lock)
    if not supervising.acquire(timeout_seconds):
        logger.info("another supervisor lives")
        return 1
    with supervising:
        # whoever ingests for a moment gives the lock back; nobody but a supervisor keeps it
        if not ingesting.acquire(timeout_seconds):
            logger.info("another process has kept the ingest lock for %g seconds", timeout_seconds)
            return 1
        with ingesting:
            supervisor = Supervisor(workspace, options)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: supervisor.end_soon())
            logger.info("supervising %s", workspace.root)

            def release_locks() -> None:
                ingesting.release()
                supervising.release()

            supervisor.run(release_locks)
    logger.info("nothing left to do" if not supervisor.was_asked_to_end else "asked to end; workers go on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
