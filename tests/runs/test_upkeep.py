"""fsck names exactly what is missing or altered; gc and rm delete what they showed, and nothing behind a link."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from core.errors import RunError
from core.events import CheckpointPinned, Held, Moved, Removed, StepLogged, decode_line
from core.locks import FileLock
from core.paths import RunPaths, Workspace
from core.runs import checkpoints
from core.runs.journal import decide
from core.runs.spool import Spool
from core.runs.upkeep import FsckReport, fsck, gc, gc_plan, remove, remove_plan
from core.store import ingest_once, open_reader
from tests.runs.past_run import everything_below, finished_run, queue_run, recipe, save_checkpoint, say


def told(report: FsckReport) -> set[tuple[str, str]]:
    return {(finding.problem, finding.path) for finding in report.findings}


def in_run(paths: RunPaths, *names: str) -> set[str]:
    return {f"runs/{paths.run_id}/{name}" for name in names}


# --- fsck


def test_a_whole_workspace_has_no_findings(workspace: Workspace) -> None:
    assert fsck(workspace).findings == ()
    finished_run(workspace)
    finished_run(workspace, steps=(5,))
    queue_run(workspace)
    report = fsck(workspace)
    assert report.findings == ()
    assert (report.runs, report.checkpoints, report.is_whole) == (3, 4, True)


FILES = ("job.json", "recipe.yaml", "environment.json", "events.jsonl", "supervisor.jsonl", "worker.log")


def test_every_subset_of_deleted_files_is_told_exactly(workspace: Workspace) -> None:
    paths = finished_run(workspace, steps=(10,))
    other = finished_run(workspace, steps=(7,))
    kept = workspace.root / "kept"
    shutil.copytree(paths.folder, kept)
    things = (*FILES, "checkpoints/step-000010")
    tried = 0
    for count in range(1, len(things) + 1):
        for subset in itertools.combinations(things, count):
            for name in subset:
                target = paths.folder / name
                shutil.rmtree(target) if target.is_dir() else target.unlink()
            report = fsck(workspace)
            assert told(report) == {("missing", path) for path in in_run(paths, *subset)}, subset
            assert not report.is_whole
            assert not [finding for finding in report.findings if finding.run_id == other.run_id]
            shutil.rmtree(paths.folder)
            shutil.copytree(kept, paths.folder)
            tried += 1
    assert tried == 2 ** len(things) - 1
    assert fsck(workspace).findings == ()


def test_without_database_the_files_tell_on_each_other(workspace: Workspace) -> None:
    paths = finished_run(workspace, steps=(10,))
    workspace.database.unlink()
    for name in FILES:
        content = (paths.folder / name).read_bytes()
        (paths.folder / name).unlink()
        assert told(fsck(workspace)) == {
            ("missing", "experiments.db"),
            *(("missing", path) for path in in_run(paths, name)),
        }
        (paths.folder / name).write_bytes(content)


def test_a_missing_run_folder_is_told(workspace: Workspace) -> None:
    paths = finished_run(workspace)
    shutil.rmtree(paths.folder)
    assert told(fsck(workspace)) == {("missing", f"runs/{paths.run_id}")}


def test_a_run_that_could_not_start_misses_nothing(workspace: Workspace) -> None:
    paths = queue_run(workspace)
    with Spool.open(paths.supervisor, attempt=1) as supervisor:
        supervisor.append(Moved(from_state="queued", to_state="starting", journal_seq=1))
        supervisor.append(Moved(from_state="starting", to_state="finished", journal_seq=1, outcome="could_not_start"))
    ingest_once(workspace)
    assert fsck(workspace).findings == ()
    paths.supervisor.unlink()
    assert told(fsck(workspace)) == {("missing", path) for path in in_run(paths, "supervisor.jsonl")}


def test_altered_files_are_told(workspace: Workspace) -> None:
    paths = finished_run(workspace, steps=(10, 20))
    paths.recipe.write_text(paths.recipe.read_text().replace("seed: 42", "seed: 43"))
    weights = paths.checkpoint(20) / "model.safetensors"
    weights.write_bytes(b"W" + weights.read_bytes()[1:])
    report = fsck(workspace)
    assert told(report) == {("altered", path) for path in in_run(paths, "recipe.yaml", "checkpoints/step-000020")}
    assert told(fsck(workspace, deep=False)) == {("altered", path) for path in in_run(paths, "recipe.yaml")}
    paths.job.write_text("{}")
    paths.recipe.write_text("name: [")
    assert ("altered", f"runs/{paths.run_id}/job.json") in told(fsck(workspace))
    assert ("altered", f"runs/{paths.run_id}/recipe.yaml") in told(fsck(workspace))


def test_a_checkpoint_that_was_swapped_for_another_is_told(workspace: Workspace) -> None:
    paths = finished_run(workspace, steps=(10, 20))
    shutil.rmtree(paths.checkpoint(20))
    save_checkpoint(paths, 20)  # whole, but made at another time: its manifest is another one
    manifest = checkpoints.verify(paths.checkpoint(20))
    assert manifest.step == 20
    assert told(fsck(workspace)) == {("altered", path) for path in in_run(paths, "checkpoints/step-000020")}


def test_damaged_lines_and_gaps_are_told_with_their_numbers(workspace: Workspace) -> None:
    paths = finished_run(workspace, steps=(10, 20))
    whole = paths.events.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 6
    lines[1] = b"x" + lines[1][1:]
    paths.events.write_bytes(b"".join(lines))
    (finding,) = fsck(workspace).findings
    assert "1 damaged line (2)" in finding.message
    paths.events.write_bytes(b"".join([lines[0], *lines[3:]]))
    assert any("no line with number 2 to 3" in finding.message for finding in fsck(workspace).findings)
    paths.events.write_bytes(whole + b"12345678 {to")
    (finding,) = fsck(workspace).findings
    assert "unfinished last line of 12 bytes" in finding.message
    with FileLock(paths.lock) as lock:  # its writer lives: the line is being written
        assert lock.try_acquire()
        assert fsck(workspace).findings == ()


def test_a_lost_or_cut_journal_is_told(workspace: Workspace) -> None:
    finished_run(workspace)
    finished_run(workspace)
    content = workspace.journal.read_bytes()
    workspace.journal.write_bytes(content.splitlines(keepends=True)[0])
    (finding,) = fsck(workspace).findings
    assert (finding.problem, finding.path) == ("damaged", "journal.jsonl")
    assert "ends at line 1" in finding.message
    workspace.journal.unlink()
    assert ("missing", "journal.jsonl") in told(fsck(workspace))


def test_leftovers_and_foreign_things_are_told_and_cost_no_wholeness(workspace: Workspace, tmp_path: Path) -> None:
    paths = finished_run(workspace)
    checkpoints.stage(paths, 40)
    save_checkpoint(paths, 50)  # published, but killed before it was announced
    (workspace.runs / "notes").mkdir()
    (workspace.trash / "old").mkdir(parents=True, mode=0o700)
    report = fsck(workspace)
    staging = next(path.name for path in paths.checkpoints.iterdir() if path.name.startswith(".staging"))
    assert told(report) == {
        ("left over", f"runs/{paths.run_id}/checkpoints/{staging}"),
        ("left over", f"runs/{paths.run_id}/checkpoints/step-000050"),
        ("foreign", "runs/notes"),
        ("left over", ".finetui/trash/old"),
    }
    assert report.is_whole


def test_a_linked_run_folder_is_told_and_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    paths = finished_run(workspace)
    paths.folder.rename(tmp_path / "elsewhere")
    paths.folder.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "events.jsonl").unlink()
    assert told(fsck(workspace)) == {("foreign", f"runs/{paths.run_id}")}


def test_what_others_can_reach_is_told(workspace: Workspace) -> None:
    paths = finished_run(workspace)
    paths.events.chmod(0o644)
    assert fsck(workspace).findings == ()  # its folder is private
    workspace.runs.chmod(0o755)
    assert told(fsck(workspace)) == {("not private", "runs")}
    paths.folder.chmod(0o755)
    folder = f"runs/{paths.run_id}"
    assert told(fsck(workspace)) == {("not private", path) for path in ("runs", folder, f"{folder}/events.jsonl")}


def test_a_damaged_database_is_told(workspace: Workspace) -> None:
    finished_run(workspace)
    workspace.database.write_bytes(b"not a database" * 500)
    report = fsck(workspace)
    assert ("damaged", "experiments.db") in told(report)


# --- gc


def test_gc_deletes_exactly_what_it_showed_and_journals_it(workspace: Workspace) -> None:
    paths = finished_run(workspace, steps=(10, 20, 30, 40, 50, 60))
    decide(workspace, CheckpointPinned(run_id=paths.run_id, step=10))
    keep = recipe().checkpoints.keep
    plan = gc_plan(workspace)
    assert [item.step for item in plan.items] == [20]  # 10 is pinned, 60 the last, and three more are kept
    assert keep == 3
    before = everything_below(paths.folder)
    report = gc(workspace, plan)
    after = everything_below(paths.folder)
    gone = {name for name in before if name not in after}
    assert gone == {"checkpoints/step-000020/MANIFEST.json", "checkpoints/step-000020/model.safetensors"}
    assert report.bytes == plan.bytes == sum(len(before[name]) for name in gone)
    assert report.failed == ()
    with open_reader(workspace) as reader:
        removed = [row.step for row in reader.checkpoints(paths.run_id, with_removed=True) if row.removed]
    assert removed == [20]
    assert fsck(workspace).findings == ()
    assert gc_plan(workspace).items == ()


def test_gc_with_another_keep_still_keeps_the_last_valid(workspace: Workspace) -> None:
    paths = finished_run(workspace, steps=(10, 20, 30))
    weights = paths.checkpoint(30) / "model.safetensors"
    weights.write_bytes(b"W" + weights.read_bytes()[1:])
    gc(workspace, gc_plan(workspace, keep=0))
    newest = checkpoints.newest_valid(paths)
    assert newest is not None and newest.step == 20
    assert not paths.checkpoint(10).exists()


def test_gc_sweeps_leftovers_trash_and_folders_of_removed_runs(workspace: Workspace) -> None:
    paths = finished_run(workspace, steps=(10,))
    gone = finished_run(workspace, steps=(10,))
    decide(workspace, Removed(run_id=gone.run_id, bytes=0))  # and then the process was killed
    (checkpoints.stage(paths, 40) / "half").write_bytes(b"x" * 100)
    (workspace.trash / "old").mkdir(parents=True, mode=0o700)
    (workspace.trash / "old" / "file").write_bytes(b"x" * 50)
    plan = gc_plan(workspace)
    assert sorted(item.kind for item in plan.items) == ["leftover", "removed run", "trash"]
    assert gc(workspace, plan).failed == ()
    assert not gone.folder.exists()
    assert list(workspace.trash.iterdir()) == []
    assert [path.name for path in paths.checkpoints.iterdir()] == ["step-000010"]
    assert fsck(workspace).findings == ()


def test_gc_leaves_living_runs_alone(workspace: Workspace) -> None:
    paths = finished_run(workspace, steps=(10, 20, 30, 40, 50, 60))
    checkpoints.stage(paths, 70)
    plan = gc_plan(workspace)
    assert {item.kind for item in plan.items} == {"checkpoint", "leftover"}
    before = everything_below(paths.folder)
    with FileLock(paths.lock) as lock:
        assert lock.try_acquire()
        assert gc_plan(workspace).items == ()
        report = gc(workspace, plan)  # it came to life after the plan was shown
    assert report.removed == ()
    assert len(report.failed) == len(plan.items)
    assert {**everything_below(paths.folder), "worker.lock": b""} == {**before, "worker.lock": b""}


def test_gc_keeps_what_an_unfinished_job_needs(workspace: Workspace) -> None:
    paths = finished_run(workspace, steps=(10, 20, 30, 40, 50, 60))
    queue_run(workspace, resumed_from=f"{paths.run_id}@20")
    queue_run(workspace, kind="evaluate", targets=[f"{paths.run_id}@10", f"{paths.run_id}@base"])
    assert [item.step for item in gc_plan(workspace, keep=0).items] == [30, 40, 50]


def test_gc_does_not_judge_a_run_that_the_store_does_not_know_well(workspace: Workspace) -> None:
    paths = finished_run(workspace, steps=(10, 20, 30, 40, 50, 60))
    paths.recipe.unlink()
    plan = gc_plan(workspace)
    assert plan.items == ()
    assert plan.skipped == (f"{paths.run_id} has no readable recipe",)


# --- rm


def test_a_removed_run_is_gone_for_good(workspace: Workspace) -> None:
    paths = finished_run(workspace)
    other = finished_run(workspace)
    size = sum(len(content) for content in everything_below(paths.folder).values())
    plan = remove_plan(workspace, [paths.run_id])
    assert [(item.run_id, item.name) for item in plan.runs] == [(paths.run_id, "past")]
    assert plan.bytes == size
    assert remove(workspace, plan) == size
    assert not paths.folder.exists()
    assert list(workspace.trash.iterdir()) == []
    last = decode_line(workspace.journal.read_bytes().splitlines()[-1]).event
    assert isinstance(last, Removed) and last.run_id == paths.run_id
    workspace.database.unlink()  # a rebuild from the same lines
    ingest_once(workspace)
    with open_reader(workspace) as reader:
        assert [row.run_id for row in reader.runs(kind=None)] == [other.run_id]
    assert fsck(workspace).findings == ()


def test_removal_that_was_interrupted_does_not_resurrect_and_gc_finishes_it(workspace: Workspace) -> None:
    paths = finished_run(workspace)
    decide(workspace, Removed(run_id=paths.run_id, bytes=1))
    workspace.database.unlink()
    ingest_once(workspace)
    with open_reader(workspace) as reader:
        assert reader.runs(kind=None) == ()
    assert told(fsck(workspace)) == {("left over", f"runs/{paths.run_id}")}
    gc(workspace, gc_plan(workspace))
    assert not paths.folder.exists()


def test_only_runs_at_rest_are_removed(workspace: Workspace) -> None:
    queued = queue_run(workspace)
    with pytest.raises(RunError, match="is queued"):
        remove_plan(workspace, [queued.run_id])
    decide(workspace, Held(run_id=queued.run_id))
    assert remove_plan(workspace, [queued.run_id]).runs[0].run_id == queued.run_id

    running = queue_run(workspace)
    with Spool.open(running.supervisor, attempt=1) as supervisor:
        seq = len(workspace.journal.read_bytes().splitlines())
        supervisor.append(Moved(from_state="queued", to_state="starting", journal_seq=seq))
    with pytest.raises(RunError, match="is starting"):
        remove_plan(workspace, [running.run_id])

    finished = finished_run(workspace)
    plan = remove_plan(workspace, [finished.run_id])
    with FileLock(finished.lock) as lock:
        assert lock.try_acquire()
        with pytest.raises(RunError):
            remove(workspace, plan)
    assert finished.events.exists()
    with pytest.raises(RunError, match="no run"):
        remove_plan(workspace, ["zzzzzzzz"])


def test_a_run_that_an_unfinished_job_needs_is_not_removed(workspace: Workspace) -> None:
    paths = finished_run(workspace)
    job = queue_run(workspace, kind="evaluate", targets=[f"{paths.run_id}@base"])
    with pytest.raises(RunError, match="needs run"):
        remove_plan(workspace, [paths.run_id])
    decide(workspace, Held(run_id=job.run_id))
    with pytest.raises(RunError, match="needs run"):
        remove_plan(workspace, [paths.run_id])
    assert len(remove_plan(workspace, [paths.run_id, job.run_id]).runs) == 2


def test_nothing_behind_a_link_is_deleted(workspace: Workspace, tmp_path: Path) -> None:
    paths = finished_run(workspace)
    elsewhere = tmp_path / "elsewhere"
    paths.folder.rename(elsewhere)
    paths.folder.symlink_to(elsewhere, target_is_directory=True)
    before = everything_below(elsewhere)
    with pytest.raises(RunError, match="symbolic link"):
        remove_plan(workspace, [paths.run_id])
    decide(workspace, Removed(run_id=paths.run_id, bytes=0))
    gc(workspace, gc_plan(workspace))
    assert everything_below(elsewhere) == before
    assert len(before) > 8

    paths.folder.unlink()
    inside = finished_run(workspace)
    (inside.folder / "checkpoints" / "link").symlink_to(elsewhere, target_is_directory=True)
    remove(workspace, remove_plan(workspace, [inside.run_id]))
    assert not inside.folder.exists()
    assert everything_below(elsewhere) == before


def test_a_run_whose_folder_was_deleted_by_hand_can_be_removed(workspace: Workspace) -> None:
    paths = finished_run(workspace)
    shutil.rmtree(paths.folder)
    assert remove(workspace, remove_plan(workspace, [paths.run_id])) == 0
    assert fsck(workspace).findings == ()


def test_a_line_that_was_added_changes_nothing(workspace: Workspace) -> None:
    paths = finished_run(workspace)
    say(paths, StepLogged(step=31, values={"loss": 0.1}))  # not ingested yet
    assert fsck(workspace).findings == ()
