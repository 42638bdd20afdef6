"""The GPUs of this machine and who uses them, asked of NVML in a child process: `python -P -m core.gpu.nvml`.

Only this module may import pynvml, and only inside the functions that a child process runs: a lost GPU has crashed and
hung programs that asked NVML themselves. A machine without driver has no GPUs; that is an answer, not an error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

_DRIVER_TRACES = ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg")
_CHILD_TIMEOUT_SECONDS = 10.0
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that has memory on a GPU. `user` is None where the system does not tell; it counts as not ours."""

    pid: int
    memory_used_bytes: int | None
    user: str | None
    is_ours: bool
    command: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU; a reading that the device refused is None. Utilisation is the share of time a kernel ran, in percent."""

    index: int
    uuid: str
    name: str
    memory_total_bytes: int | None
    memory_used_bytes: int | None
    utilisation_percent: float | None
    power_watts: float | None
    temperature_celsius: float | None
    compute_capability: str | None
    driver_version: str | None
    processes: tuple[GpuProcess, ...] = ()

    @property
    def memory_free_bytes(self) -> int | None:
        """What is free now, over all users."""
        if self.memory_total_bytes is None or self.memory_used_bytes is None:
            return None
        return self.memory_total_bytes - self.memory_used_bytes


@cache
def list_gpus() -> tuple[Gpu, ...]:
    """The GPUs as they were when this process first asked; () without a driver, or where NVML crashes or hangs."""
    return read_gpus()


def read_gpus() -> tuple[Gpu, ...]:
    """The GPUs now, processes included, read in a child process (about 0.1 s; at most 10 s where NVML hangs)."""
    if not has_driver():
        return ()
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", "core.gpu.nvml"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_CHILD_TIMEOUT_SECONDS,
            check=True,
        )
        rows = json.loads(child.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()
    return tuple(Gpu(**{**row, "processes": tuple(GpuProcess(**item) for item in row["processes"])}) for row in rows)


def has_driver() -> bool:
    """Whether a trace of NVIDIA's driver is there: without one no child is started, and listing costs nothing."""
    return any(Path(trace).exists() for trace in _DRIVER_TRACES)


class Nvml:
    """NVML in this process: for a child that may crash, never for the app, a command, the supervisor or a worker."""

    def __init__(self) -> None:
        self._library: Any = None  # pynvml, or None where there is no driver now

    def connect(self) -> bool:
        """Load the driver's library; False where there is none, or where the driver does not answer."""
        try:
            import pynvml

            pynvml.nvmlInit()
        except Exception:  # noqa: BLE001  # pynvml raises many kinds (its own, OSError, AttributeError); all mean: no GPU
            self._library = None
            return False
        self._library = pynvml
        return True

    def disconnect(self) -> None:
        """Give the driver back, so that the next `connect` starts afresh after a reset of the GPU."""
        if self._library is not None:
            self._ask(self._library.nvmlShutdown)
            self._library = None

    def gpus(self) -> tuple[Gpu, ...]:
        """Every GPU that answers; a lost one is left out."""
        if self._library is None:
            return ()
        count = self._ask(self._library.nvmlDeviceGetCount) or 0
        driver = _text(self._ask(self._library.nvmlSystemGetDriverVersion))
        found = (self._gpu(index, driver) for index in range(count))
        return tuple(gpu for gpu in found if gpu is not None)

    def _gpu(self, index: int, driver: str | None) -> Gpu | None:
        nvml = self._library
        handle = self._ask(lambda: nvml.nvmlDeviceGetHandleByIndex(index))
        uuid = None if handle is None else _text(self._ask(lambda: nvml.nvmlDeviceGetUUID(handle)))
        if uuid is None:
            return None
        memory = self._ask(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
        rates = self._ask(lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
        milliwatts = self._ask(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        degrees = self._ask(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
        capability = self._ask(lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle))
        return Gpu(
            index=index,
            uuid=uuid,
            name=_text(self._ask(lambda: nvml.nvmlDeviceGetName(handle))) or "unknown GPU",
            memory_total_bytes=None if memory is None else int(memory.total),
            memory_used_bytes=None if memory is None else int(memory.used),
            utilisation_percent=None if rates is None else float(rates.gpu),
            power_watts=None if milliwatts is None else milliwatts / 1000,
            temperature_celsius=None if degrees is None else float(degrees),
            compute_capability=None if capability is None else f"{capability[0]}.{capability[1]}",
            driver_version=driver,
            processes=self._processes(handle),
        )

    def _processes(self, handle: Any) -> tuple[GpuProcess, ...]:
        nvml = self._library
        computing = self._ask(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or []
        drawing = self._ask(lambda: nvml.nvmlDeviceGetGraphicsRunningProcesses(handle)) or []
        by_pid = {item.pid: item for item in [*drawing, *computing]}
        return tuple(_process(pid, by_pid[pid].usedGpuMemory) for pid in sorted(by_pid))

    def _ask(self, question: Callable[[], _Value]) -> _Value | None:
        """One answer, or None where this device or driver does not give it."""
        try:
            return question()
        except Exception:  # noqa: BLE001  # NVMLError has a class per code, old drivers lack functions; all mean: not measured
            return None


def _process(pid: int, memory_used_bytes: int | None) -> GpuProcess:
    import psutil

    user, is_ours, command = None, False, None
    try:
        process = psutil.Process(pid)
        is_ours = process.uids().real == os.getuid()
        command = process.name()
        user = process.username()
    except (psutil.Error, OSError, KeyError):
        pass  # of another user, of another container, or gone
    return GpuProcess(pid=pid, memory_used_bytes=memory_used_bytes, user=user, is_ours=is_ours, command=command)


def _text(value: object) -> str | None:
    if isinstance(value, bytes):  # older bindings
        return value.decode("utf-8", "replace")
    return cast("str | None", value)


def main() -> None:
    """Print all GPUs as one JSON list."""
    nvml = Nvml()
    nvml.connect()
    sys.stdout.write(json.dumps([asdict(gpu) for gpu in nvml.gpus()]) + "\n")


if __name__ == "__main__":
    main()
