"""A report of an error that nobody foresaw, kept in the workspace with secrets struck out.

A person gets one sentence and a path, never a traceback; whoever mends it gets the traceback. It must not print, and
must not raise: a full disk is no reason to hide the first error behind a second.
"""

from __future__ import annotations

import os
import platform
import time
import traceback
from pathlib import Path

from core.paths import Workspace, make_private_folder
from core.runs.redact import redact
from core.text import safe_line


def describe(error: BaseException) -> str:
    """The error in one line, without secrets."""
    return safe_line(redact(f"{type(error).__name__}: {error}", os.environ), 400)


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
            file.write(redact(report, os.environ))
    except OSError:
        return None
    return path
