"""The sampler: real readings of this machine, alive through a lost GPU, gone when nobody listens."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.events import Event, HardwareSampled
from core.gpu.host import Host, process_memory_bytes
from core.gpu.sample import HardwareReading

WITH_FAKE_DRIVER = """
import core.gpu.nvml, core.gpu.sample, sys
core.gpu.nvml._DRIVER_TRACES = ("/",)
core.gpu.sample._RECONNECT_EVERY_SECONDS = 0.1
sys.exit(core.gpu.sample.main(sys.argv[1:]))
"""


@contextmanager
def sampler(*arguments: str, code: str | None = None) -> Iterator[subprocess.Popen[str]]:
    how = ["-m", "core.gpu.sample"] if code is None else ["-c", code]
    child = subprocess.Popen(
        [sys.executable, *how, "--period", "0.1", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def read(child: subprocess.Popen[str]) -> HardwareReading:
    assert child.stdout is not None
    return HardwareReading.from_line(child.stdout.readline())


def test_a_reading_has_the_fields_of_the_event() -> None:
    own = {field.name for field in dataclasses.fields(HardwareReading)}
    event = {field.name for field in dataclasses.fields(HardwareSampled)} - {f.name for f in dataclasses.fields(Event)}
    assert own == event
    assert len(own) == 12


def test_this_machine_is_measured() -> None:
    with sampler("--pid", str(os.getpid()), "--no-gpu") as child:
        first, second = read(child), read(child)
    assert first.cpu_percent is None
    assert second.cpu_percent is not None and 0 <= second.cpu_percent <= 100
    assert second.host_memory_total_bytes and second.host_memory_used_bytes
    assert 0 < second.host_memory_used_bytes < second.host_memory_total_bytes
    assert second.disk_free_bytes is not None
    assert second.worker_memory_bytes is not None and second.worker_memory_bytes > 5 << 20
    assert second.gpu_uuid is None


def test_children_count_for_the_worker_and_a_dead_worker_is_not_measured(tmp_path: Path) -> None:
    alone = process_memory_bytes(os.getpid())
    hog = "import sys; held = bytearray(40 << 20); print('ready', flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", hog], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    together = process_memory_bytes(os.getpid())
    child.communicate()
    assert alone is not None and together is not None
    assert together - alone > 40 << 20
    assert process_memory_bytes(child.pid) is None
    assert Host(tmp_path / "gone", child.pid).read().disk_free_bytes is None


def test_the_gpu_is_read_lost_and_found_again(fake_driver: Path) -> None:
    with sampler("--gpu", "GPU-0", code=WITH_FAKE_DRIVER) as child:
        reading = read(child)
        assert (reading.gpu_uuid, reading.gpu_utilisation_percent, reading.gpu_power_watts) == ("GPU-0", 71.0, None)
        fake_driver.write_text("lost")
        while reading.gpu_uuid is not None:
            reading = read(child)
        assert reading.gpu_memory_used_bytes is None
        assert reading.host_memory_total_bytes  # the rest of the reading stays
        fake_driver.write_text("fine")
        while reading.gpu_uuid is None:
            reading = read(child)
        assert reading.gpu_memory_used_bytes == 3 << 30


def test_without_a_uuid_the_gpu_of_the_worker_is_taken(fake_driver: Path) -> None:
    with sampler("--pid", "1", code=WITH_FAKE_DRIVER) as child:
        assert read(child).gpu_uuid == "GPU-0"


def test_it_ends_when_the_pipe_closes() -> None:
    with sampler("--no-gpu") as child:
        read(child)
        assert child.stdin is not None
        child.stdin.close()
        child.stdin = None
        assert child.wait(timeout=10) == 0


def test_it_ends_when_nobody_reads() -> None:
    with sampler("--no-gpu") as child:
        read(child)
        assert child.stdout is not None
        child.stdout.close()
        child.stdout = None
        assert child.wait(timeout=10) == 0


def test_it_ends_when_its_parent_was_killed(tmp_path: Path) -> None:
    out = tmp_path / "lines"
    parent = (
        "import subprocess, sys, os, signal, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'core.gpu.sample', '--period', '0.05', '--no-gpu'],"
        f" stdin=subprocess.DEVNULL, stdout=open({str(out)!r}, 'w'))\n"
        "print(child.pid, flush=True)\n"
        f"while os.path.getsize({str(out)!r}) == 0: time.sleep(0.02)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    said = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, timeout=30)
    pid = int(said.stdout)
    deadline = time.monotonic() + 10
    while _is_running(pid):
        assert time.monotonic() < deadline, "the sampler outlived its parent"
        time.sleep(0.02)
    assert out.read_text().count("\n") >= 1  # /dev/null as stdin did not end it at once


def _is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


@pytest.mark.parametrize("line", ['{"cpu_percent": 1', "[]", "", "null"])
def test_a_torn_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        HardwareReading.from_line(line)
