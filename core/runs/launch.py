"""Start processes that outlive whoever asked for them; the only module that starts one.

Detached is a scope of the user's service manager where lingering keeps that alive (some systems kill everything of a
user at logout, new session or not), else a new session. Nothing secret is put on a command line, and a foreign
PYTHONPATH never reaches a child. This module must not decide what runs next.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from core.errors import LaunchError
from core.locks import lock_holder
from core.paths import RunPaths, Workspace, make_private_folder
from core.runs.identity import ProcessIdentity, identify
from core.runs.redact import child_environment
from core.runs.spool import last_line

WORKER_MODULE = "core.worker"
OOM_SCORE_ADJUSTMENT = 500
"""When the host runs out of memory the kernel shall take the worker, not the login or the supervisor."""

LINGER_FOLDER = Path("/var/lib/systemd/linger")
"""Holds a file for each user whose service manager outlives the login (`loginctl enable-linger`)."""

_PERSONS_DEVICES = "FINETUI_CUDA_VISIBLE_DEVICES"
"""Carries CUDA_VISIBLE_DEVICES as the person set it through a worker to the supervisor that it may start."""

SUPERVISOR_OPTIONS: list[str] = []
"""What a supervisor is told besides the workspace; a test or bench of this process names another worker module here."""

_started: dict[Path, subprocess.Popen[bytes]] = {}
"""The last supervisor that this process started for each workspace: to be reaped, and waited for while it starts."""
_failed: dict[Path, int] = {}
"""How many supervisors in a row ended with an error, by workspace: one that can't live is not started for ever."""
_START_TIMEOUT_SECONDS = 5.0
MAX_FAILED_SUPERVISORS = 3


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs one of our modules with this interpreter; `-P` keeps the current folder out of its path."""
    return [sys.executable, "-P", "-m", module, *arguments]


def base_environment() -> dict[str, str]:
    """What every child of ours inherits; PYTHONPATH names our own root where `core` is not an installed package."""
    environment = child_environment(os.environ)
    root = Path(__file__).resolve().parents[2]
    if root.name not in ("site-packages", "dist-packages"):
        environment["PYTHONPATH"] = str(root)
    environment.update(PYTHONUNBUFFERED="1", HF_HUB_DISABLE_TELEMETRY="1")
    if _PERSONS_DEVICES in os.environ:  # this is a worker, whose own view of the GPUs is narrower
        environment["CUDA_VISIBLE_DEVICES"] = os.environ[_PERSONS_DEVICES]
    return environment


def worker_environment(attempt: int, device: str, gpu: str | None) -> dict[str, str]:
    """A worker's environment. One GPU is made visible, none to a CPU job: TRL refuses two without a launcher."""
    environment = base_environment()
    environment.update(TOKENIZERS_PARALLELISM="false", FINETUI_ATTEMPT=str(attempt))
    if "CUDA_VISIBLE_DEVICES" in environment:
        environment[_PERSONS_DEVICES] = environment["CUDA_VISIBLE_DEVICES"]
    if device == "gpu":
        inherited = environment.get("CUDA_VISIBLE_DEVICES", "").split(",")[0]
        environment["CUDA_VISIBLE_DEVICES"] = gpu or inherited or "0"
    else:
        environment["CUDA_VISIBLE_DEVICES"] = ""
        environment["OMP_WAIT_POLICY"] = "PASSIVE"  # spinning threads starve the supervisor on a small machine
    return environment


def scope_prefix(unit: str, environment: Mapping[str, str]) -> list[str]:
    """`systemd-run --user --scope …` where a user's service manager with lingering runs, else nothing.

    A scope keeps our process id and parent, has its own memory accounting and is not ended with the login.
    """
    runtime = environment.get("XDG_RUNTIME_DIR")
    user = environment.get("USER") or environment.get("LOGNAME")
    program = shutil.which("systemd-run", path=environment.get("PATH"))
    if not (runtime and user and program):
        return []
    if not (Path(runtime) / "bus").exists() or not (LINGER_FOLDER / user).exists():
        return []
    return [program, "--user", "--scope", "--quiet", "--collect", f"--unit={unit}", "--"]


class PendingWorker:
    """A worker process that exists but has not run anything yet: it waits until it was written down.

    So whoever dies between making and recording it leaves nothing behind: the pipe closes and the process ends.
    """

    def __init__(self, identity: ProcessIdentity, detached_by: str, pipe: int) -> None:
        self.identity = identity
        self.detached_by = detached_by
        self._pipe = pipe

    def release(self) -> None:
        """Let it run."""
        try:
            os.write(self._pipe, b"g")
        except BrokenPipeError:
            pass  # it was killed while waiting: its exit tells
        finally:
            os.close(self._pipe)

    def abandon(self) -> None:
        """Let it end without having run anything, and reap it."""
        os.close(self._pipe)
        os.waitpid(self.identity.pid, 0)


def spawn_worker(
    paths: RunPaths, *, attempt: int, device: str, gpu: str | None = None, module: str = WORKER_MODULE, boot_id: str
) -> PendingWorker:
    """Make the worker process of a run: own session, output to `worker.log`, allow-listed environment.

    The caller must be a process with one thread, and records the identity before it calls `release()`.

    Raises:
        LaunchError: no process could be made, or the log can't be opened.
    """
    environment = worker_environment(attempt, device, gpu)
    prefix = scope_prefix(f"finetui-{paths.run_id}-{attempt}-{os.getpid()}", environment)
    command = [*prefix, *module_command(module, str(paths.folder))]
    try:
        log = os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise LaunchError(f"can't open {paths.log}: {error.strerror}") from error
    reading, writing = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            _become(command, environment, reading, log)
    except OSError as error:
        os.close(writing)
        raise LaunchError(
            f"can't make a worker process: {error.strerror}", try_this="check `ulimit -u` and free memory"
        ) from error
    finally:
        os.close(reading)
        os.close(log)
    identity = identify(pid, boot_id)
    if identity is None:
        os.close(writing)
        os.waitpid(pid, 0)
        raise LaunchError("the worker process was killed before it ran")
    return PendingWorker(identity, "systemd" if prefix else "session", writing)


def _become(command: list[str], environment: dict[str, str], gate: int, log: int) -> None:
    """In the forked child: detach, wait for the record, become the worker. Never returns."""
    try:
        os.setsid()
        os.umask(0o077)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        with contextlib.suppress(OSError):  # a sandbox with a read-only /proc
            Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE_ADJUSTMENT), encoding="ascii")
        if os.read(gate, 1) == b"g":
            os.execve(command[0], command, environment)
    except BaseException as error:  # noqa: BLE001  # nothing may unwind into the supervisor's frames in its copy
        os.write(2, f"can't start the worker: {error}\n".encode())
    finally:
        os._exit(127)


def supervisor_lives(workspace: Workspace) -> bool:
    """Whether a supervisor works on this workspace now."""
    return lock_holder(workspace.supervisor_lock) is not None


def ensure_supervisor(workspace: Workspace) -> bool:
    """Start a supervisor where none lives, and return whether one was started.

    Two that are started at once settle it between themselves by the lock. A supervisor that finds nothing to do ends
    at once.

    Raises:
        LaunchError: no process could be made, its log can't be written, or the last three ended with an error.
    """
    root = workspace.root.resolve()
    if supervisor_lives(workspace) or _is_about_to_live(workspace, root):
        _failed.pop(root, None)
        return False
    _refuse_endless_failure(workspace, root)
    environment = base_environment()
    prefix = scope_prefix(f"finetui-supervisor-{secrets.token_hex(4)}", environment)
    command = module_command("core.supervisor", "--workspace", str(root), *SUPERVISOR_OPTIONS)
    try:
        make_private_folder(workspace.state)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        log = os.open(workspace.supervisor_log, flags, 0o600)
    except OSError as error:
        raise LaunchError(
            f"can't open {workspace.supervisor_log}: {error.strerror}",
            try_this="check that the workspace is writable and the disk not full",
        ) from error
    try:
        process = subprocess.Popen(
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd="/",  # the folder of the shell that asked may be removed or unmounted meanwhile
            start_new_session=True,
            umask=0o077,
        )
    except OSError as error:
        raise LaunchError(f"can't start the supervisor: {error.strerror}") from error
    finally:
        os.close(log)
    _started[root] = process
    return True


def _is_about_to_live(workspace: Workspace, root: Path) -> bool:
    """Whether the supervisor that this process started last comes to hold its lock; waits until that is settled.

    Without it a caller that asks ten times a second would start ten while Python loads; and one that has given its
    lock back but not ended yet must not count.
    """
    process = _started.get(root)
    deadline = time.monotonic() + _START_TIMEOUT_SECONDS
    while process is not None and process.poll() is None and time.monotonic() < deadline:
        if supervisor_lives(workspace):
            return True
        time.sleep(0.01)
    return False


def _refuse_endless_failure(workspace: Workspace, root: Path) -> None:
    last = _started.pop(root, None)
    if last is None or (last.poll() or 0) <= 0:  # still running, ended well, or killed from outside
        return
    _failed[root] = _failed.get(root, 0) + 1
    if _failed[root] >= MAX_FAILED_SUPERVISORS:
        del _failed[root]
        raise LaunchError(
            "the supervisor ends as soon as it is started",
            why=last_line(workspace.supervisor_log),
            try_this=f"{workspace.supervisor_log} says more",
        )


def start_sampler(workspace: Workspace, pid: int | None, period_seconds: float) -> subprocess.Popen[bytes] | None:
    """The process that reads the hardware and prints one JSON line a reading, None where it can't be started.

    It is a child on purpose: a GPU that falls off the bus can take the process that asks NVML with it.
    """
    if importlib.util.find_spec("core.gpu.sample") is None:
        return None
    arguments = [
        "--period",
        f"{period_seconds:g}",
        "--disk",
        str(workspace.root.resolve()),
        *(["--pid", str(pid)] if pid is not None else []),
    ]
    try:
        return subprocess.Popen(
            module_command("core.gpu.sample", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=base_environment(),
            cwd="/",
        )
    except OSError:
        return None
