"""Each tracker's files, written by the real library, become the run that was logged."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from core.errors import ForeignFileError, UsageError
from core.importers.foreign import ForeignRun
from core.importers.sources import find_sources, read_source
from core.states import Outcome
from tests.importers.conftest import FIXTURES


def runs_of(path: Path) -> list[ForeignRun]:
    return [run for source in find_sources(path) for run in read_source(source)]


def curve(run: ForeignRun, key: str) -> dict[int, float]:
    return {step.step: step.values[key] for step in run.steps if key in step.values}


def test_tensorboard_files_of_the_real_writer(event_folder: Path) -> None:
    (run,) = runs_of(event_folder)
    assert (run.tracker, run.name, run.outcome) == ("TensorBoard", "a run", Outcome.COMPLETED)
    loss = curve(run, "loss")
    assert len(loss) == 30
    assert math.isnan(loss[7])
    assert loss[30] == pytest.approx(2 / 30)
    assert curve(run, "grad_norm")[9] == math.inf
    assert run.steps[4].epoch == pytest.approx(0.5)
    assert run.steps[4].at == 1_790_000_005
    assert [(each.step, each.set_name, each.role, each.rows) for each in run.evaluations] == [
        (step, "eval", "validation", 16) for step in (10, 20, 30)
    ]
    assert run.evaluations[0].metrics == {"loss": pytest.approx(0.1)}
    assert (run.model, run.max_steps, run.config["learning_rate"]) == ("tiny/llama", 30, 2e-4)
    assert "weights" not in {key for step in run.steps for key in step.values}


def test_trackio_projects_hold_several_runs(trackio_project: Path) -> None:
    first, second = runs_of(trackio_project)
    assert (first.name, second.name, first.tracker) == ("first", "second", "trackio")
    loss = curve(first, "loss")
    assert list(loss) == list(range(5, 101, 5))
    assert math.isnan(loss[35])
    assert loss[100] == 0.1
    assert len(first.evaluations) == 20
    assert first.config == {"learning_rate": 2e-4, "model_name_or_path": "tiny/llama"}
    assert first.source_run != second.source_run


def test_reading_trackio_leaves_no_file_beside_it(trackio_project: Path, tmp_path: Path) -> None:
    shutil.copy(trackio_project, tmp_path / "project.db")
    assert len(runs_of(tmp_path / "project.db")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["project.db"]


def test_a_wandb_offline_run_longer_than_a_block() -> None:
    path = FIXTURES / "run-fixture1.wandb"
    assert path.stat().st_size > 32 * 1024
    (run,) = runs_of(path)
    assert (run.tracker, run.name, run.source_run) == ("W&B", "wandb offline", "fixture/fixture1")
    assert run.outcome is Outcome.COMPLETED
    assert run.remarks == ()
    loss = curve(run, "loss")
    assert list(loss) == list(range(10, 801, 10))
    assert math.isnan(loss[70])
    assert loss[800] == 0.525
    assert curve(run, "grad_norm")[90] == math.inf
    assert [(each.step, each.metrics, each.rows, each.seconds) for each in run.evaluations] == [
        (400, {"loss": 1 / 40}, 32, 2.0),
        (800, {"loss": 1 / 80}, 32, 2.0),
    ]
    assert run.config["nested"] == {"lora_r": 16}
    assert (run.tags, run.note, run.model) == (("kept",), "written by the real library", "tiny/llama")
    assert run.steps[-1].at is not None
    assert run.created_at <= run.steps[0].at  # type: ignore[operator]  # it has times


def test_mlflow_runs_but_not_deleted_ones() -> None:
    first, second = runs_of(FIXTURES / "mlflow.db")
    assert (first.name, first.outcome, second.name, second.outcome) == (
        "first", Outcome.COMPLETED, "second", Outcome.CRASHED,
    )  # fmt: skip
    loss = curve(first, "loss")
    assert list(loss) == list(range(1, 13))
    assert math.isnan(loss[7])
    assert curve(first, "grad_norm")[9] == math.inf
    assert first.evaluations[0].metrics == {"loss": 0.75}
    assert first.steps[5].epoch == 0.5
    assert (first.note, first.model) == ("a note", "tiny/llama")


def test_a_trainer_state_with_two_evaluation_sets(tmp_path: Path) -> None:
    for step in (20, 40):
        (tmp_path / "out" / f"checkpoint-{step}").mkdir(parents=True)
    shutil.copy(FIXTURES / "trainer_state.json", tmp_path / "out" / "checkpoint-40")
    (tmp_path / "out" / "checkpoint-20" / "trainer_state.json").write_text("{}")  # older: not read
    adapter = '{"peft_type": "LORA", "base_model_name_or_path": "tiny/llama"}'
    (tmp_path / "out" / "checkpoint-40" / "adapter_config.json").write_text(adapter)
    (run,) = runs_of(tmp_path)
    assert (run.name, run.model, run.method, run.max_steps) == ("out", "tiny/llama", "lora", 100)
    assert (run.outcome, run.message) == (Outcome.STOPPED, "the log ends at step 40 of 100")
    assert [step.step for step in run.steps] == [10, 20, 30, 40]
    assert math.isnan(run.steps[2].values["loss"])
    assert set(run.steps[0].values) == {"loss", "grad_norm", "learning_rate", "mean_token_accuracy"}
    assert (run.steps[1].epoch, run.steps[1].tokens, run.steps[1].at) == (0.8, 20_000, None)
    assert [(each.step, each.set_name, each.role, each.metrics, each.rows) for each in run.evaluations] == [
        (20, "own", "validation", {"loss": 0.5}, 32), (20, "general_1", "other", {"loss": 0.5}, 32),
        (40, "own", "validation", {"loss": 0.25}, 32), (40, "general_1", "other", {"loss": 0.25}, 32),
    ]  # fmt: skip
    assert run.best == (20, "best_metric", 0.5)


def test_a_training_folder_is_not_read_twice(tmp_path: Path, event_folder: Path) -> None:
    shutil.copy(FIXTURES / "trainer_state.json", tmp_path)
    shutil.copytree(event_folder, tmp_path / "runs" / "today")
    (source,) = find_sources(tmp_path)
    assert source.path.name == "trainer_state.json"
    assert "TensorBoard" in source.remark
    (named,) = runs_of(tmp_path / "runs")
    assert named.tracker == "TensorBoard"


def test_a_folder_gives_all_that_it_holds(tmp_path: Path, event_folder: Path, trackio_project: Path) -> None:
    shutil.copytree(event_folder, tmp_path / "a")
    shutil.copy(trackio_project, tmp_path / "b.db")
    shutil.copytree(FIXTURES, tmp_path / "c")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing")
    found = runs_of(tmp_path)
    assert sorted(run.tracker for run in found) == [
        "Hugging Face Trainer", "MLflow", "MLflow", "TensorBoard", "W&B", "trackio", "trackio",
    ]  # fmt: skip


def test_what_is_not_there_or_not_known_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no"):
        find_sources(tmp_path / "absent")
    with pytest.raises(ForeignFileError, match="nothing in") as raised:
        find_sources(tmp_path)
    assert "W&B" in raised.value.why
    (tmp_path / "some.txt").write_text("hello")
    with pytest.raises(ForeignFileError, match="nothing in"):
        find_sources(tmp_path / "some.txt")
