"""What stands after ``builtin:`` leads to whole files, and an altered package says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core import starter
from core.errors import DatasetError, FinetuiError, ModelError
from core.starter import package


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that a test may damage."""
    for name in ("model", "data"):
        shutil.copytree(package.FOLDER / name, tmp_path / name)
    shutil.copy(package.FOLDER / "starter.json", tmp_path)
    monkeypatch.setattr(package, "FOLDER", tmp_path)
    return tmp_path


def test_every_name_resolves() -> None:
    assert len(starter.NAMES) == 5
    assert (starter.resolve("starter") / "config.json").is_file()
    assert all(starter.resolve(name).suffix == ".jsonl" for name in starter.NAMES[1:])


def test_an_unknown_name_is_answered_with_the_nearest_right_one() -> None:
    with pytest.raises(DatasetError, match="did you mean builtin:starter/train"):
        starter.resolve("starter/trian")
    with pytest.raises(DatasetError, match="builtin:starter/general"):
        starter.resolve("gpt")
    with pytest.raises(DatasetError):
        starter.resolve("starter/../package")


def test_the_packaged_weights_are_the_recorded_ones_and_small() -> None:
    said = starter.verify()
    weights = starter.resolve("starter") / "model.safetensors"
    assert weights.stat().st_size < 6_000_000
    assert said.version == starter.VERSION
    assert 1_000_000 < said.parameters < 3_000_000
    assert said.steps == 3_500


def test_altered_weights_are_noticed(copied: Path) -> None:
    weights = copied / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="not the recorded ones"):
        starter.verify()


@pytest.mark.parametrize(
    "missing", ["model/tokenizer.json", "model/model.safetensors", "data/test.jsonl", "starter.json"]
)
def test_a_missing_file_is_named(copied: Path, missing: str) -> None:
    (copied / missing).unlink()
    with pytest.raises(FinetuiError, match=Path(missing).name):
        starter.verify()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": "1"}'])
def test_an_unreadable_record_is_an_error_with_a_reason(copied: Path, content: str) -> None:
    (copied / "starter.json").write_text(content)
    with pytest.raises(ModelError, match=r"starter\.json"):
        starter.record()
