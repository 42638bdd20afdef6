"""What this machine does to a run: whether its processes outlive a login, which GPUs it has, who else is on them.

It looks only: no process is signalled, no setting of a device or of the system is changed.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

from core.gpu.nvml import Gpu, has_driver, read_gpus
from core.paths import runtime_folder
from core.runs.findings import Finding
from core.runs.launch import base_environment, scope_prefix
from core.text import safe_line
from core.units import format_bytes


def check_detaching() -> Iterator[Finding]:
    """How a run is kept alive when the person who started it logs out."""
    if scope_prefix("finetui-doctor", base_environment()):
        yield Finding("ok", "detaching", "runs get a scope of the user's service manager and outlive the login")
        return
    kills = _logout_kills()
    yield Finding(
        "warning" if kills else "ok",
        "detaching",
        "runs get a session of their own"
        + (": this system may end them at logout" if kills else "; they outlive a closed terminal"),
        "loginctl enable-linger" if kills else "",
    )


def _logout_kills() -> bool:
    """Whether logind ends a user's processes at logout: yes by default since systemd 230, unless configured."""
    if not Path("/run/systemd/system").exists():
        return False
    files = [Path("/usr/lib/systemd/logind.conf"), Path("/etc/systemd/logind.conf")]
    for folder in ("/usr/lib/systemd/logind.conf.d", "/etc/systemd/logind.conf.d"):
        files += sorted(Path(folder).glob("*.conf"))
    answer = True
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for match in re.finditer(r"(?mi)^\s*#?\s*KillUserProcesses\s*=\s*(\w+)", text):
            answer = match[1].lower() in ("yes", "true", "1", "on")  # a commented line shows the built-in default
    return answer


def check_gpus() -> Iterator[Finding]:
    """Which GPUs there are, who else is on them, and whether the installed torch can use them."""
    gpus = read_gpus()
    if not gpus:
        if has_driver():
            fix = "run nvidia-smi: it says what the driver misses"
            yield Finding("warning", "gpu", "a GPU driver is installed but does not answer; runs use the CPU", fix)
        else:
            yield Finding("ok", "gpu", "no GPU; runs use the CPU")
    for gpu in gpus:
        free = f"{format_bytes(gpu.memory_free_bytes)} of {format_bytes(gpu.memory_total_bytes)} free"
        yield Finding(
            "ok", "gpu", f"{gpu.index}: {safe_line(gpu.name)}, {free}, driver {gpu.driver_version or 'unknown'}"
        )
        yield from _other_users(gpu)
    if gpus:
        yield from _torch_build()
        try:
            folder = runtime_folder()
        except OSError as error:
            yield Finding("error", "gpu", f"no private folder for the GPU's lock: {error}", "set XDG_RUNTIME_DIR")
        else:
            yield Finding("ok", "gpu", f"the GPU's lock is kept in {folder}")


def _torch_build() -> Iterator[Finding]:
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return
    if version.endswith("+cpu"):
        fix = "install a CUDA build of torch (https://pytorch.org/get-started/locally)"
        yield Finding("warning", "gpu", f"torch {version} is built without CUDA: runs can't use the GPU", fix)


def _other_users(gpu: Gpu) -> Iterator[Finding]:
    for process in gpu.processes:
        if not process.is_ours:
            who = safe_line(process.user or "another user or container")
            held = format_bytes(process.memory_used_bytes)
            message = f"{gpu.index}: process {process.pid} of {who} holds {held}"
            yield Finding("warning", "gpu", message, "finetui waits for others, and never signals their processes")
