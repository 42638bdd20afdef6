"""The worker's small parts: control file, pinned steps, health rules, best metric, refusals to guess."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from core.errors import CheckpointError, ModelError
from core.events import CheckpointPinned, CheckpointUnpinned, ControlGiven, HealthRaised
from core.paths import Workspace
from core.runs.checkpoints import publish, stage
from core.runs.spool import Spool
from core.worker.best import BestRule, PinnedSteps
from core.worker.checkpoints import find_resume_point
from core.worker.control import Control, Request
from core.worker.environment import git_state
from core.worker.health import HealthRules
from core.worker.model import count_parameters, model_folder
from core.worker.progress import Progress
from tests.worker.tiny import make_recipe, make_run


def test_control_gives_each_request_once_and_only_to_its_attempt(tmp_path: Path) -> None:
    path = tmp_path / "control.jsonl"
    control = Control(path, 2)
    assert control.take() == [] and not control.wants_to_end()
    for attempt, name in ((1, "old"), (2, "new")):
        with Spool.open(path, attempt) as spool:
            spool.append(ControlGiven(request_id=name, action="pause"))
    assert control.wanted_end() == "paused"
    assert control.take() == [Request("pause", "new")]
    assert control.take() == [] and not control.wants_to_end()
    with path.open("ab") as stream:
        stream.write(b"00000000 {torn")
    assert control.take() == []


def test_signals_become_one_stop_without_an_answer(tmp_path: Path) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    control = Control(tmp_path / "control.jsonl", 1)
    try:
        control.install_signals()
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        assert control.wanted_end() == "stopped"
        assert control.take() == [Request("stop", None)]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_pinned_steps_follow_the_journal(workspace: Workspace) -> None:
    pinned = PinnedSteps(workspace.journal, "0000000a")
    assert pinned.read() == frozenset()
    with Spool.open(workspace.journal, 0) as journal:
        journal.append(CheckpointPinned(run_id="0000000a", step=5))
        journal.append(CheckpointPinned(run_id="0000000b", step=6))
        assert pinned.read() == {5}
        journal.append(CheckpointPinned(run_id="0000000a", step=10))
        journal.append(CheckpointUnpinned(run_id="0000000a", step=5))
    assert pinned.read() == {10}


def test_gradient_spike_is_said_once(tmp_path: Path) -> None:
    rules = HealthRules(Progress())
    said = [raised for step in range(1, 40) for raised in rules.after_step(step, {"loss": 2.0, "grad_norm": 1.0})]
    assert said == []
    first = rules.after_step(40, {"loss": 2.0, "grad_norm": 6.0})
    assert [raised.rule for raised in first] == ["gradient_spike"] and "6.0 times" in first[0].message
    assert rules.after_step(41, {"loss": 2.0, "grad_norm": 9.0}) == []


def test_health_rules_name_zero_losses_rising_sets_and_values_that_are_none() -> None:
    rules = HealthRules(Progress())
    said: list[HealthRaised] = []
    for step in range(1, 6):
        said += rules.after_step(step, {"loss": 0.0, "grad_norm": 0.0})
    assert [(raised.rule, raised.step) for raised in said] == [("zero_loss", 3)]
    rising = [rules.after_evaluation(step, "held", {"loss": loss}) for step, loss in ((10, 2.0), (20, 2.2), (30, 2.1))]
    assert rising == [[], [], []]
    assert [raised.rule for raised in rules.after_evaluation(40, "held", {"loss": 2.3})] == ["evaluation_rising"]
    assert [raised.rule for raised in rules.after_step(41, {"loss": float("nan")})] == ["non_finite"]
    assert [raised.level for raised in rules.after_evaluation(50, "held", {"loss": float("inf")})] == ["error"]


def test_progress_survives_the_way_through_a_checkpoint(tmp_path: Path) -> None:
    progress = Progress(tokens=12, best_step=5, best_value=0.5, gradient_norms=[1.0, 2.5], rising={"held": 2})
    progress.write(tmp_path)
    assert Progress.read(tmp_path) == progress


@pytest.mark.parametrize(("metric", "higher"), [("held.exact_match", True), ("held.loss", False)])
def test_best_metric_knows_its_direction(
    metric: str, higher: bool, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    rule = BestRule.of(make_recipe(tmp_path, tiny_model, tiny_rows, f"checkpoints.best_metric={metric}"))
    assert rule.name == metric
    assert rule.is_better(0.9, 0.5) is higher and rule.is_better(0.1, 0.5) is not higher
    assert rule.is_better(0.5, None) and not rule.is_better(0.5, 0.5)
    assert rule.value({"held": {"loss": float("nan"), "exact_match": float("nan")}}) is None


def test_resume_refuses_a_checkpoint_without_optimizer(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    run = make_run(workspace, make_recipe(tmp_path, tiny_model, tiny_rows))
    assert find_resume_point(run, "recipe") is None
    staging = stage(run, 5)
    (staging / "adapter_model.safetensors").write_bytes(b"weights")
    publish(staging, step=5, run_id=run.run_id, recipe_sha256="recipe", extra={})
    with pytest.raises(CheckpointError, match=r"optimizer\.pt"):
        find_resume_point(run, "recipe")
    with pytest.raises(CheckpointError, match="another recipe"):
        find_resume_point(run, "a changed recipe")


def test_parameters_are_counted_from_headers_alone(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(tiny_model))
    assert count_parameters(tiny_model) == sum(parameter.numel() for parameter in model.parameters())


def test_hub_id_without_a_network_is_a_clear_refusal(tiny_model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    section = make_recipe(tmp_path, tiny_model, tiny_rows).model.model_copy(update={"path": "owner/no-such-model"})
    with pytest.raises(ModelError, match="owner/no-such-model") as caught:
        model_folder(section)
    assert "HF_HUB_OFFLINE" in str(caught.value)


def test_git_state_says_commit_and_dirt_but_no_remote(tmp_path: Path) -> None:
    import subprocess

    assert git_state(tmp_path) is None
    (tmp_path / "file").write_text("one")
    person = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (
        ["init", "-q"], ["remote", "add", "origin", "https://user:secret@example.org/x"], ["add", "file"],
        [*person, "commit", "-q", "-m", "one"],
    ):  # fmt: skip
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, capture_output=True)
    state = git_state(tmp_path)
    assert state is not None and state["dirty"] is False and len(str(state["commit"])) == 40
    (tmp_path / "file").write_text("two")
    changed = git_state(tmp_path)
    assert changed is not None and changed["dirty"] is True
    assert "secret" not in json.dumps(changed)
