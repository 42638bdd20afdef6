"""The doctor says what is so on this machine, names what is wrong, and imports no training library to find out."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.gpu.nvml import Gpu, GpuProcess
from core.paths import Workspace, make_private_folder
from core.runs import doctor as doctor_module
from core.runs import installation, machine
from core.runs.doctor import Finding, doctor


def about(findings: tuple[Finding, ...], subject: str) -> list[Finding]:
    return [finding for finding in findings if finding.subject == subject]


def test_this_environment_is_found_fit_and_every_requirement_is_named(workspace: Workspace) -> None:
    findings = doctor(workspace)
    assert not [finding for finding in findings if finding.level == "error"]
    (torch,) = about(findings, "torch")
    assert importlib.metadata.version("torch") in torch.message
    assert len(about(findings, "python")) == 1
    subjects = {finding.subject for finding in findings}
    assert {
        "trl",
        "textual",
        "core package",
        "umask",
        "file system",
        "disk",
        "locks",
        "sqlite",
        "supervisor",
    } <= subjects
    assert {"permissions", "detaching", "gpu"} <= subjects


def test_it_imports_no_training_library_and_writes_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from core.paths import Workspace; from core.runs.doctor import doctor\n"
        f"doctor(Workspace(Path({str(tmp_path / 'new')!r})))\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'pandas', 'pynvml'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_an_old_or_missing_package_is_an_error_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"torch": "2.9.1+cu128", "trl": "1.15.0"}

    def version(name: str) -> str:
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["torch>=2.11", "trl>=1.15", "peft<1,>=0.21"])
    monkeypatch.setattr(importlib.metadata, "version", version)
    levels = {finding.subject: finding for finding in installation.check_packages()}
    assert {name: finding.level for name, finding in levels.items()} == {"torch": "error", "trl": "ok", "peft": "error"}
    assert "2.9.1" in levels["torch"].message and "2.11" in levels["torch"].message
    assert levels["peft"].try_this == "pip install 'peft>=0.21'"


@pytest.mark.parametrize(
    ("installed", "floor", "older"),
    [("5.0", "5", 0), ("5", "5.0.0", 0), ("2.10", "2.9", 0), ("2.9", "2.10", 1), ("2.13.0+cpu", "2.13", 0)],
)
def test_versions_compare_as_numbers(installed: str, floor: str, older: int) -> None:
    assert installation._is_older(installed, floor) == bool(older)


def test_a_foreign_core_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "core").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [finding.level for finding in installation.check_core_package()] == ["ok"]  # a folder, not a package
    (tmp_path / "core" / "__init__.py").touch()
    (finding,) = installation.check_core_package()
    assert (finding.level, str(tmp_path / "core") in finding.message) == ("warning", True)


def test_loose_files_are_named_with_the_command_that_mends_them(workspace: Workspace) -> None:
    make_private_folder(workspace.runs)
    workspace.journal.touch(mode=0o600)
    assert about(doctor(workspace), "permissions")[0].level == "ok"
    workspace.journal.chmod(0o644)
    (finding,) = about(doctor(workspace), "permissions")
    assert finding.level == "warning"
    assert finding.try_this == f"chmod go-rwx {workspace.journal}"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_workspace_that_can_not_be_written_is_an_error(workspace: Workspace) -> None:
    workspace.root.chmod(0o500)
    assert about(doctor(workspace), "permissions")[0].level == "error"


def test_little_space_is_a_warning(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_module, "disk_free_bytes", lambda path: 3 * 1024**2)
    (finding,) = about(doctor(workspace), "disk")
    assert (finding.level, "3.0 MiB" in finding.message) == ("warning", True)


def test_a_network_disk_is_a_warning(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import core.store.policy

    mounts = tmp_path / "mounts"
    mounts.write_text("1 0 0:1 / / rw - nfs4 server:/home rw\n")
    monkeypatch.setattr(core.store.policy, "MOUNTS", mounts)
    findings = doctor(workspace)
    assert [(f.level, "nfs4" in f.message) for f in about(findings, "file system")] == [("warning", True)]
    assert "TRUNCATE" in about(findings, "sqlite")[0].message


def test_locks_are_tried_and_nothing_is_left_behind(workspace: Workspace) -> None:
    make_private_folder(workspace.state)
    assert about(doctor(workspace), "locks")[0].message == "file locks work"
    assert list(workspace.state.iterdir()) == []


def test_a_living_supervisor_is_seen(workspace: Workspace) -> None:
    assert "none lives" in about(doctor(workspace), "supervisor")[0].message
    holding = (
        "import sys; from pathlib import Path; from core.locks import FileLock\n"
        f"assert FileLock(Path({str(workspace.supervisor_lock)!r})).try_acquire()\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen([sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline() == b"held\n"
        assert "works here" in about(doctor(workspace), "supervisor")[0].message
    finally:
        child.communicate()


def test_gpus_and_other_users_on_them_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = (
        GpuProcess(pid=10, memory_used_bytes=1, user="me", is_ours=True, command="python"),
        GpuProcess(pid=11, memory_used_bytes=5 << 30, user="eve\x1b]52;c;x", is_ours=False, command="x"),
    )
    gpu = Gpu(
        index=0, uuid="GPU-0", name="NVIDIA L4", memory_total_bytes=24 << 30, memory_used_bytes=6 << 30,
        utilisation_percent=3.0, power_watts=None, temperature_celsius=None, compute_capability="8.9",
        driver_version="595.10", processes=processes,
    )  # fmt: skip
    monkeypatch.setattr(machine, "read_gpus", lambda: (gpu,))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.13.0+cpu")
    findings = list(machine.check_gpus())
    assert [finding.level for finding in findings] == ["ok", "warning", "warning", "ok"]
    assert "18.0 GiB of 24.0 GiB free" in findings[0].message
    assert "process 11" in findings[1].message and "5.0 GiB" in findings[1].message
    assert not any("\x1b" in finding.message for finding in findings)
    assert "without CUDA" in findings[2].message


def test_a_driver_without_answer_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "read_gpus", lambda: ())
    monkeypatch.setattr(machine, "has_driver", lambda: True)
    assert [finding.level for finding in machine.check_gpus()] == ["warning"]
