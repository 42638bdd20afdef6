"""What can't be trained is refused before the first step, in a sentence that names it, without a traceback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.events import Finished, HealthRaised, Planned, Started, StepLogged
from core.paths import RunPaths, Workspace
from core.worker.context import Ending
from tests.worker.tiny import events, make_recipe, make_run, train_here

CHAT = {"messages": [{"role": "user", "content": "a 2"}, {"role": "assistant", "content": "aa"}]}


def refused(paths: RunPaths, *words: str) -> Ending:
    """Run it; it must not have started to train, and its message must hold all `words`."""
    ending = train_here(paths)
    assert ending.outcome == "could_not_start", ending
    for word in words:
        assert word in f"{ending.message} {' '.join(ending.advice)}", ending
    assert "Traceback" not in ending.message and "\n" not in ending.message
    assert len(events(paths, Started)) == 1
    assert events(paths, StepLogged) == []
    assert events(paths, Finished)[-1].message == ending.message
    return ending


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be spoilt."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def test_model_folder_gone(workspace: Workspace, model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    run = make_run(workspace, make_recipe(tmp_path, model, tiny_rows))
    shutil.rmtree(model)
    refused(run, str(model), "model.path")


def test_pickled_weights(workspace: Workspace, model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    run = make_run(workspace, make_recipe(tmp_path, model, tiny_rows))
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    refused(run, "pickled", "pytorch_model.bin", "safetensors")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_beside_the_model(name: str, workspace: Workspace, model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    run = make_run(workspace, make_recipe(tmp_path, model, tiny_rows))
    canary = tmp_path / "canary"
    (model / "evil.py").write_text(f"open({str(canary)!r}, 'w')\n")
    content = json.loads((model / name).read_text())
    content["auto_map"] = {"AutoModelForCausalLM": "evil.Model", "AutoTokenizer": ["evil.Tokenizer", None]}
    (model / name).write_text(json.dumps(content))
    refused(run, name, "auto_map")
    assert not canary.exists()


def test_damaged_weights(workspace: Workspace, model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    run = make_run(workspace, make_recipe(tmp_path, model, tiny_rows))
    (model / "model.safetensors").write_bytes(b"\xff" * 200)
    refused(run, "model.safetensors")


def test_unknown_architecture(workspace: Workspace, model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    run = make_run(workspace, make_recipe(tmp_path, model, tiny_rows))
    content = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**content, "model_type": "no_such_model"}))
    refused(run, "no_such_model")


def test_empty_dataset(workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    rows = Path(shutil.copy(tiny_rows, tmp_path / "rows.jsonl"))
    run = make_run(workspace, make_recipe(tmp_path, tiny_model, rows))
    rows.write_text("")
    refused(run, str(rows))


def test_broken_line_is_refused_with_its_number_or_skipped(
    workspace: Workspace, tiny_model: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    lines = [json.dumps(CHAT)] * 20
    rows.write_text("\n".join([*lines[:6], '{"messages": [', *lines[6:]]) + "\n")
    no_sets = ("evaluate.sets={}", "train.max_steps=2")
    refused(make_run(workspace, make_recipe(tmp_path, tiny_model, rows, *no_sets)), "rows.jsonl", "7")

    skipping = make_run(workspace, make_recipe(tmp_path, tiny_model, rows, *no_sets, "data.bad_rows=skip"))
    assert train_here(skipping).outcome == "completed"
    assert [event.rows for event in events(skipping, Planned)] == [{"train": 20}]
    assert any("7" in event.message for event in events(skipping, HealthRaised) if event.rule == "data")


def test_rows_with_nothing_to_train_on(workspace: Workspace, tiny_model: Path, tmp_path: Path) -> None:
    """Every answer lies behind max_length, so every label is masked."""
    rows = tmp_path / "rows.jsonl"
    long = {"messages": [{"role": "user", "content": "a" * 100}, {"role": "assistant", "content": "b"}]}
    rows.write_text((json.dumps(long) + "\n") * 10)
    refused(make_run(workspace, make_recipe(tmp_path, tiny_model, rows, "evaluate.sets={}")), "train")


def test_broken_recipe_in_the_run_folder(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    run = make_run(workspace, make_recipe(tmp_path, tiny_model, tiny_rows))
    run.recipe.write_text("model: {path: x}\nmethod: {type: magic}\n")
    ending = train_here(run)
    assert ending.outcome == "could_not_start"
    assert "recipe.yaml" in ending.message
