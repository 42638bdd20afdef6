"""A folder with a model and rows that a recipe can name, and a writer of recipes into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

MINIMAL = """\
model: {path: model}
data: {train: [{path: rows.jsonl}]}
method: {type: qlora}
evaluate: {sets: {validation: {from_train: 1}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    for name in ("rows", "more", "held"):
        (tmp_path / f"{name}.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[[str], Path]:
    def write_recipe(text: str = MINIMAL) -> Path:
        path = folder / "one.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_recipe
