"""The clock goes back an hour while a run lives: order is by sequence and step, so nothing may be deleted wrongly."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from core.paths import Workspace
from core.runs.checkpoints import list_checkpoints
from core.states import Outcome, State
from tests.process import fake_worker
from tests.reliability import ground
from tests.reliability.table import Line

HOUR_SECONDS = 3600.0
TURNED_BACK_AT_STEP = 10
STEPS, EVERY, KEEP = 24, 3, 2


class TurnedBack(fake_worker.FakeWorker):
    """A fake worker whose machine's clock is set back in the middle of the run, the file times with it."""

    def _train_one_step(self) -> None:
        if self.step == TURNED_BACK_AT_STEP:
            real = time.time
            time.time = lambda: real() - HOUR_SECONDS
        super()._train_one_step()
        if self.step > TURNED_BACK_AT_STEP and self.step % EVERY == 0:
            folder = self.paths.checkpoint(self.step)
            for path in (*folder.iterdir(), folder):
                os.utime(path, (time.time(), time.time()))


def turn_back(root: Path, runs: int) -> Line:
    """Several runs under a supervisor, each with its clock turned back; then look at what retention has kept."""
    began = time.monotonic()
    workspace = Workspace(root)
    jobs = [
        ground.queue_fake(
            workspace, steps=STEPS, checkpoint_every=EVERY, keep=KEEP, step_seconds=0.0, wakes_supervisor=False
        )
        for _ in range(runs)
    ]
    ground.supervise(workspace, "tests.reliability.clock")
    ground.wait_for(
        lambda: all(ground.read(workspace, job).state is State.FINISHED for job in jobs), "all runs have ended"
    )
    wrong = ground.differing_curves(workspace)
    newest_kept = list(range(EVERY, STEPS + 1, EVERY))[-KEEP:]
    for job in jobs:
        kept = [manifest.step for manifest in list_checkpoints(workspace.run(job))]
        if ground.read(workspace, job).outcome is not Outcome.COMPLETED:
            wrong.append(f"run {job} ended as {ground.read(workspace, job).outcome}")
        if not set(newest_kept) <= set(kept):
            wrong.append(f"run {job} kept {kept}, and {newest_kept} are its newest")
    return Line(
        subject=f"clock back an hour in {runs} runs",
        measured=f"newest {KEEP} checkpoints kept by step, {len(wrong)} wrongly deleted",
        wrong=tuple(wrong),
        seconds=time.monotonic() - began,
    )


if __name__ == "__main__":
    fake_worker.FakeWorker = TurnedBack  # type: ignore[misc]  # this process is the worker of one run
    sys.exit(fake_worker.main())
