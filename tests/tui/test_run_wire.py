"""What the page of a live run sends to a terminal, counted at the other end of a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.process.conftest import ROOT, Site, site

__all__ = ["site"]
SCRIPT = """
import sys
from pathlib import Path
from core.paths import Workspace
from core.runs import launch
launch.SUPERVISOR_OPTIONS[:] = ["--worker-module", "tests.process.fake_worker", "--no-samples"]
from tui.app import FinetuiApp
class Opened(FinetuiApp):
    def _after_first_frame(self):
        super()._after_first_frame()
        self.open_run(sys.argv[2])
Opened(Workspace(Path(sys.argv[1]))).run()
"""
COUNTED_SECONDS = 5.0


@contextmanager
def terminal(site: Site, run_id: str, columns: int, rows: int) -> Iterator[int]:
    """The app on a run's page in a terminal of this size; our end of it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-c", SCRIPT, str(site.workspace.root), run_id]
    child = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=ROOT, start_new_session=True
    )
    os.close(theirs)
    try:
        yield ours
    finally:
        child.kill()
        child.wait(10)
        os.close(ours)


def read(descriptor: int, seconds: float, until: bytes = b"") -> bytes:
    """What comes within `seconds`, or up to `until`; synchronised output is answered."""
    deadline, data = time.monotonic() + seconds, b""
    while time.monotonic() < deadline and not (until and until in data):
        if select.select([descriptor], [], [], 0.05)[0]:
            came = os.read(descriptor, 65536)
            data += came
            if b"\x1b[?2026$p" in came:
                os.write(descriptor, b"\x1b[?2026;2$y")
    return data


@pytest.mark.parametrize(("columns", "rows", "limit"), [(80, 24, 4_000), (200, 50, 10_000)])
def test_a_live_page_stays_inside_the_byte_budget(site: Site, columns: int, rows: int, limit: int) -> None:
    run_id = site.submit(steps=600, step_seconds=0.1, checkpoint_every=20)
    site.until_step(run_id, 3)
    with terminal(site, run_id, columns, rows) as ours:
        assert b"health" in read(ours, 20, until=b"health")
        read(ours, 4.0)  # the first drawings, and the scales' first changes
        sent = read(ours, COUNTED_SECONDS)
        assert b"\x1b[?2026h" in sent
        assert 100 < len(sent) / COUNTED_SECONDS < limit
