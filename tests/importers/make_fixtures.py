"""Writes the fixtures of trackers that are no test dependencies, with the real libraries, in an environment of its own.

    python -m venv ENV && ENV/bin/pip install wandb mlflow-skinny sqlalchemy alembic
    ENV/bin/python tests/importers/make_fixtures.py wandb mlflow
    python tests/importers/make_fixtures.py trainer_state      # transformers, whose import takes ten seconds

The files it left are committed; it is run again only to add a newer format beside them.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import tempfile
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent / "fixtures"
CONFIG = {"learning_rate": 2e-4, "optim": "adamw_torch", "model_name_or_path": "tiny/llama", "nested": {"lora_r": 16}}
WANDB_STEPS = range(1, 81)  # past the log's first block of 32 KiB
MLFLOW_STEPS = range(1, 13)


def loss_at(step: int) -> float:
    """A curve with one value that is not a number."""
    return math.nan if step == 7 else 2.0 / step + 0.5


def write_wandb(folder: Path) -> None:
    """An offline run as transformers' callback logs it: steps under `train/global_step`, one evaluation."""
    import wandb

    os.environ.update(WANDB_SILENT="true", WANDB_MODE="offline", WANDB_DIR=str(folder), WANDB_DISABLE_CODE="true")
    settings = wandb.Settings(
        x_disable_stats=True, x_disable_meta=True, disable_git=True, save_code=False, console="off",
        host="fixture", x_disable_machine_info=True,
    )  # fmt: skip
    run = wandb.init(
        project="fixture", name="wandb offline", id="fixture1", dir=folder, mode="offline", config=CONFIG,
        settings=settings, tags=["kept"], notes="written by the real library",
    )  # fmt: skip
    run.define_metric("train/global_step")
    run.define_metric("*", step_metric="train/global_step", step_sync=True)
    for step in WANDB_STEPS:
        run.log(
            {
                "train/loss": loss_at(step),
                "train/grad_norm": math.inf if step == 9 else 1.0 / step,
                "train/learning_rate": 2e-4 * step / 40,
                "train/epoch": step / 40,
                "train/global_step": step * 10,
            }
        )
        if step % 40 == 0:
            evaluation = {"eval/loss": 1.0 / step, "eval/runtime": 2.0, "eval/samples_per_second": 16.0}
            run.log({**evaluation, "train/epoch": step / 40, "train/global_step": step * 10})
    run.finish()
    (found,) = folder.rglob("run-*.wandb")
    shutil.copy(found, FIXTURES / "run-fixture1.wandb")


def write_mlflow(folder: Path) -> None:
    """Two runs of one experiment: one finished, one failed; and a deleted one."""
    import mlflow
    from mlflow.tracking import MlflowClient

    database = folder / "mlflow.db"
    mlflow.set_tracking_uri(f"sqlite:///{database}")
    experiment = mlflow.create_experiment("fixture", artifact_location="file:///artifacts")
    client = MlflowClient()
    for name, status in (("first", "FINISHED"), ("second", "FAILED"), ("deleted", "KILLED")):
        run_id = client.create_run(experiment, run_name=name, tags={"mlflow.note.content": "a note"}).info.run_id
        for key, value in CONFIG.items():
            client.log_param(run_id, key, value)
        for step in MLFLOW_STEPS:
            client.log_metric(run_id, "loss", loss_at(step), step=step)
            client.log_metric(run_id, "grad_norm", math.inf if step == 9 else 1.0 / step, step=step)
            client.log_metric(run_id, "epoch", step / 12, step=step)
        client.log_metric(run_id, "eval_loss", 0.75, step=12)
        client.set_terminated(run_id, status)
        if name == "deleted":
            client.delete_run(run_id)
    shrink(database)
    shutil.copy(database, FIXTURES / "mlflow.db")


def shrink(database: Path) -> None:
    """Drop the tables that no run is stored in: a hundred empty ones of 4 KiB pages make the file too large to keep."""
    import sqlite3

    kept = {"runs", "metrics", "params", "tags", "latest_metrics", "experiments", "experiment_tags", "alembic_version"}
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA foreign_keys = OFF")
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        if name not in kept and not name.startswith("sqlite_"):
            connection.execute(f'DROP TABLE "{name}"')
    connection.execute("UPDATE runs SET user_id = 'fixture', source_name = '', artifact_uri = ''")
    connection.execute("DELETE FROM tags WHERE key IN ('mlflow.user', 'mlflow.source.name')")
    connection.execute("UPDATE experiments SET artifact_location = ''")
    for name in ("index_metrics_run_uuid", "index_metrics_run_uuid_key_step"):
        connection.execute(f'DROP INDEX "{name}"')
    connection.execute("PRAGMA page_size = 1024")
    connection.commit()
    connection.execute("VACUUM")
    connection.close()


def write_trainer_state(folder: Path) -> None:
    """The state of a training that was cut off at step 40 of 100, with two evaluation sets."""
    from transformers.trainer_callback import TrainerState

    state = TrainerState(global_step=40, max_steps=100, num_train_epochs=4, train_batch_size=4, epoch=1.6)
    state.best_metric, state.best_global_step = 0.5, 20
    for step in range(10, 41, 10):
        scalars = {"loss": math.nan if step == 30 else loss_at(step), "grad_norm": 1.0 / step, "learning_rate": 2e-4}
        tokens = {"num_tokens": step * 1000.0, "mean_token_accuracy": 0.5}
        state.log_history.append({**scalars, **tokens, "epoch": step / 25, "step": step})
        if step % 20 == 0:
            for name in ("own", "general_1"):
                measured = {"loss": 10 / step, "runtime": 2.0, "samples_per_second": 16.0, "steps_per_second": 2.0}
                state.log_history.append(
                    {
                        **{f"eval_{name}_{key}": value for key, value in measured.items()},
                        "epoch": step / 25,
                        "step": step,
                    }
                )
    (folder / "out" / "checkpoint-40").mkdir(parents=True)
    target = folder / "out" / "checkpoint-40" / "trainer_state.json"
    state.save_to_json(str(target))
    shutil.copy(target, FIXTURES / "trainer_state.json")


WRITERS = {"wandb": write_wandb, "mlflow": write_mlflow, "trainer_state": write_trainer_state}

if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as temporary:
            WRITERS[wanted](Path(temporary))
