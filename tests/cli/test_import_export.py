"""`finetui import` and `finetui export` as a person uses them, each in a process of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

from core.importers.records import write_tfrecord
from core.importers.wire import write_bytes
from core.paths import Workspace
from tests.cli.conftest import Finetui

FIXTURES = Path(__file__).resolve().parents[1] / "importers" / "fixtures"


def ids(stdout: str) -> list[str]:
    return stdout.split()


def test_a_folder_becomes_runs_that_every_command_knows(finetui: Finetui, workspace: Workspace) -> None:
    said = finetui("import", str(FIXTURES / "run-fixture1.wandb"), str(FIXTURES / "mlflow.db"), "--tag", "old")
    assert said.status == 0
    run_ids = ids(said.stdout)
    assert len(run_ids) == 3
    assert "wandb offline (W&B, steps: 80, evaluations: 2)" in said.stderr
    listed = cast("list[dict[str, object]]", finetui("ls", "--json").document)
    assert {(run["name"], run["state"], run["outcome"]) for run in listed} == {
        ("wandb offline", "finished", "completed"), ("first", "finished", "completed"),
        ("second", "finished", "crashed"),
    }  # fmt: skip
    shown = finetui("show", "wandb offline")
    assert "imported from W&B" in shown.stdout
    assert "learning_rate: 0.0002" in shown.stdout
    assert "note:" not in shown.stderr
    document = cast("dict[str, object]", finetui("show", "wandb offline", "--json").document)
    assert (document["recipe"], document["tags"]) == (None, ["kept", "old"])
    curve = cast("dict[str, dict[str, object]]", finetui("metrics", "wandb offline", "loss", "--json").document)["loss"]
    assert curve["nonfinite"] == {"70": "nan"}
    resumed = finetui("resume", "second")
    assert resumed.status == 1
    assert "imported" in resumed.stderr
    assert finetui("fsck").status == 0
    before = finetui("ls", "--json").stdout
    assert finetui("rebuild").status == 0
    assert finetui("ls", "--json").stdout == before


def test_again_changes_nothing_and_says_so(finetui: Finetui, workspace: Workspace) -> None:
    first = finetui("import", str(FIXTURES), "--json")
    assert first.status == 0
    again = finetui("import", str(FIXTURES), "--json")
    assert again.status == 0
    runs = [cast("dict[str, list[dict[str, object]]]", said.document)["runs"] for said in (first, again)]
    assert [run["id"] for run in runs[0]] == [run["id"] for run in runs[1]]
    assert [run["new"] for run in runs[0]] == [True] * len(runs[0])
    assert [run["new"] for run in runs[1]] == [False] * len(runs[0])
    assert again.stderr.count("nothing was changed") == len(runs[0]) == 4


def test_what_can_not_be_read_is_said_and_the_rest_imported(
    finetui: Finetui, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "broken.wandb").write_bytes(b"\x1b]52;c;AAAA\x07" * 20)
    shutil.copy(FIXTURES / "run-fixture1.wandb", tmp_path / "whole.wandb")
    said = finetui("import", str(tmp_path / "broken.wandb"), str(tmp_path / "whole.wandb"), "--json")
    assert said.status == 1
    assert "broken.wandb is damaged" in said.stderr
    document = cast("dict[str, list[dict[str, object]]]", said.document)
    assert len(document["runs"]) == len(document["failed"]) == 1
    assert "\x1b" not in said.stderr + said.stdout


def test_a_name_is_for_one_run(finetui: Finetui, workspace: Workspace) -> None:
    refused = finetui("import", str(FIXTURES / "mlflow.db"), "--name", "mine")
    assert refused.status == 2
    assert "2 were found" in refused.stderr
    assert not workspace.runs.exists()
    assert finetui("import", str(FIXTURES / "run-fixture1.wandb"), "--name", "mine").status == 0
    assert finetui("show", "mine").status == 0
    assert finetui("import", str(FIXTURES / "absent")).status == 2
    assert finetui("import", str(Path(__file__))).status == 1


def test_files_without_a_value_are_a_note_in_a_folder_and_an_error_alone(
    finetui: Finetui, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "hparams").mkdir()
    empty = tmp_path / "hparams" / "events.out.tfevents.1"
    empty.write_bytes(write_tfrecord(write_bytes(3, b"brain.Event:2")))
    shutil.copy(FIXTURES / "run-fixture1.wandb", tmp_path)
    said = finetui("import", str(tmp_path))
    assert (said.status, len(ids(said.stdout))) == (0, 1)
    assert "nothing was recorded in it" in said.stderr
    alone = finetui("import", str(empty))
    assert (alone.status, alone.stdout) == (1, "")
    assert "holds no run" in alone.stderr


def test_export_writes_each_format_and_overwrites_nothing(
    finetui: Finetui, workspace: Workspace, tmp_path: Path
) -> None:
    finetui("import", str(FIXTURES / "run-fixture1.wandb"), "--name", "mine")
    for name in ("csv", "parquet", "tensorboard"):
        target = tmp_path / f"out.{name}"
        words = ("export", "mine", "--format", name, "--output", str(target))
        said = finetui(*words)
        assert (said.status, said.stdout.strip()) == (0, str(target))
        assert target.exists()
        refused = finetui(*words)
        assert refused.status == 2
        assert "--force" in refused.stderr
        document = cast("dict[str, object]", finetui(*words, "--force", "--json").document)
        assert document["points"] == 80 * 3 + 2
    assert finetui("export", "absent").status == 1
    assert finetui("export", "mine", "--format", "xlsx").status == 2
    again = finetui("import", str(tmp_path / "out.tensorboard"))
    assert "steps: 80, evaluations: 2" in again.stderr
