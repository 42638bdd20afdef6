"""The hardware sampler, a killable child of the supervisor: `python -P -m core.gpu.sample --period 2 [--pid N]`.

It prints one JSON line a reading, keeps on through a lost GPU (its fields are then null), and ends by itself when the
pipe on its stdin closes or its parent dies, so that nobody has to remember to kill it. A hang inside NVML stops the
lines: whoever reads them may kill and restart it at any time, or go on without GPU (`--no-gpu`).
"""

from __future__ import annotations

import argparse
import json
import os
import select
import stat
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from core.gpu.host import Host
from core.gpu.nvml import Gpu, Nvml, has_driver

_RECONNECT_EVERY_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareReading:
    """One reading, field by field what a HardwareSampled event carries; None where it was not measured."""

    gpu_uuid: str | None = None
    gpu_name: str | None = None
    gpu_utilisation_percent: float | None = None
    gpu_memory_used_bytes: int | None = None
    gpu_memory_total_bytes: int | None = None
    gpu_power_watts: float | None = None
    gpu_temperature_celsius: float | None = None
    cpu_percent: float | None = None
    host_memory_used_bytes: int | None = None
    host_memory_total_bytes: int | None = None
    worker_memory_bytes: int | None = None
    disk_free_bytes: int | None = None

    def to_line(self) -> str:
        """The reading as one line of JSON, newline included."""
        return json.dumps(asdict(self), allow_nan=False) + "\n"

    @classmethod
    def from_line(cls, line: str) -> HardwareReading:
        """The reading of a line of the sampler.

        Raises:
            ValueError: the line is torn or not a reading.
        """
        body = json.loads(line)
        if not isinstance(body, dict):
            raise ValueError("not a hardware reading")
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in body.items() if key in known})


class Sampler:
    """Reads the machine: the host each time, the GPU as long as it answers."""

    def __init__(self, *, disk: Path, worker_pid: int | None, gpu_uuid: str | None, with_gpu: bool = True) -> None:
        self._host = Host(disk, worker_pid)
        self._worker_pid = worker_pid
        self._gpu_uuid = gpu_uuid
        self._nvml = Nvml() if with_gpu and has_driver() else None
        self._connected = False
        self._reconnect_at = 0.0

    def read(self) -> HardwareReading:
        """One reading of everything."""
        gpu = self._read_gpu()
        host = self._host.read()
        return HardwareReading(
            gpu_uuid=gpu.uuid if gpu else None,
            gpu_name=gpu.name if gpu else None,
            gpu_utilisation_percent=gpu.utilisation_percent if gpu else None,
            gpu_memory_used_bytes=gpu.memory_used_bytes if gpu else None,
            gpu_memory_total_bytes=gpu.memory_total_bytes if gpu else None,
            gpu_power_watts=gpu.power_watts if gpu else None,
            gpu_temperature_celsius=gpu.temperature_celsius if gpu else None,
            cpu_percent=host.cpu_percent,
            host_memory_used_bytes=host.memory_used_bytes,
            host_memory_total_bytes=host.memory_total_bytes,
            worker_memory_bytes=host.worker_memory_bytes,
            disk_free_bytes=host.disk_free_bytes,
        )

    def _read_gpu(self) -> Gpu | None:
        if self._nvml is None:
            return None
        if not self._connected:
            if time.monotonic() < self._reconnect_at:
                return None
            self._connected = self._nvml.connect()
        gpu = self._chosen(self._nvml.gpus()) if self._connected else None
        if gpu is None:  # lost, or the driver was reloaded: begin anew, but not at every reading
            self._nvml.disconnect()
            self._connected = False
            self._reconnect_at = time.monotonic() + _RECONNECT_EVERY_SECONDS
        return gpu

    def _chosen(self, gpus: Sequence[Gpu]) -> Gpu | None:
        if self._gpu_uuid is not None:
            return next((gpu for gpu in gpus if gpu.uuid == self._gpu_uuid), None)
        used = (gpu for gpu in gpus if any(process.pid == self._worker_pid for process in gpu.processes))
        return next(used, gpus[0] if gpus else None)


def _wait_or_end(seconds: float, parent_pid: int, watched: int | None) -> bool:
    """Sleep; True where the one who asked for readings is gone."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if os.getppid() != parent_pid:
            return True
        if watched is None:
            time.sleep(min(left, 1.0))
        elif select.select([watched], [], [], min(left, 1.0))[0] and not os.read(watched, 4096):
            return True
    return os.getppid() != parent_pid


def _closing_pipe() -> int | None:
    """Stdin where its closing means something: /dev/null would read as closed from the start."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return None
    return 0 if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a reading every period until the parent goes away."""
    parser = argparse.ArgumentParser(prog="core.gpu.sample", description="print hardware readings as JSON lines")
    parser.add_argument("--period", type=float, default=2.0, help="seconds between two readings")
    parser.add_argument("--pid", type=int, default=None, help="the worker whose memory is read")
    parser.add_argument("--gpu", default=None, help="its UUID; default: the one that the worker uses, else the first")
    parser.add_argument("--disk", type=Path, default=Path.cwd(), help="a folder on the disk whose free space is read")
    parser.add_argument("--no-gpu", action="store_true", help="leave NVML alone")
    chosen = parser.parse_args(arguments)
    parent_pid, watched = os.getppid(), _closing_pipe()
    sampler = Sampler(disk=chosen.disk, worker_pid=chosen.pid, gpu_uuid=chosen.gpu, with_gpu=not chosen.no_gpu)
    while True:
        try:
            sys.stdout.write(sampler.read().to_line())
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes once more at its end
            return 0
        if _wait_or_end(max(0.05, chosen.period), parent_pid, watched):
            return 0


if __name__ == "__main__":
    sys.exit(main())
