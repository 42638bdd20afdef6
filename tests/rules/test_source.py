"""Rules about the source that no linter knows: module docstrings, reasons beside broad excepts, no machine's paths."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for room in ("core", "tui", "bench") for path in (ROOT / room).rglob("*.py"))
TEXTS = [
    *SOURCES,
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "recipes").glob("*.yaml")),
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile")),
]


def test_the_walk_found_the_house() -> None:
    assert len(SOURCES) > 80
    assert len(TEXTS) > len(SOURCES) + 8


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_opens_by_saying_why_it_exists(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert len(docstring) > 30, f"{path.name} has no purpose in its docstring"


def test_no_source_file_grows_beyond_what_one_person_reads_at_once() -> None:
    lines = {path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: count for name, count in lines.items() if count > 400} == {}


def test_a_broad_except_has_its_reason_beside_it() -> None:
    broad = re.compile(r"except( Exception| BaseException)?( as \w+)?:(?!.*#)")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if broad.search(line)
    ]
    assert found == []


def test_no_text_holds_a_path_of_somebodys_machine() -> None:
    pattern = re.compile(r"/(?:home|root|work|Users)/\w+")
    found = [
        f"{path.relative_to(ROOT)}: {match}" for path in TEXTS for match in pattern.findall(path.read_text("utf-8"))
    ]
    assert found == []


def test_nothing_asks_for_a_shell_or_unpickles() -> None:
    forbidden = re.compile(r"shell=True|os\.system\(|\bpickle\.load|weights_only=False|trust_remote_code=True")
    found = [
        f"{path.relative_to(ROOT)}: {match}" for path in SOURCES for match in forbidden.findall(path.read_text("utf-8"))
    ]
    assert found == []
