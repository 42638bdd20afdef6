"""A report of an error that nobody foresaw, kept in the workspace with secrets struck out.

A person gets one sentence and a path, never a traceback; whoever mends it gets the traceback. It must not print, and
must not raise: a full disk is no reason to hide the first error behind a second.
"""

from __future__ import annotations

import os
import platform
import re
import time
import traceback
from pathlib import Path

from core.paths import Workspace, make_private_folder

_SECRET_SHAPES = re.compile(
    r"\bhf_[A-Za-z0-9]{8,}"  # Hugging Face
    r"|\bsk-[A-Za-z0-9_-]{8,}"  # OpenAI and its kin
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}"  # GitHub
    r"|\bAKIA[0-9A-Z]{16}\b"  # AWS
    r"|\b[0-9a-f]{40}\b"  # W&B keys have no prefix
)
_ADDRESS_WITH_PASSWORD = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
_NAMED_VALUE = re.compile(r"(?i)(\b[\w-]*(?:token|secret|password|api_?key)[\w-]*['\"]?\s*[=:]\s*['\"]?)[^\s'\",;)]+")
_NAMED_VARIABLE = re.compile(r"(?i)(token|key|secret|password|credential)")


def redact(text: str) -> str:
    """`text` without what looks like a secret, and without the values of environment variables named like one."""
    for name, value in os.environ.items():
        if len(value) >= 8 and _NAMED_VARIABLE.search(name):
            text = text.replace(value, f"[{name} redacted]")
    text = _ADDRESS_WITH_PASSWORD.sub("[redacted]", text)
    text = _NAMED_VALUE.sub(r"\1[redacted]", text)
    return _SECRET_SHAPES.sub("[redacted]", text)


def write_crash_log(workspace: Workspace, error: BaseException, version: str) -> Path | None:
    """The report's path, or None where it could not be written."""
    now = time.time()
    report = "\n".join(
        [
            f"finetui {version}, Python {platform.python_version()}, {platform.platform()}",
            time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now)),
            "",
            *traceback.format_exception(error),
        ]
    )
    path = workspace.state / f"crash-{int(now * 1000)}-{os.getpid()}.log"
    try:
        make_private_folder(workspace.state)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(redact(report))
    except OSError:
        return None
    return path
