"""GPUs are asked for in a child process, so that a driver that fails, hangs or crashes costs a reading and no more.

The driver's library is replaced by a module of the same interface in the child; everything else is real.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.gpu import nvml

FAKE = """
import os, time
NVML_TEMPERATURE_GPU = 0
class NVMLError(Exception): pass
class Row:
    def __init__(self, **values): self.__dict__.update(values)
def mode(): return open(os.environ["FAKE_NVML"]).read().strip()
def nvmlInit():
    if mode() == "no driver": raise NVMLError("Driver Not Loaded")
def nvmlShutdown(): pass
def nvmlSystemGetDriverVersion(): return b"595.10"
def nvmlDeviceGetCount(): return 2
def nvmlDeviceGetHandleByIndex(index):
    if mode() == "segfault": os.kill(os.getpid(), 11)
    if mode() == "hang": time.sleep(60)
    if mode() == "lost" and index == 0: raise NVMLError("GPU is lost")
    return index
def nvmlDeviceGetUUID(handle): return f"GPU-{handle}"
def nvmlDeviceGetName(handle): return "NVIDIA Test"
def nvmlDeviceGetMemoryInfo(handle): return Row(total=24 << 30, used=3 << 30, free=21 << 30)
def nvmlDeviceGetUtilizationRates(handle): return Row(gpu=71, memory=5)
def nvmlDeviceGetPowerUsage(handle): raise NVMLError("Not Supported")
def nvmlDeviceGetTemperature(handle, sensor): return 55
def nvmlDeviceGetCudaComputeCapability(handle): return (9, 0)
def nvmlDeviceGetGraphicsRunningProcesses(handle): return []
def nvmlDeviceGetComputeRunningProcesses(handle):
    return [Row(pid=os.getppid(), usedGpuMemory=2 << 30), Row(pid=1, usedGpuMemory=None), Row(pid=2**22 + 5, usedGpuMemory=7)]
"""


@pytest.fixture
def fake_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A driver whose behaviour is the text of the file that is returned."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "pynvml.py").write_text(FAKE)
    behaviour = tmp_path / "behaviour"
    behaviour.write_text("fine")
    monkeypatch.setenv("FAKE_NVML", str(behaviour))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))
    monkeypatch.setattr(nvml, "_DRIVER_TRACES", ("/",))
    return behaviour


def test_a_machine_without_driver_has_no_gpus_and_starts_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "_DRIVER_TRACES", ("/not/there",))
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("a child was started"))
    assert nvml.read_gpus() == ()


def test_every_gpu_is_read_with_the_processes_on_it(fake_driver: Path) -> None:
    first, second = nvml.read_gpus()
    assert (first.index, first.uuid, first.name, second.uuid) == (0, "GPU-0", "NVIDIA Test", "GPU-1")
    assert (first.memory_total_bytes, first.memory_free_bytes) == (24 << 30, 21 << 30)
    assert (first.utilisation_percent, first.temperature_celsius, first.power_watts) == (71.0, 55.0, None)
    assert (first.compute_capability, first.driver_version) == ("9.0", "595.10")
    by_pid = {process.pid: process for process in first.processes}
    assert set(by_pid) == {os.getpid(), 1, 2**22 + 5}
    assert by_pid[os.getpid()].is_ours
    assert by_pid[os.getpid()].memory_used_bytes == 2 << 30
    unknown = by_pid[2**22 + 5]
    assert not unknown.is_ours
    assert unknown.user is None


def test_a_lost_gpu_is_left_out_and_the_other_stays(fake_driver: Path) -> None:
    fake_driver.write_text("lost")
    assert [gpu.uuid for gpu in nvml.read_gpus()] == ["GPU-1"]


@pytest.mark.parametrize("behaviour", ["no driver", "segfault", "hang"])
def test_a_driver_that_fails_crashes_or_hangs_means_no_gpus(
    fake_driver: Path, behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvml, "_CHILD_TIMEOUT_SECONDS", 1.0)
    fake_driver.write_text(behaviour)
    assert nvml.read_gpus() == ()


def test_listing_is_remembered_for_the_life_of_the_process(fake_driver: Path) -> None:
    nvml.list_gpus.cache_clear()
    try:
        assert len(nvml.list_gpus()) == 2
        fake_driver.write_text("lost")
        assert len(nvml.list_gpus()) == 2
    finally:
        nvml.list_gpus.cache_clear()


def test_importing_the_room_loads_neither_the_driver_library_nor_torch() -> None:
    code = "import sys, core.gpu.nvml, core.gpu.sample, core.gpu.host; print(sorted({'pynvml','torch','psutil'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "[]"
