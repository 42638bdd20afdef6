"""A driver library for child processes: the same interface as the real one, behaving as a file says."""

from __future__ import annotations

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
    memory_by_pid = {os.getppid(): 2 << 30, 1: None, 2**22 + 5: 7}
    return [Row(pid=pid, usedGpuMemory=memory) for pid, memory in memory_by_pid.items()]
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
