"""Whether what is installed is what finetui needs: Python, package versions, and the right `core`.

Versions come from the installed metadata: nothing is imported, so this works where a package is what is broken.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from core.runs.findings import Finding
from core.text import safe_line

PACKAGE = "finetui"
PYTHON_FLOOR = (3, 11)


def check_python() -> Iterator[Finding]:
    """Whether this interpreter is new enough."""
    version = platform.python_version()
    if sys.version_info < PYTHON_FLOOR:
        floor = ".".join(str(part) for part in PYTHON_FLOOR)
        yield Finding(
            "error", "python", f"Python {version} is older than {floor}", "make the environment anew: make demo"
        )
    else:
        yield Finding("ok", "python", f"Python {version} at {sys.executable}")


def check_packages() -> Iterator[Finding]:
    """Every package that finetui needs, against the oldest version that it works with."""
    floors = _floors()
    if not floors:
        message = "finetui runs from a folder without having been installed: versions can't be checked"
        yield Finding("warning", "packages", message, "pip install -e . in the checkout, or make demo")
    for name, floor in sorted(floors.items()):
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding("error", name, f"{name} is not installed", f"pip install '{name}>={floor}'")
            continue
        if _is_older(installed, floor):
            message = f"{name} {installed} is older than {floor}, the oldest that finetui works with"
            yield Finding("error", name, message, f"pip install '{name}>={floor}'")
        else:
            yield Finding("ok", name, f"{name} {installed}")


def _floors() -> dict[str, str]:
    """The floor of each package that finetui needs, from its own metadata; empty where it was not installed."""
    try:
        requirements = importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    floors = {}
    for requirement in requirements:
        match = re.match(r"([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*([^;]*)(.*)", requirement)
        if match and "extra" not in match[3]:
            at_least = re.search(r"[>=]=\s*([0-9][0-9A-Za-z.]*)", match[2])
            floors[match[1]] = at_least[1] if at_least else "0"
    return floors


def _is_older(installed: str, floor: str) -> bool:
    return _release(installed) < _release(floor)


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version (PEP 440 release segment), local and pre-release parts left out."""
    match = re.match(r"(?:\d+!)?(\d+(?:\.\d+)*)", version)
    numbers = [int(part) for part in match[1].split(".")] if match else [0]
    while len(numbers) > 1 and numbers[-1] == 0:  # 5.0 is 5
        numbers.pop()
    return tuple(numbers)


def check_core_package() -> Iterator[Finding]:
    """`core` is a common name: another package of that name in the environment could be found instead of ours."""
    ours = Path(__file__).resolve().parents[1]
    foreign = []
    for entry in dict.fromkeys(sys.path):
        folder = Path(entry or Path.cwd()) / "core"
        found = folder if folder.is_dir() else folder.with_suffix(".py")
        if found.exists() and found.resolve() != ours and (found.is_file() or (found / "__init__.py").exists()):
            foreign.append(found)
    for path in foreign:
        message = f"another package named core is at {safe_line(str(path))}"
        yield Finding("warning", "core package", message, "install finetui in an environment of its own")
    if not foreign:
        yield Finding("ok", "core package", f"core is finetui's own, at {ours}")
