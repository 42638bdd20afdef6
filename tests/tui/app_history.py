"""A workspace as real use leaves it, written as line files and ingested: for the app's tests and for looking at it."""

from __future__ import annotations

import math
import random

from core.events import (
    BestChanged,
    CheckpointSaved,
    Evaluated,
    Finished,
    HardwareSampled,
    HealthRaised,
    Noted,
    Planned,
    Renamed,
    Started,
    StepLogged,
    Tagged,
)
from core.paths import Workspace
from core.store.ingest import ingest_once
from tests.store.line_files import Lines

HOSTILE = "[/x] \x1b]52;c;aGk=\x07 [@click=app.quit]\x9b31m ‮ [/INST] 名前"
NAMES = ("cs-r16-cos", "cs-r16-lin", "cs-r64-cos", "cs-full-1b", "cs-r16-hot", "cs-lora-r8")
ENDS = ("running", "completed", "stopped", "completed", "diverged", "completed", "crashed", "out_of_memory")


class AppHistory:
    """Runs of every standing, the newest first in the list: number 0 is the oldest."""

    def __init__(self, workspace: Workspace, seed: int = 1) -> None:
        self.workspace = workspace
        self.lines = Lines(workspace)
        self.random = random.Random(seed)

    def ingest(self) -> None:
        """Take everything in."""
        assert ingest_once(self.workspace)

    def many(self, count: int) -> list[str]:
        """Finished, living, queued and held runs; ids from the oldest to the newest."""
        ids = []
        for number in range(1, count + 1):
            end = ENDS[(count - number) % len(ENDS)]
            if end == "running" and number != count:
                end = "completed"
            ids.append(self.run(number, end, name=f"{NAMES[number % len(NAMES)]}-{number}"))
        return ids

    def run(self, number: int, end: str, *, name: str | None = None, steps: int = 40) -> str:
        """One run up to `end`: queued, held, running or an outcome."""
        run_id = self.lines.queue(number, name=name, held=end == "held")
        if end in ("queued", "held"):
            return run_id
        self.lines.move(run_id, "queued", "starting", "running")
        self.lines.events(
            run_id,
            Started(kind="train", pid=100 + number, boot_id="b", start_ticks=1),
            Planned(
                max_steps=100,
                num_train_epochs=3.0,
                rows={"train": 640, "task": 64},
                parameters_total=10_000,
                parameters_trained=100,
            ),
        )
        for step in range(1, steps + 1):
            self.lines.events(run_id, self.step(step, end))
            if step % 20 == 0:
                self.lines.events(
                    run_id,
                    Evaluated(
                        step=step,
                        set_name="task",
                        role="validation",
                        metrics={"loss": 1.5 - step / 100 + number / 1000},
                        rows=64,
                        seconds=1.0,
                    ),
                    CheckpointSaved(
                        step=step,
                        folder=f"checkpoints/step-{step:06d}",
                        bytes=84_000_000,
                        manifest_sha256="0" * 64,
                        reason="scheduled",
                        seconds=1.0,
                    ),
                    BestChanged(step=step, metric="task.loss", value=1.5 - step / 100),
                )
        self.lines.supervisor(
            run_id,
            HardwareSampled(
                gpu_uuid="GPU-1",
                gpu_name="NVIDIA GeForce RTX 4090",
                gpu_utilisation_percent=98.0,
                gpu_memory_used_bytes=22_900_000_000,
                gpu_memory_total_bytes=25_700_000_000,
                gpu_power_watts=412.0,
                gpu_temperature_celsius=71.0,
                cpu_percent=38.0,
                host_memory_used_bytes=20_000_000_000,
                host_memory_total_bytes=68_000_000_000,
                worker_memory_bytes=1,
                disk_free_bytes=212_000_000_000,
            ),
        )
        if end == "running":
            return run_id
        if end == "diverged":
            self.lines.events(run_id, HealthRaised(rule="finite", level="error", message="loss is nan", step=steps))
        if end not in ("crashed", "lost"):
            self.lines.events(run_id, Finished(outcome=end, message=f"the run was {end}", step=steps))
        self.lines.move(run_id, "running", "finished", outcome=end)
        return run_id

    def step(self, step: int, end: str = "completed") -> StepLogged:
        """One logged step."""
        loss = math.nan if end == "diverged" and step > 30 else _falling(step) + self.random.random() / 20
        values = {
            "loss": loss,
            "grad_norm": 0.7 + self.random.random() / 10,
            "learning_rate": 2e-4 * (1 - step / 100),
            "tokens_per_second": 3100.0 + self.random.random() * 50,
        }
        return StepLogged(step=step, values=values, epoch=step / 33, tokens=step * 2048, elapsed_seconds=step * 2.6)

    def label(self, run_id: str) -> None:
        """A name, note and tag that want to steer the terminal."""
        self.lines.journal.add(
            Renamed(run_id=run_id, name=HOSTILE), Noted(run_id=run_id, text=HOSTILE), Tagged(run_id=run_id, tag=HOSTILE)
        )


def _falling(step: int) -> float:
    return 0.9 + 2.0 * math.exp(-step / 15)
