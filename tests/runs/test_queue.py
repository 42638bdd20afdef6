"""Queueing and labelling where no supervisor lives: a line, seen at once; a wish that can't be is a clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import RunError, UsageError, WorkspaceError
from core.paths import Workspace
from core.recipe.load import LoadedRecipe, load_recipe
from core.runs import folder, labels, queue
from core.runs.folder import read_job
from core.runs.queue import cancel, default_device, move, submit
from core.runs.requests import ask
from core.runs.seen import read_run
from core.states import Outcome, State
from core.store.reader import open_reader

RECIPE = """\
model: {path: model}
data: {train: [{path: rows.jsonl}]}
method: {type: lora}
evaluate: {sets: {validation: {from_train: 1}}}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> LoadedRecipe:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "rows.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    (tmp_path / "two.yaml").write_text(RECIPE)
    return load_recipe(tmp_path / "two.yaml")


def test_a_held_job_is_seen_whole_and_starts_nobody(workspace: Workspace, recipe: LoadedRecipe) -> None:
    run_id = submit(workspace, recipe, held=True, arguments={"sets": ["a"]}, resumed_from="0abcdef0@5", device="none")
    run = read_run(workspace, run_id)
    assert (run.name, run.kind, run.state, run.method, run.objective, run.resumed_from, run.device) == (
        "two", "train", State.HELD, "lora", "sft", "0abcdef0@5", "none",
    )  # fmt: skip
    job = read_job(workspace.run(run_id))
    assert job.arguments["sets"] == ["a"]
    choices = job.arguments["choices"]
    assert isinstance(choices, list) and len(choices) == len(recipe.choices)
    assert not workspace.supervisor_log.exists()


def test_a_taken_id_is_drawn_again(workspace: Workspace, recipe: LoadedRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    first = submit(workspace, recipe, held=True)
    draws = iter([first, first, folder.new_run_id()[:6] + "zz"])
    monkeypatch.setattr(queue, "new_run_id", lambda: next(draws))
    second = submit(workspace, recipe, held=True)
    assert second.endswith("zz")
    assert next(draws, None) is None
    monkeypatch.setattr(queue, "new_run_id", lambda: first)
    with pytest.raises(WorkspaceError, match="run id"):
        submit(workspace, recipe, held=True)


def test_the_queue_is_reordered(workspace: Workspace, recipe: LoadedRecipe) -> None:
    one, two, three = (submit(workspace, recipe, held=True) for _ in range(3))
    move(workspace, three, before=one)
    move(workspace, one)
    with open_reader(workspace) as reader:
        assert [run.run_id for run in reader.queue(with_held=True)] == [three, two, one]
    cancel(workspace, two)
    assert read_run(workspace, two).outcome is Outcome.STOPPED
    with pytest.raises(RunError, match=r"can't be cancelled: it has finished \(stopped\)"):
        cancel(workspace, two)
    with pytest.raises(RunError, match="moved in the queue"):
        move(workspace, one, before=two)


def test_labels_are_written_and_checked(workspace: Workspace, recipe: LoadedRecipe) -> None:
    run_id = submit(workspace, recipe, held=True)
    labels.rename(workspace, run_id, " another \n name ")
    labels.note(workspace, run_id, "first\nsecond")
    labels.tag(workspace, run_id, "good")
    labels.tag(workspace, run_id, "bad")
    labels.untag(workspace, run_id, "bad")
    run = read_run(workspace, run_id)
    assert (run.name, run.note, run.tags) == ("another name", "first\nsecond", ("good",))
    for name in ("", " \n", "x" * 201):
        with pytest.raises(UsageError):
            labels.rename(workspace, run_id, name)
    with pytest.raises(UsageError):
        labels.tag(workspace, run_id, "")


def test_what_is_unknown_or_not_living_cannot_be_asked(workspace: Workspace, recipe: LoadedRecipe) -> None:
    run_id = submit(workspace, recipe, held=True)
    with pytest.raises(RunError, match="is held"):
        ask(workspace, run_id, "save")
    with pytest.raises(UsageError, match="dance"):
        ask(workspace, run_id, "dance")
    with pytest.raises(RunError, match="no run"):
        ask(workspace, "zzzzzzzz", "stop")


def test_a_workspace_that_cannot_be_made_is_said(tmp_path: Path, recipe: LoadedRecipe) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError):
        submit(Workspace(tmp_path / "file"), recipe, held=True)


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_hidden_gpu_is_no_gpu(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert default_device() == "cpu"
