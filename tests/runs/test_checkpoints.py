"""Checkpoints: published whole or not at all, proved byte by byte, deleted by step and only where they are ours."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import CheckpointError, WorkspaceError
from core.paths import RunPaths, Workspace
from core.runs import checkpoints
from core.runs.checkpoints import Published

RUN_ID = "abcd1234"
RECIPE = "0" * 64


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    paths = Workspace(tmp_path).run(RUN_ID)
    paths.folder.mkdir(parents=True)
    return paths


def save(run: RunPaths, step: int, *, content: bytes = b"weights", recipe: str = RECIPE) -> Published:
    staging = checkpoints.stage(run, step)
    (staging / "adapter.safetensors").write_bytes(content)
    (staging / "state").mkdir()
    (staging / "state" / "optimizer.pt").write_bytes(b"momentum" * 9)
    return checkpoints.publish(
        staging, step=step, run_id=run.run_id, recipe_sha256=recipe, extra={"dtypes": {"lora": "float32"}, "loss": 1.5}
    )


def steps(run: RunPaths) -> list[int]:
    return [manifest.step for manifest in checkpoints.list_checkpoints(run)]


def test_a_published_checkpoint_is_proved_and_described(run: RunPaths) -> None:
    published = save(run, 120)
    assert published.folder == run.checkpoint(120)
    manifest = checkpoints.verify(published.folder)
    assert (manifest.step, manifest.run_id, manifest.recipe_sha256) == (120, RUN_ID, RECIPE)
    assert [file.name for file in manifest.files] == ["adapter.safetensors", "state/optimizer.pt"]
    assert manifest.extra == {"dtypes": {"lora": "float32"}, "loss": 1.5}
    assert (manifest.sha256, manifest.bytes) == (published.manifest_sha256, published.bytes)
    on_disk = [path for path in published.folder.rglob("*") if path.is_file()]
    assert len(on_disk) == 3
    assert published.bytes == sum(path.stat().st_size for path in on_disk)
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-000120"]


def test_a_metric_that_is_not_a_number_does_not_make_it_unsavable(run: RunPaths) -> None:
    staging = checkpoints.stage(run, 1)
    (staging / "a").write_bytes(b"x")
    published = checkpoints.publish(
        staging, step=1, run_id=RUN_ID, recipe_sha256=RECIPE, extra={"m": [float("nan"), {"k": float("inf")}]}
    )
    assert checkpoints.verify(published.folder).extra == {"m": [None, {"k": None}]}


def test_every_flipped_byte_of_every_file_is_found(run: RunPaths) -> None:
    folder = save(run, 10).folder
    flipped = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        original = path.read_bytes()
        for position in range(0, len(original), 7):
            damaged = bytearray(original)
            damaged[position] ^= 0x55
            path.write_bytes(damaged)
            with pytest.raises(CheckpointError):
                checkpoints.verify(folder)
            flipped += 1
        path.write_bytes(original)
    assert flipped > 100
    checkpoints.verify(folder)


@pytest.mark.parametrize("name", ["adapter.safetensors", "state/optimizer.pt", "MANIFEST.json"])
def test_a_missing_or_cut_file_is_named(run: RunPaths, name: str) -> None:
    folder = save(run, 10).folder
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-3])
    with pytest.raises(CheckpointError, match=name):
        checkpoints.verify(folder, deep=False)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        checkpoints.verify(folder, deep=False)
    assert steps(run) == []


def test_a_file_that_was_put_in_is_refused_and_a_hidden_one_is_not(run: RunPaths) -> None:
    folder = save(run, 10).folder
    (folder / ".nfs0001").write_bytes(b"")
    checkpoints.verify(folder)
    (folder / "pytorch_model.bin").write_bytes(b"planted")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin is not in the manifest"):
        checkpoints.verify(folder)


def test_links_are_neither_published_nor_accepted(run: RunPaths, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"weights")
    staging = checkpoints.stage(run, 5)
    (staging / "adapter.safetensors").symlink_to(secret)
    with pytest.raises(CheckpointError, match="regular file"):
        checkpoints.publish(staging, step=5, run_id=RUN_ID, recipe_sha256=RECIPE, extra={})
    assert not staging.exists()

    folder = save(run, 6).folder
    (folder / "adapter.safetensors").unlink()
    (folder / "adapter.safetensors").symlink_to(secret)  # same bytes, but not ours
    with pytest.raises(CheckpointError, match=r"adapter\.safetensors"):
        checkpoints.verify(folder)


def test_a_manifest_can_not_name_a_file_outside(run: RunPaths) -> None:
    from core.runs.manifests import manifest_content

    folder = save(run, 5).folder
    body = json.loads((folder / "MANIFEST.json").read_bytes())
    names = ["../../job.json", "/etc/hostname", "a/../../b", "./a", "a//b", "", "a\0b"]
    for name in names:
        body["files"][0]["name"] = name
        (folder / "MANIFEST.json").write_bytes(manifest_content(body))
        with pytest.raises(CheckpointError, match="outside"):
            checkpoints.verify(folder)


def test_the_newest_valid_one_is_chosen_by_step_and_a_damaged_one_passed_over(run: RunPaths) -> None:
    for step in (100, 300, 200):
        save(run, step)
    os.utime(run.checkpoint(100), (2e9, 2e9))  # a clock that went wrong must not matter
    newest = checkpoints.newest_valid(run)
    assert newest is not None and newest.step == 300
    (run.checkpoint(300) / "adapter.safetensors").write_bytes(b"WEIGHTS")  # same size
    assert steps(run) == [100, 200, 300]  # contents are not read for a list
    newest = checkpoints.newest_valid(run)
    assert newest is not None and newest.step == 200
    assert checkpoints.newest_valid(run, recipe_sha256="f" * 64) is None


def test_another_runs_checkpoint_is_not_listed(run: RunPaths, tmp_path: Path) -> None:
    other = Workspace(tmp_path).run("zzzz9999")
    other.folder.mkdir()
    save(other, 50)
    save(run, 10)
    other.checkpoint(50).rename(run.checkpoint(50))
    assert steps(run) == [10]
    with pytest.raises(CheckpointError, match="zzzz9999"):
        checkpoints.remove_checkpoint(run, 50)
    assert run.checkpoint(50).is_dir()


def test_retention_keeps_last_best_pinned_and_the_newest_others(run: RunPaths) -> None:
    for step in range(10, 110, 10):
        save(run, step)
    for index, step in enumerate(reversed(range(10, 110, 10))):  # mtimes in the wrong order
        os.utime(run.checkpoint(step), (1e9 + index, 1e9 + index))
    assert checkpoints.retain(run, keep=2, best_step=30, pinned={10}) == (20, 40, 50, 60, 70)
    assert steps(run) == [10, 30, 80, 90, 100]
    assert checkpoints.retain(run, keep=0, best_step=None) == (10, 30, 80, 90)
    assert steps(run) == [100]
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-000100"]


def test_deep_retention_keeps_the_last_that_is_really_valid(run: RunPaths) -> None:
    for step in (10, 20, 30):
        save(run, step)
    (run.checkpoint(30) / "adapter.safetensors").write_bytes(b"WEIGHTS")
    assert checkpoints.retain(run, keep=0, best_step=None, deep=True) == (10, 30)
    assert steps(run) == [20]


def test_nothing_is_deleted_where_nothing_is_proved(run: RunPaths) -> None:
    save(run, 10)
    (run.checkpoint(10) / "adapter.safetensors").write_bytes(b"WEIGHTS")
    assert checkpoints.retain(run, keep=0, best_step=None, deep=True) == ()
    assert run.checkpoint(10).is_dir()


def test_only_our_own_folders_are_ever_deleted(run: RunPaths, tmp_path: Path) -> None:
    for step in (10, 20, 30):
        save(run, step)
    elsewhere = tmp_path / "elsewhere"
    run.checkpoint(10).rename(elsewhere)
    run.checkpoint(10).symlink_to(elsewhere, target_is_directory=True)
    (run.checkpoint(20) / "MANIFEST.json").unlink()
    (run.checkpoints / "step-000015-backup").mkdir()
    (run.checkpoints / ".staging-mine").mkdir()
    assert checkpoints.retain(run, keep=0, best_step=None) == ()
    assert checkpoints.sweep_staging(run) == 0
    assert (elsewhere / "adapter.safetensors").read_bytes() == b"weights"
    assert sorted(path.name for path in run.checkpoints.iterdir()) == [
        ".staging-mine", "step-000010", "step-000015-backup", "step-000020", "step-000030",
    ]  # fmt: skip


def test_a_linked_checkpoints_folder_is_refused(run: RunPaths, tmp_path: Path) -> None:
    save(run, 10)
    save(run, 20)
    run.checkpoints.rename(tmp_path / "moved")
    run.checkpoints.symlink_to(tmp_path / "moved", target_is_directory=True)
    assert checkpoints.retain(run, keep=0, best_step=None) == ()
    with pytest.raises(WorkspaceError, match="symbolic link"):
        checkpoints.stage(run, 30)
    assert len(list((tmp_path / "moved").iterdir())) == 2


def test_a_valid_checkpoint_is_never_replaced_and_a_damaged_one_is(run: RunPaths) -> None:
    first = save(run, 10, content=b"first")
    again = save(run, 10, content=b"second")
    assert again == first
    assert (first.folder / "adapter.safetensors").read_bytes() == b"first"
    (first.folder / "adapter.safetensors").write_bytes(b"FIRST")
    third = save(run, 10, content=b"third")
    assert (third.folder / "adapter.safetensors").read_bytes() == b"third"
    assert checkpoints.verify(third.folder).sha256 == third.manifest_sha256


def test_something_that_is_no_checkpoint_is_set_aside_and_not_deleted(run: RunPaths) -> None:
    run.checkpoint(10).mkdir(parents=True)
    (run.checkpoint(10) / "thesis.txt").write_text("mine")
    save(run, 10)
    assert checkpoints.sweep_staging(run) == 0
    (aside,) = [path for path in run.checkpoints.iterdir() if path.name.startswith(".damaged")]
    assert (aside / "thesis.txt").read_text() == "mine"
    assert steps(run) == [10]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    present=st.sets(st.integers(1, 40), min_size=1, max_size=8),
    keep=st.integers(0, 5),
    best=st.none() | st.integers(1, 40),
    pinned=st.sets(st.integers(1, 40), max_size=3),
)
def test_retention_follows_its_rule(
    tmp_path_factory: pytest.TempPathFactory, present: set[int], keep: int, best: int | None, pinned: set[int]
) -> None:
    paths = Workspace(tmp_path_factory.mktemp("retention")).run(RUN_ID)
    paths.folder.mkdir(parents=True)
    for step in present:
        save(paths, step)
    protected = {max(present), *pinned, best} & present
    newest_others = sorted(present - protected)[-keep:] if keep else []
    removed = checkpoints.retain(paths, keep=keep, best_step=best, pinned=pinned)
    assert set(steps(paths)) == protected | set(newest_others)
    assert set(removed) == present - protected - set(newest_others)
    assert checkpoints.retain(paths, keep=keep, best_step=best, pinned=pinned) == ()


def test_an_empty_checkpoint_is_refused(run: RunPaths) -> None:
    with pytest.raises(CheckpointError, match="without files"):
        checkpoints.publish(checkpoints.stage(run, 1), step=1, run_id=RUN_ID, recipe_sha256=RECIPE, extra={})


def test_too_little_space_is_told_in_numbers(tmp_path: Path) -> None:
    checkpoints.ensure_space(tmp_path / "not" / "yet", 1)
    with pytest.raises(WorkspaceError, match=r"8\.0 TiB") as caught:
        checkpoints.ensure_space(tmp_path, 4 * 1024**4)
    assert "finetui gc" in str(caught.value)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from core.errors import WorkspaceError
from core.paths import RunPaths
from core.runs import checkpoints
run, limit = RunPaths(Path(sys.argv[1])), int(sys.argv[2])
staging = checkpoints.stage(run, 20)
(staging / "a").write_bytes(b"x" * 100)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    checkpoints.publish(staging, step=20, run_id=run.run_id, recipe_sha256="0" * 64, extra={"x": "y" * 400})
except WorkspaceError as error:
    print(error.what)
    sys.exit(7)
"""


@pytest.mark.parametrize("limit", [0, 100, 500])
def test_a_disk_that_is_full_while_publishing_leaves_the_older_one(run: RunPaths, limit: int) -> None:
    save(run, 10)
    child = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(run.folder), str(limit)], capture_output=True, text=True, timeout=60
    )
    assert child.returncode == 7, child.stderr
    assert "step 20 could not be saved" in child.stdout
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-000010"]
    checkpoints.verify(run.checkpoint(10))


SAVING_FOREVER = """
import sys
from pathlib import Path
from core.paths import RunPaths
from core.runs import checkpoints
run = RunPaths(Path(sys.argv[1]))
step = max((m.step for m in checkpoints.list_checkpoints(run)), default=0)
checkpoints.sweep_staging(run)
while True:
    step += 1
    staging = checkpoints.stage(run, step)
    for name in ("a", "b", "c"):
        (staging / name).write_bytes(bytes([step % 256]) * 50_000)
    published = checkpoints.publish(staging, step=step, run_id=run.run_id, recipe_sha256="0" * 64, extra={})
    print(step, flush=True)
    checkpoints.retain(run, keep=1, best_step=None)
"""


def test_kills_at_random_moments_leave_only_whole_checkpoints(run: RunPaths) -> None:
    chance = random.Random(7)
    acknowledged = 0
    kills = 12
    for _ in range(kills):
        child = subprocess.Popen(
            [sys.executable, "-c", SAVING_FOREVER, str(run.folder)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        line = child.stdout.readline()
        time.sleep(chance.uniform(0, 0.03))
        child.send_signal(signal.SIGKILL)
        said, _ = child.communicate(timeout=30)
        acknowledged = int((line + said).split()[-1])
        visible = [path for path in run.checkpoints.iterdir() if not path.name.startswith(".")]
        assert visible
        for folder in visible:
            checkpoints.verify(folder)
        newest = checkpoints.newest_valid(run)
        assert newest is not None and newest.step in (acknowledged, acknowledged + 1)
    assert acknowledged >= kills  # each child published at least one
