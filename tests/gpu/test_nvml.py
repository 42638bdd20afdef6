"""GPUs are asked for in a child process, so that a driver that fails, hangs or crashes costs a reading and no more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.gpu import nvml


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
    code = (
        "import sys, core.gpu.nvml, core.gpu.sample, core.gpu.host\n"
        "print(sorted({'pynvml', 'torch', 'psutil'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "[]"
