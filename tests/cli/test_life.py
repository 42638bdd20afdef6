"""Runs through the commands alone: queued, watched, asked, paused, resumed, stopped, scored, removed.

The supervisor and its workers are real processes; the worker is one without torch. A job that needs no device runs
beside all others and keeps that supervisor alive, so that a command never starts one with the real worker.
"""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import pytest

from core.paths import Workspace
from core.runs import launch
from core.states import Outcome, State
from tests.cli.conftest import Finetui, Json
from tests.process.conftest import Site, write_recipe

ENDLESS = 100_000
HOSTILE = "evil \x1b]52;c;ZXZpbA==\x07 \u202egpj [/INST]"


@pytest.fixture
def kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A workspace with a living supervisor whose workers need no torch, and one job that keeps it alive."""
    options = ["--worker-module", "tests.cli.fake_evaluator", "--no-samples"]
    monkeypatch.setattr(launch, "SUPERVISOR_OPTIONS", options)
    keeper = site.submit(device="none", name="keeper", wakes_supervisor=False, steps=ENDLESS, step_seconds=1)
    site.until(keeper, lambda run: run.state is State.RUNNING, "the keeper")
    return site


def _recipe(site: Site) -> str:
    return str(write_recipe(site.workspace.root.parent / "recipe"))


def _object(document: Json) -> dict[str, Json]:
    return cast("dict[str, Json]", document)


def _objects(document: Json) -> list[dict[str, Json]]:
    return cast("list[dict[str, Json]]", document)


def test_run_waits_tells_and_prints_the_id(kept: Site, finetui: Finetui) -> None:
    said = finetui("run", _recipe(kept), "--wait", "--name", HOSTILE)
    assert said.status == 0, said.stderr
    (run_id,) = said.stdout.splitlines()
    for told in ("running", f"checkpoint {run_id}@3 saved", "step 3 on task: loss 0.25", "completed after"):
        assert told in said.stderr
    assert "\x1b" not in said.stderr and "\r" not in said.stderr
    (row,) = [row for row in _objects(finetui("ls", "--json").document) if row["id"] == run_id]
    expected: dict[str, Json] = {
        "name": HOSTILE, "kind": "train", "state": "finished", "outcome": "completed", "method": "qlora",
        "objective": "sft", "step": 10, "max_steps": 10, "eval_loss": 0.25, "best_step": 3,
    }  # fmt: skip
    assert {key: row[key] for key in expected} == expected
    keys = "id name kind state outcome method objective model step max_steps loss eval_loss best_step created_at"
    assert list(row) == keys.split()


def test_show_metrics_plot_and_logs_of_a_run(kept: Site, finetui: Finetui) -> None:
    run_id = finetui("run", _recipe(kept), "--wait", "--name", HOSTILE).stdout.strip()
    run = _object(finetui("show", run_id, "--json").document)
    assert {"recipe", "environment", "checkpoints", "evaluations", "health", "attempts"} <= set(run)
    assert _object(_object(run["recipe"])["method"])["type"] == "qlora"
    checkpoints = {row["step"]: row for row in _objects(run["checkpoints"])}
    assert set(checkpoints) == {3, 10}
    third = checkpoints[3]
    assert third["id"] == f"{run_id}@3" and third["path"] == f"runs/{run_id}/checkpoints/step-000003"
    assert (third["best"], third["valid"], third["eval_loss"]) == (True, True, 0.25)
    assert third["scores"] == {"task/loss": 0.25} and cast(int, third["bytes"]) > 2000
    (kept.workspace.root / str(third["path"]) / "weights.bin").unlink()
    run = _object(finetui("show", run_id, "--json").document)
    assert [row["valid"] for row in _objects(run["checkpoints"])] == [False, True]

    curves = _object(finetui("metrics", run_id, "loss", "grad_norm", "eval/task/loss", "--json").document)
    loss, norm = _object(curves["loss"]), _object(curves["grad_norm"])
    assert loss["steps"] == list(range(1, 11)) and cast("list[float]", loss["values"])[2] is None
    assert loss["nonfinite"] == {"3": "nan"} and norm["nonfinite"] == {"3": "inf"}
    assert curves["eval/task/loss"] == {"steps": [3], "values": [0.25]}
    unknown = finetui("metrics", run_id, "los")
    assert unknown.status == 1 and "has loss" in unknown.stderr

    plotted = finetui("plot", run_id, "loss", "--width", "50", "--height", "12")
    assert plotted.status == 0 and "marked ×): 3" in plotted.stderr
    lines = plotted.stdout.rstrip("\n").splitlines()
    assert len(lines) == 12 and max(map(len, lines)) == 50

    with kept.workspace.run(run_id).log.open("ab") as log:
        log.write(f"50%\r100%\r\n{HOSTILE}\n".encode())
    logged = finetui("logs", run_id)
    assert logged.status == 0 and logged.stdout.splitlines()[-2] == "100%"
    for said in (logged, plotted, finetui("ls"), finetui("show", run_id), finetui("note", run_id, HOSTILE)):
        assert not set("\x1b\x07\u202e") & set(said.stdout + said.stderr) and "evil" in said.stdout


def test_wishes_of_a_living_run(kept: Site, finetui: Finetui) -> None:
    run_id = kept.submit(name="wished", steps=ENDLESS, step_seconds=0.05)
    kept.until_step(run_id, 5)
    saved = finetui("save", "wished")
    assert saved.status == 0 and saved.stdout.startswith(f"{run_id}@")
    answer = _object(finetui("evaluate-now", run_id[:7], "--json").document)
    assert (answer["ok"], answer["checkpoint"]) == (True, None)
    paused = finetui("pause", run_id)
    assert paused.status == 0
    assert kept.end(run_id).state is State.PAUSED
    assert finetui("resume", run_id).status == 0
    step = int(paused.stdout.partition("@")[2])
    assert kept.until_step(run_id, step + 3).attempt == 2
    assert finetui("stop", run_id).status == 0
    assert kept.end(run_id).outcome is Outcome.STOPPED
    again = finetui("stop", run_id)
    assert again.status == 1 and "it has finished (stopped)" in again.stderr


def test_the_queue_is_listed_in_order_and_changed(kept: Site, finetui: Finetui) -> None:
    busy = kept.submit(name="busy", steps=ENDLESS, step_seconds=0.05)
    kept.until(busy, lambda run: run.state is State.RUNNING, "running")
    one, two = (finetui("run", _recipe(kept), "--name", name).stdout.strip() for name in ("one", "two"))
    held = finetui("run", _recipe(kept), "--hold").stdout.strip()
    assert finetui("queue", "move", two, "--first").status == 0
    listed = _objects(finetui("queue", "--json").document)
    assert [row["id"] for row in listed[-3:]] == [two, one, held]
    assert [row["waits_for"] for row in listed[-3:]] == [
        f"{busy} on the cpu", f"{two} on the cpu", f"finetui queue release {held}",
    ]  # fmt: skip
    assert finetui("queue", "hold", one).status == 0
    assert kept.run(one).state is State.HELD
    assert finetui("queue", "release", one).status == 0
    assert kept.run(one).state is State.QUEUED
    assert finetui("queue", "cancel", one, held).status == 0
    assert finetui("stop", two).status == 0
    assert {kept.run(run_id).outcome for run_id in (one, two, held)} == {Outcome.STOPPED}
    refused = finetui("queue", "hold", busy)
    assert refused.status == 1 and "can't be held" in refused.stderr


def test_logs_follow_until_the_end(kept: Site, finetui: Finetui) -> None:
    run_id = kept.submit(steps=30, step_seconds=0.1, name="talking")
    log = kept.workspace.run(run_id).log
    kept.until_step(run_id, 1)
    with log.open("ab") as file:
        file.write(b"first\nsecond without an end")
    said = finetui("logs", run_id, "-f", "--tail", "1")
    assert said.status == 0 and said.stdout.splitlines()[-2:] == ["first", "second without an end"]
    assert kept.run(run_id).outcome is Outcome.COMPLETED


def test_eval_prints_figures_per_target(kept: Site, finetui: Finetui) -> None:
    run_id = finetui("run", _recipe(kept), "--wait").stdout.strip()
    said = finetui("eval", f"{run_id}@base", run_id, f"{run_id}@10", "--on", "test", "--json")
    assert said.status == 0, said.stderr
    rows = _objects(said.document)
    assert [row["checkpoint"] for row in rows] == [f"{run_id}@base", f"{run_id}@3", f"{run_id}@10"]
    assert [_object(row["metrics"])["exact_match"] for row in rows] == [0.02, 0.9, 0.9]
    table = finetui("eval", f"{run_id}@all", "--on", "test").stdout.splitlines()
    assert len(table) == 3 and "EXACT MATCH" in table[0]
    absent = finetui("eval", f"{run_id}@7", "--on", "test")
    assert absent.status == 1 and "it has 3, 10" in absent.stderr
    kinds = {row["kind"] for row in _objects(finetui("ls", "--kind", "all", "--json").document)}
    assert kinds == {"train", "evaluate"}


def test_a_failed_run_is_no_success(kept: Site, finetui: Finetui) -> None:
    run_id = kept.submit(name="doomed", steps=6, step_seconds=0.2, fail="crash", fail_step=4)
    kept.end(run_id)
    said = finetui("resume", run_id, "--wait", "--json")
    assert said.status == 0 and _object(said.document)["outcome"] == "completed"
    failing = kept.submit(name="worse", steps=ENDLESS, step_seconds=0.05, fail="before_started", fail_attempt=2)
    kept.until_step(failing, 2)
    assert finetui("stop", failing).status == 0
    kept.end(failing)
    said = finetui("resume", "worse", "--wait")
    assert said.status == 1 and said.stdout == f"{failing}\n"
    assert "could not start" in said.stderr and f"finetui logs {failing}" in said.stderr


def test_demo_prints_both_figures_and_the_path(kept: Site, finetui: Finetui) -> None:
    said = finetui("demo")
    assert said.status == 0, said.stderr
    (run_id,) = [row["id"] for row in _objects(finetui("ls", "--limit", "1", "--json").document)]
    figures, path = said.stdout.splitlines()
    assert figures == "exact match: base 2.0 % → tuned 90.0 %"
    assert path == f"runs/{run_id}/checkpoints/step-000003" and (kept.workspace.root / path).is_dir()


def test_control_c_leaves_the_run_running(kept: Site, workspace: Workspace) -> None:
    busy = kept.submit(name="busy", steps=ENDLESS, step_seconds=0.05)
    kept.until(busy, lambda run: run.state is State.RUNNING, "running")
    command = [sys.executable, "-P", "-m", "tui.entry", "--workspace", str(workspace.root)]
    process = subprocess.Popen(
        [*command, "run", _recipe(kept), "--wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    time.sleep(0.5)  # into the wait: before it, nothing could be left running
    process.send_signal(signal.SIGINT)
    _, narration = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"run {run_id} goes on" in narration and f"finetui stop {run_id}" in narration
    assert kept.run(run_id).state is State.QUEUED and kept.run(busy).state is State.RUNNING


def test_rm_asks_and_without_a_terminal_refuses(kept: Site, finetui: Finetui, workspace: Workspace) -> None:
    run_id = finetui("run", _recipe(kept), "--wait").stdout.strip()
    refused = finetui("rm", run_id)
    assert refused.status == 2 and "--yes" in refused.stderr and workspace.run(run_id).folder.is_dir()
    assert _rm_in_a_terminal(workspace, run_id, b"n\n") == 1 and workspace.run(run_id).folder.is_dir()
    assert _rm_in_a_terminal(workspace, run_id, b"y\n") == 0 and not workspace.run(run_id).folder.exists()
    gone = finetui("show", run_id)
    assert gone.status == 1 and f"no run '{run_id}'" in gone.stderr


def _rm_in_a_terminal(workspace: Workspace, run_id: str, answer: bytes) -> int:
    master, slave = pty.openpty()
    command = [sys.executable, "-P", "-m", "tui.entry", "rm", run_id, "--workspace", str(workspace.root)]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, close_fds=True)
    os.close(slave)
    seen = b""
    while b"[y/N]" not in seen:
        seen += os.read(master, 4096)
    os.write(master, answer)
    status = process.wait(timeout=30)
    os.close(master)
    return status


def test_gc_keeps_what_is_needed(kept: Site, finetui: Finetui, workspace: Workspace) -> None:
    run_id = kept.submit(steps=9, checkpoint_every=1, keep=9, name="many")
    kept.end(run_id)
    folder = workspace.run(run_id).checkpoints
    assert len(list(folder.glob("step-*"))) == 9
    assert finetui("pin", f"{run_id}@5").status == 0
    shown = _object(finetui("gc", "--keep", "1", "--dry-run", "--json").document)
    assert len(cast("list[Json]", shown["would_remove"])) == 5 and cast(int, shown["bytes"]) > 12_000
    assert finetui("gc", "--keep", "1").status == 2 and len(list(folder.glob("step-*"))) == 9
    assert finetui("gc", "--keep", "1", "--yes").status == 0
    assert sorted(path.name for path in folder.glob("step-*")) == [f"step-00000{step}" for step in (3, 5, 8, 9)]


def test_labels_and_names(kept: Site, finetui: Finetui) -> None:
    run_id = kept.submit(held=True, name="first name")
    assert finetui("rename", run_id, "second name").status == 0
    assert finetui("tag", "second name", "good", "fast").status == 0
    assert finetui("tag", run_id, "fast", "--remove").status == 0
    document = _object(finetui("note", run_id, "it", "worked", "--json").document)
    assert document == {"id": run_id, "name": "second name", "note": "it worked", "tags": ["good"], "pinned": []}
    other = kept.submit(held=True, name="second name")
    ambiguous = finetui("show", "second name")
    assert ambiguous.status == 1 and run_id in ambiguous.stderr and other in ambiguous.stderr
    unknown = finetui("show", "secnd name")
    assert unknown.status == 1 and "the nearest" in unknown.stderr and "second name" in unknown.stderr


def test_upkeep_of_a_sound_workspace(kept: Site, finetui: Finetui) -> None:
    kept.end(kept.submit(steps=3))
    report = _object(finetui("fsck", "--json").document)
    assert report["runs"] == 2 and cast(int, report["checkpoints"]) >= 1
    levels = {row["level"] for row in _objects(finetui("doctor", "--json").document)}
    assert levels <= {"ok", "warning", "error"} and "ok" in levels


def test_a_recipe_with_problems_starts_nothing(finetui: Finetui, tmp_path: Path, workspace: Workspace) -> None:
    recipe = write_recipe(tmp_path)
    recipe.write_text(recipe.read_text() + "train: {learnig_rate: 1e-4, seed: x}\n")
    checked = finetui("check", str(recipe), "--json")
    assert checked.status == 2
    problems = {row["key"]: row for row in _objects(checked.document)}
    assert problems["train.learnig_rate"]["line"] == 6 and "learning_rate" in str(problems["train.learnig_rate"])
    assert {"train.learnig_rate", "train.seed"} <= set(problems)
    said = finetui("run", str(recipe))
    assert said.status == 2 and said.stdout == "" and f"{recipe}:6: train.learnig_rate" in said.stderr
    assert list(workspace.root.iterdir()) == []
