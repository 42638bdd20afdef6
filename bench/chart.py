"""What three live charts cost: processor time and bytes to the terminal for each update, in a real pseudo-terminal.

    python -m bench.chart

Loss (smoothed, with its envelope), gradient norm and learning rate gain a point twice a second, half way through a
planned run. Bytes are counted at the pseudo-terminal's other end, after the first frame; synchronised output is
answered as a modern terminal does. Drawing alone is measured without a screen, for runs of 500 to two million points.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import pty
import random
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from bench.figures import Figure, run_alone

ROOT = Path(__file__).resolve().parents[1]
UPDATES = 16
PERIOD_SECONDS = 0.5
SETTLE_UPDATES = 4
"""Updates before counting starts: the first frame, the queries to the terminal."""
SIZES = ((80, 24, 4_000), (200, 50, 10_000))
"""Columns, rows, and the bytes a second that are allowed."""
LENGTHS = (500, 50_000, 2_000_000)
CPU_SHARE_LIMIT = 0.05


def measure() -> list[Figure]:
    """All figures of the charts."""
    figures = [figure for length in LENGTHS for figure in _drawing(length)]
    for columns, rows, limit in SIZES:
        figures += _live(columns, rows, limit)
    return figures


def points_of(length: int) -> list[tuple[int, float]]:
    """A loss that falls, with noise; the same for each call."""
    noise = random.Random(7)
    return [(step, 1.1 + 1.3 * math.exp(-4 * step / length) + noise.gauss(0, 0.05)) for step in range(1, length + 1)]


def _drawing(length: int) -> list[Figure]:
    from tui.widgets.chart.model import ChartModel

    model = ChartModel(2 * length)
    model.add_series("loss")
    points = points_of(length)
    began = time.process_time()
    model.extend("loss", points)
    model.set_smoothing(0.6)
    model.rows(100, 25)
    first = time.process_time() - began
    began = time.process_time()
    for step in range(length + 1, length + 51):
        model.extend("loss", [(step, 1.2)])
        model.rows(100, 25)
    each = (time.process_time() - began) / 50
    return [
        Figure(what=f"chart, {length:,} points: first drawing", value=first * 1000, unit="ms", note="100×25 cells"),
        Figure(what=f"chart, {length:,} points: add one, draw", value=each * 1000, unit="ms", limit=5.0),
    ]


def _live(columns: int, rows: int, limit: int) -> list[Figure]:
    bytes_each, cpu_each = run_live(columns, rows)
    size = f"{columns}×{rows}"
    return [
        Figure(
            what=f"three live charts at {size}: bytes", value=bytes_each / PERIOD_SECONDS, unit="B/s", limit=limit,
            note=f"{bytes_each:.0f} B an update",
        ),
        Figure(
            what=f"three live charts at {size}: processor", value=cpu_each / PERIOD_SECONDS * 100, unit="% of a core",
            limit=CPU_SHARE_LIMIT * 100, note=f"{cpu_each * 1000:.1f} ms an update",
        ),
    ]  # fmt: skip


def run_live(columns: int, rows: int, updates: int = UPDATES) -> tuple[float, float]:
    """Bytes and seconds of processor time that one update takes in a terminal of this size."""
    with tempfile.TemporaryDirectory(prefix="finetui-bench-") as folder:
        report = Path(folder) / "report.json"
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-P", "-m", "bench.chart_app", str(report), str(updates + SETTLE_UPDATES)]
        child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        arrivals = _read_all(ours, child)
        told = json.loads(report.read_text())
    counted = [size for at, size in arrivals if told["began"] <= at <= told["ended"]]
    return sum(counted) / updates, told["cpu_seconds"] / updates


def _read_all(descriptor: int, child: subprocess.Popen[bytes]) -> list[tuple[float, int]]:
    """When how many bytes came, until the child ends."""
    arrivals: list[tuple[float, int]] = []
    while child.poll() is None:
        if not select.select([descriptor], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(descriptor, 65536)
        except OSError:
            break
        arrivals.append((time.monotonic(), len(data)))
        if b"\x1b[?2026$p" in data:
            os.write(descriptor, b"\x1b[?2026;2$y")
    child.wait(10)
    os.close(descriptor)
    return arrivals


if __name__ == "__main__":
    run_alone("measure the live charts", measure)
