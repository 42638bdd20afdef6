"""What is installed: two top-level packages, the starter, the ready recipes; nothing else, and nothing missing."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built without a second environment."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_core_and_tui_and_nothing_beside_them(wheel: zipfile.ZipFile) -> None:
    top_level = {name.split("/", 1)[0] for name in wheel.namelist()}
    assert {name for name in top_level if not name.startswith("finetui-")} == {"core", "tui"}


def test_the_wheel_holds_every_source_file_the_starter_and_the_recipes(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    sources = {path.relative_to(ROOT).as_posix() for room in ("core", "tui") for path in (ROOT / room).rglob("*.py")}
    assert len(sources) > 80
    assert sources <= names
    assert any(name.startswith("core/starter/") and name.endswith(".safetensors") for name in names)
    recipes = {path.name for path in (ROOT / "recipes").glob("*.yaml")}
    assert len(recipes) >= 4
    assert recipes == {name.rsplit("/", 1)[1] for name in names if "/share/finetui/recipes/" in name}


def test_every_dependency_states_its_floor_its_reason_and_a_tested_version() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    pins = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    assert len(project["dependencies"]) > 15
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=]", requirement)[0]
        assert re.search(r"[<>=]=?\d", requirement), f"{requirement} has no floor"
        assert name.lower() in pins, f"{name} has no tested version in constraints.txt"
        line = next(line for line in text.splitlines() if f'"{requirement}"' in line)
        assert "#" in line, f"{requirement} has no reason beside it"


def test_the_changelog_knows_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
