"""Make a worker's process so that it runs if and only if it is written down which process it is.

The process waits at a gate until its identity is on the disk; a supervisor that dies in between leaves nothing behind.
This module must not move a run.
"""

from __future__ import annotations

from core.events import WorkerSpawned
from core.paths import Workspace
from core.runs.launch import spawn_worker
from core.runs.settings import read_settings
from core.supervisor.options import Options
from core.supervisor.watch import LiveRun


def spawn(live: LiveRun, workspace: Workspace, options: Options, boot_id: str) -> None:
    """Start the worker of a run that has been moved to `starting`.

    Raises:
        LaunchError: no process could be made.
        WorkspaceError: the settings can't be read.
        OSError: its identity could not be written; it has run nothing.
    """
    gpu = read_settings(workspace).gpu
    pending = spawn_worker(
        live.paths,
        attempt=live.attempt,
        device=live.device,
        gpu=gpu,
        module=options.worker_module,
        boot_id=boot_id,
    )
    identity = pending.identity
    spawned = WorkerSpawned(
        pid=identity.pid,
        boot_id=identity.boot_id,
        start_ticks=identity.start_ticks,
        detached_by=pending.detached_by,
    )
    try:
        live.record.spawned(spawned)
    except OSError:
        pending.abandon()
        raise
    live.watch(identity, is_child=True)
    pending.release()
