"""How a training run ends by itself: diverged at the very step, out of patience, out of memory, on a full disk."""

from __future__ import annotations

import math
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from core.events import (
    BestChanged,
    CheckpointSaved,
    ControlGiven,
    Evaluated,
    HealthRaised,
    PhaseEntered,
    Started,
    StepLogged,
)
from core.paths import Workspace
from core.runs.checkpoints import list_checkpoints, verify
from core.runs.spool import Spool, tail
from core.worker.objectives.sft import SftTrainer
from core.worker.outbox import Outbox
from tests.worker.tiny import curve, events, make_recipe, make_run, train_here


@pytest.mark.parametrize("step", [1, 7, 10])
def test_a_value_that_is_no_number_ends_the_run_at_its_step(
    step: int, workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 10 has a checkpoint due, which must not be written: its weights are spoilt."""
    honest = SftTrainer.compute_loss

    def poisoned(self: SftTrainer, *arguments: Any, **named: Any) -> Any:
        loss = honest(self, *arguments, **named)
        return loss * math.nan if self.state.global_step == step - 1 else loss

    monkeypatch.setattr(SftTrainer, "compute_loss", poisoned)
    run = make_run(workspace, make_recipe(tmp_path, tiny_model, tiny_rows))
    ending = train_here(run)
    assert (ending.outcome, ending.step) == ("diverged", step)
    assert "learning_rate" in " ".join(ending.advice)
    losses = curve(run, "loss")
    assert max(losses) == step and math.isnan(losses[step])
    assert all(math.isfinite(loss) for at, loss in losses.items() if at < step)
    assert {event.step for event in events(run, HealthRaised) if event.rule == "non_finite"} == {step}
    assert all(event.step < step for event in events(run, CheckpointSaved))


def test_a_rate_that_is_far_too_high_diverges_or_says_so(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(
        tmp_path, tiny_model, tiny_rows, "train.learning_rate=1.0", "train.max_grad_norm=0", "train.optim=sgd",
        "train.max_steps=200", "train.lr_scheduler_type=constant", method="full",
    )  # fmt: skip
    run = make_run(workspace, recipe)
    ending = train_here(run)
    values = [value for event in events(run, StepLogged) for value in (event.values["loss"], event.values["grad_norm"])]
    assert (ending.outcome == "diverged") == any(not math.isfinite(value) for value in values)
    raised = {event.rule for event in events(run, HealthRaised)}
    assert raised & {"non_finite", "gradient_spike", "evaluation_rising", "zero_loss"}


def test_patience_runs_out(workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path) -> None:
    """exact_match stays at 0: the first evaluation is the best, and two more end the run, with a checkpoint."""
    recipe = make_recipe(
        tmp_path, tiny_model, tiny_rows, "evaluate.early_stopping_patience=2", "evaluate.every_steps=2",
        "checkpoints.every_steps=2", "checkpoints.best_metric=held.exact_match", "train.learning_rate=1e-9",
    )  # fmt: skip
    run = make_run(workspace, recipe)
    ending = train_here(run)
    assert (ending.outcome, ending.step) == ("early_stopped", 6)
    assert [event.step for event in events(run, Evaluated)] == [2, 4, 6]
    assert [event.step for event in events(run, BestChanged)] == [2]
    assert events(run, CheckpointSaved)[-1].reason == "final"


def test_retention_keeps_best_last_and_newest(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(
        tmp_path, tiny_model, tiny_rows, "checkpoints.every_steps=2", "checkpoints.keep=1", "train.max_steps=12",
        "checkpoints.best_metric=held.exact_match",
    )  # fmt: skip
    run = make_run(workspace, recipe)
    assert train_here(run).outcome == "completed"
    kept = [manifest.step for manifest in list_checkpoints(run)]
    assert kept == [2, 10, 12]  # best (nothing beat the first), one more, last
    for step in kept:
        verify(run.checkpoint(step))


@contextmanager
def files_up_to(size_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond `size_bytes`: writes fail as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_does_not_end_training_and_leaves_nothing_half_written(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """Checkpoints can't be written, the run says so at each and ends as not saved; resuming it makes it whole."""
    recipe = make_recipe(tmp_path, tiny_model, tiny_rows, method="full")
    whole, run = make_run(workspace, recipe), make_run(workspace, recipe)
    train_here(whole)
    with files_up_to(100_000):
        ending = train_here(run)
    assert ending.outcome == "crashed"
    assert "checkpoint" in ending.message and "space" in " ".join(ending.advice)
    assert [event.step for event in events(run, HealthRaised) if event.rule == "not_saved"] == [5, 10, 15, 20]
    assert curve(run, "loss") == curve(whole, "loss")
    assert list(run.checkpoints.iterdir()) == []

    assert train_here(run, attempt=2).outcome == "completed"
    assert curve(run, "loss") == curve(whole, "loss")
    verify(run.checkpoint(20))


def test_full_disk_delays_events_in_order(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """The spool itself can't grow for a while: nothing that was said is lost."""
    outbox = Outbox(Spool.open(tmp_path / "events.jsonl", 1))
    outbox.say(PhaseEntered(phase="0"))
    with files_up_to((tmp_path / "events.jsonl").stat().st_size + 150):
        for number in range(1, 6):
            outbox.say(PhaseEntered(phase=str(number)))
        assert outbox.waiting >= 3
        assert not outbox.flush(0.1)
    outbox.say(PhaseEntered(phase="6"))
    assert outbox.waiting == 0
    outbox.close()
    found = tail(tmp_path / "events.jsonl", 0)
    said = [record.event.phase for _, record in found.records if isinstance(record.event, PhaseEntered)]
    assert said == [str(number) for number in range(7)] and found.damaged_lines == 0


@pytest.mark.parametrize("place", ["device", "host", "allocator"])
def test_out_of_memory_gives_ranked_advice_with_numbers(
    place: str, workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(self: SftTrainer, *arguments: Any, **named: Any) -> Any:
        if place == "device":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        if place == "host":
            raise MemoryError
        return torch.empty(1 << 60)

    monkeypatch.setattr(SftTrainer, "compute_loss", exhausted)
    run = make_run(workspace, make_recipe(tmp_path, tiny_model, tiny_rows))
    ending = train_here(run)
    assert ending.outcome == "out_of_memory"
    assert "train.activation_checkpointing=true" in ending.advice[0]
    assert "train.per_device_train_batch_size=1" in ending.advice[1]
    assert "train.gradient_accumulation_steps=4" in ending.advice[1]
    assert events(run, CheckpointSaved) == []


def test_test_set_is_never_opened_while_training(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """Its file is gone when the worker starts, and nobody notices."""
    secret = tmp_path / "test.jsonl"
    secret.write_bytes(tiny_rows.read_bytes())
    sets = f"evaluate.sets.last={{path: {secret}, role: test}}"
    run = make_run(workspace, make_recipe(tmp_path, tiny_model, tiny_rows, sets, "train.max_steps=5"))
    secret.unlink()
    assert train_here(run).outcome == "completed"
    assert {event.set_name for event in events(run, Evaluated)} == {"held"}


@pytest.mark.parametrize(("action", "outcome"), [("stop", "stopped"), ("pause", "paused")])
def test_asked_to_end_before_the_first_step(
    action: str, outcome: str, workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """While the model is being loaded there is nothing to save: the run ends as asked, and resumes from the start."""
    run = make_run(workspace, make_recipe(tmp_path, tiny_model, tiny_rows, "train.max_steps=2"))
    with Spool.open(run.control, 1) as control:
        control.append(ControlGiven(request_id="early", action=action))
    assert train_here(run).outcome == outcome
    assert events(run, StepLogged) == []
    assert train_here(run, attempt=2).outcome == "completed"
    assert [event.resumed_from_step for event in events(run, Started)] == [None, 0]
