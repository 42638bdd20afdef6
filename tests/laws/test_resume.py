"""A run that was stopped and resumed is the run that was never stopped, bit for bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.events import BestChanged, CheckpointSaved, Evaluated, Started, encode_line
from core.paths import Workspace
from core.runs.checkpoints import verify
from tests.worker.tiny import curve, events, make_recipe, make_run, records, train_here

STEPS = 20
OVERRIDES = {
    "full": ("data.packing=true", "data.max_length=32", "train.per_device_train_batch_size=1"),
    "lora": ("method.lora_dropout=0.1", "train.activation_checkpointing=true"),
    "qlora": ("method.lora_dropout=0.1",),
}
WITHIN_AN_EPOCH, AT_THE_END_OF_ONE = 7, 16


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_resumed_run_equals_the_uninterrupted_one(
    method: str, workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """With dropout, shuffled rows, evaluations and saves in between: losses, gradient norms, metrics and weights."""
    recipe = make_recipe(tmp_path, tiny_model, tiny_rows, *OVERRIDES[method], method=method)
    whole, parted = make_run(workspace, recipe), make_run(workspace, recipe)

    assert train_here(whole).outcome == "completed"
    assert train_here(parted, script={WITHIN_AN_EPOCH: "stop"}).outcome == "stopped"
    assert train_here(parted, attempt=2, script={AT_THE_END_OF_ONE: "pause"}).outcome == "paused"
    assert train_here(parted, attempt=3).outcome == "completed"

    resumed_from = [event.resumed_from_step for event in events(parted, Started)]
    assert resumed_from == [None, WITHIN_AN_EPOCH, AT_THE_END_OF_ONE]
    for key in ("loss", "grad_norm", "learning_rate"):
        uninterrupted = curve(whole, key)
        assert len(uninterrupted) == STEPS
        assert curve(parted, key) == uninterrupted
    evaluated = {event.step: event.metrics for event in events(whole, Evaluated)}
    assert len(evaluated) == 4
    assert {event.step: event.metrics for event in events(parted, Evaluated)} == evaluated
    assert events(parted, BestChanged)[-1] == events(whole, BestChanged)[-1]
    assert events(whole, CheckpointSaved)[-1].step == events(parted, CheckpointSaved)[-1].step == STEPS
    weights = "model.safetensors" if method == "full" else "adapter_model.safetensors"
    assert (whole.checkpoint(STEPS) / weights).read_bytes() == (parted.checkpoint(STEPS) / weights).read_bytes()


@pytest.mark.parametrize(("optimizer", "method"), [("adafactor", "qlora"), ("adamw_8bit", "full")])
def test_other_optimizers_resume_exactly(
    optimizer: str, method: str, workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """Adafactor keeps float32 beside bfloat16 weights, which torch's own loading rounds; 8-bit state has tables."""
    recipe = make_recipe(
        tmp_path, tiny_model, tiny_rows, f"train.optim={optimizer}", "train.max_steps=10", method=method
    )
    whole, parted = make_run(workspace, recipe), make_run(workspace, recipe)
    assert train_here(whole).outcome == "completed"
    train_here(parted, script={5: "stop"})
    assert train_here(parted, attempt=2).outcome == "completed"
    assert len(curve(whole, "loss")) == 10
    assert curve(parted, "loss") == curve(whole, "loss")
    assert curve(parted, "grad_norm") == curve(whole, "grad_norm")


def test_checkpoint_that_was_not_announced_is_announced_on_resume(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """The worker was killed between the rename and the event."""
    run = make_run(workspace, make_recipe(tmp_path, tiny_model, tiny_rows, "train.max_steps=6"))
    train_here(run)
    shutil.rmtree(run.checkpoint(6))
    said = records(run)
    cut = next(index for index, record in enumerate(said) if isinstance(record.event, CheckpointSaved))
    run.events.write_bytes(b"".join(encode_line(record) for record in said[:cut]))

    assert train_here(run, attempt=2).outcome == "completed"

    saved = events(run, CheckpointSaved)
    assert [event.step for event in saved] == [5, 6]
    assert saved[0].manifest_sha256 == verify(run.checkpoint(5)).sha256
    assert next(event.step for event in events(run, BestChanged)) == 5


def test_evaluation_that_a_stop_cut_short_is_made_up_for(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """Stopped at step 5, where an evaluation was due: the resumed run has it, and the same best checkpoint."""
    recipe = make_recipe(tmp_path, tiny_model, tiny_rows, "train.max_steps=8", "checkpoints.every_steps=5")
    whole, parted = make_run(workspace, recipe), make_run(workspace, recipe)
    train_here(whole)
    train_here(parted, script={5: "stop"})
    assert events(parted, Evaluated) == []
    train_here(parted, attempt=2)
    assert [event.step for event in events(parted, Evaluated)] == [5, 8]
    assert [event.metrics for event in events(parted, Evaluated)] == [
        event.metrics for event in events(whole, Evaluated)
    ]
    assert events(parted, BestChanged) == events(whole, BestChanged)


def test_resume_skips_a_damaged_checkpoint(
    workspace: Workspace, tiny_model: Path, tiny_rows: Path, tmp_path: Path
) -> None:
    """One flipped byte in the newest checkpoint: the run goes on from the one before, and ends the same."""
    recipe = make_recipe(tmp_path, tiny_model, tiny_rows, "checkpoints.keep=9")
    whole, parted = make_run(workspace, recipe), make_run(workspace, recipe)
    train_here(whole)
    train_here(parted, script={12: "stop"})
    optimizer = parted.checkpoint(12) / "optimizer.pt"
    content = bytearray(optimizer.read_bytes())
    content[len(content) // 2] ^= 1
    optimizer.write_bytes(bytes(content))

    assert train_here(parted, attempt=2).outcome == "completed"

    assert [event.resumed_from_step for event in events(parted, Started)] == [None, 10]
    assert curve(parted, "loss") == curve(whole, "loss")
