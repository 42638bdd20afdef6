"""An imported run is an ordinary finished run: rebuilt identically, never started, never imported twice."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import RunError, WorkspaceError
from core.importers.foreign import ForeignEvaluation, ForeignRun, ForeignStep
from core.paths import Workspace
from core.runs import labels, queue
from core.runs.imports import content_sha256, import_runs
from core.runs.launch import supervisor_lives
from core.runs.recording import load_recording
from core.runs.replay import play
from core.runs.upkeep import fsck, gc_plan, remove, remove_plan
from core.states import Outcome, State
from core.store.content import natural_content
from core.store.reader import open_reader
from core.store.rebuild import rebuild
from tests.conftest import wait_until

RECORDED = Path(__file__).resolve().parents[1] / "data" / "recorded-run"
BEGAN = 1_790_000_000.0


def foreign(name: str = "theirs", **changes: object) -> ForeignRun:
    """A small run of another tracker with all that one can have."""
    steps = tuple(
        ForeignStep(step=step, at=BEGAN + step, values={"loss": math.nan if step == 3 else 1 / step}, epoch=step / 5)
        for step in range(1, 11)
    )
    evaluation = ForeignEvaluation(
        step=10, at=BEGAN + 10.5, set_name="eval", role="validation", metrics={"loss": 0.25}, rows=8, seconds=1.5
    )
    run = ForeignRun(
        tracker="W&B", source="a/run-1.wandb", source_run="project/1", name=name, created_at=BEGAN,
        ended_at=BEGAN + 11, outcome=Outcome.COMPLETED, steps=steps, evaluations=(evaluation,),
        config={"learning_rate": 1e-4, "hub_token": "hf_abcdefghijklmnopqrstuv", "nested": {"api_key": "0123456789"}},
        totals={"train_seconds": 11.0}, model="tiny/llama", method="lora", max_steps=10, best=(10, "loss", 0.25),
        tags=("theirs",), note="a note",
    )  # fmt: skip
    return replace(run, **changes)  # type: ignore[arg-type]  # each test names its own field


def content_of(workspace: Workspace) -> object:
    connection = sqlite3.connect(workspace.database)
    try:
        return natural_content(connection)
    finally:
        connection.close()


def test_it_reads_like_a_run_of_ours(workspace: Workspace) -> None:
    (imported,) = import_runs(workspace, [foreign()], tags=["mine"])
    assert imported.is_new
    with open_reader(workspace) as reader:
        run = reader.run(imported.run_id)
        assert (run.state, run.outcome, run.kind, run.imported) == (State.FINISHED, Outcome.COMPLETED, "train", True)
        assert (run.name, run.model, run.method, run.step, run.max_steps) == ("theirs", "tiny/llama", "lora", 10, 10)
        assert (run.loss, run.eval_loss, run.best_step, run.created_at) == (0.1, 0.25, 10, BEGAN)
        assert (run.tags, run.note) == (("mine", "theirs"), "a note")
        series = reader.series(imported.run_id, "loss")
        assert series.steps == list(range(1, 11))
        assert math.isnan(series.values[2])
        axis = reader.axis(imported.run_id)
        assert (axis.at[4], axis.epochs[4], axis.elapsed_seconds[4]) == (BEGAN + 5, 1.0, 5.0)
        (evaluation,) = reader.evaluations(imported.run_id)
        assert (evaluation.metrics, evaluation.rows, evaluation.seconds) == ({"loss": 0.25}, 8, 1.5)
        assert [row.to_state for row in reader.transitions(imported.run_id)] == ["starting", "running", "finished"]


def test_a_rebuild_makes_the_same_rows(workspace: Workspace) -> None:
    import_runs(workspace, [foreign(), foreign("other", source_run="project/2", outcome=Outcome.CRASHED)])
    labels.rename(workspace, _ids(workspace)[0], "renamed")
    before = content_of(workspace)
    rebuild(workspace)
    assert content_of(workspace) == before


def _ids(workspace: Workspace) -> list[str]:
    with open_reader(workspace) as reader:
        return [row.run_id for row in reader.runs(kind=None)]


def test_the_same_is_not_imported_twice(workspace: Workspace) -> None:
    (first,) = import_runs(workspace, [foreign()])
    before = {path: path.read_bytes() for path in workspace.runs.rglob("*") if path.is_file()}
    (again,) = import_runs(workspace, [foreign(source="elsewhere/copy.wandb")], name="other")
    assert (again.run_id, again.is_new) == (first.run_id, False)
    assert {path: path.read_bytes() for path in workspace.runs.rglob("*") if path.is_file()} == before
    assert len(_ids(workspace)) == 1


def test_of_two_equal_runs_in_one_call_one_is_imported(workspace: Workspace) -> None:
    first, second = import_runs(workspace, [foreign(), foreign()])
    assert (second.run_id, second.is_new) == (first.run_id, False)


def test_a_run_that_went_on_is_imported_anew_and_its_earlier_state_named(workspace: Workspace) -> None:
    begun = foreign()
    (first,) = import_runs(workspace, [replace(begun, steps=begun.steps[:5], outcome=Outcome.LOST)])
    (second,) = import_runs(workspace, [begun])
    assert second.is_new
    assert second.earlier == first.run_id


def test_a_removed_run_can_be_imported_again(workspace: Workspace) -> None:
    (first,) = import_runs(workspace, [foreign()])
    remove(workspace, remove_plan(workspace, [first.run_id]))
    (second,) = import_runs(workspace, [foreign()])
    assert second.is_new
    assert _ids(workspace) == [second.run_id]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_nothing_starts_it(workspace: Workspace, outcome: Outcome) -> None:
    (imported,) = import_runs(workspace, [foreign(outcome=outcome)])
    with pytest.raises(RunError, match="can't be"):
        queue.resume(workspace, imported.run_id)
    with pytest.raises(RunError):
        queue.release(workspace, imported.run_id)
    with open_reader(workspace) as reader:
        assert reader.run(imported.run_id).outcome is outcome
        assert reader.queue(with_held=True) == ()
    assert not supervisor_lives(workspace)


def test_the_workspace_is_whole_and_nothing_can_be_collected(workspace: Workspace) -> None:
    import_runs(workspace, [foreign()])
    assert fsck(workspace).findings == ()
    plan = gc_plan(workspace)
    assert (plan.items, plan.skipped) == ((), ())


def test_secrets_do_not_enter(workspace: Workspace) -> None:
    (imported,) = import_runs(workspace, [foreign(note="use hf_abcdefghijklmnopqrstuv")])
    found = [path for path in workspace.root.rglob("*") if path.is_file()]
    assert len(found) > 5
    for path in found:
        content = path.read_bytes()
        assert b"hf_abcdefgh" not in content
        assert b"0123456789" not in content
    with open_reader(workspace) as reader:
        config = (reader.environment(imported.run_id) or {})["config"]
    assert isinstance(config, dict)
    assert config["learning_rate"] == 1e-4


def test_hostile_names_stay_labels(workspace: Workspace) -> None:
    names = ["../../x", "/etc/passwd", "a\0b", "n" * 5000, "-rf", "\x1b]52;c;AAAA\x07", "\udfff", "  \n ", "🎉"]
    runs = [foreign(name, source_run=f"p/{index}", tags=("\x00", "t" * 500, "")) for index, name in enumerate(names)]
    done = import_runs(workspace, runs)
    assert len({each.run_id for each in done}) == len(names)
    assert sorted(path.name for path in workspace.runs.iterdir()) == sorted(each.run_id for each in done)
    rebuild(workspace)
    assert len(_ids(workspace)) == len(names)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_workspace_that_can_not_be_written(workspace: Workspace) -> None:
    workspace.root.chmod(0o500)
    with pytest.raises(WorkspaceError):
        import_runs(workspace, [foreign()])
    workspace.root.chmod(0o700)


def test_a_folder_is_whole_or_not_there(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("core.runs.imports.Spool.append_all", full)
        with pytest.raises(WorkspaceError, match="No space"):
            import_runs(workspace, [foreign()])
    assert list(workspace.runs.iterdir()) == []
    assert import_runs(workspace, [foreign()])[0].is_new


def test_a_copied_folder_is_known_in_another_workspace(workspace: Workspace, tmp_path: Path) -> None:
    (imported,) = import_runs(workspace, [foreign()])
    other = Workspace(tmp_path / "other")
    other.runs.mkdir(parents=True)
    shutil.copytree(workspace.run(imported.run_id).folder, other.run(imported.run_id).folder)
    (again,) = import_runs(other, [foreign()])
    assert (again.run_id, again.is_new) == (imported.run_id, False)


def test_the_checksum_is_of_the_content() -> None:
    run = foreign()
    same = replace(run, source="x", name="y", created_at=1.0, remarks=("z",))
    assert content_sha256(run) == content_sha256(same)
    steps = (*run.steps[:-1], replace(run.steps[-1], values={"loss": 0.100001}))
    assert content_sha256(run) != content_sha256(replace(run, steps=steps))


def test_whoever_ingests_takes_it_in(workspace: Workspace) -> None:
    """Beside a living supervisor (here one that plays a recording) an import only writes its folder and waits."""
    player = threading.Thread(target=play, args=(workspace, [load_recording(RECORDED)]), kwargs={"speed": 150})
    player.start()
    wait_until(lambda: supervisor_lives(workspace) and _ids(workspace), "a played run")
    (imported,) = import_runs(workspace, [foreign()], tags=["mine"])
    assert player.is_alive()
    with open_reader(workspace) as reader:
        run = reader.run(imported.run_id)
        assert (run.state, run.tags, len(reader.series(run.run_id, "loss").steps)) == (
            State.FINISHED, ("mine", "theirs"), 10,
        )  # fmt: skip
    player.join()


def test_two_imports_at_once_make_one_run(workspace: Workspace) -> None:
    program = (
        "import sys; from pathlib import Path; from core.paths import Workspace;"
        "from core.importers.sources import find_sources, read_source; from core.runs.imports import import_runs;"
        "runs = read_source(find_sources(Path(sys.argv[1]))[0]);"
        "print(import_runs(Workspace(Path(sys.argv[2])), runs)[0].run_id)"
    )
    source = RECORDED.parents[1] / "importers" / "fixtures" / "run-fixture1.wandb"
    command = [sys.executable, "-c", program, str(source), str(workspace.root)]
    environment = {**os.environ, "PYTHONPATH": str(RECORDED.parents[2])}
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    said = {each.communicate(timeout=60)[0] for each in both}
    assert [each.returncode for each in both] == [0, 0]
    assert len(said) == 1
    assert len(_ids(workspace)) == 1
