"""SIGKILL at random moments: of torch-free workers under a real supervisor, and of the supervisor over its workers."""

from __future__ import annotations

import random
import time
from functools import partial
from pathlib import Path

from core.events import StepLogged
from core.paths import Workspace
from core.runs.queue import resume
from core.runs.recover import last_spawned
from core.runs.spool import tail
from core.states import Outcome, State
from tests.reliability import ground
from tests.reliability.table import Line

LANES = 4
"""Runs that live side by side, so that the machine is busy while one of them is killed."""


def kill_workers(root: Path, kills: int, seed: int) -> Line:
    """Kill each lane's worker again and again, each time at a random moment of its life, and resume it."""
    began = time.monotonic()
    draw = random.Random(seed)
    workspace = Workspace(root)
    acknowledgements = root / "acknowledged.txt"
    lanes = [
        ground.queue_fake(
            workspace,
            steps=100_000,
            step_seconds=0.002,
            checkpoint_every=4,
            acknowledgements=str(acknowledgements),
            wakes_supervisor=False,
        )
        for _ in range(LANES)
    ]
    ground.supervise(workspace)
    attempts = dict.fromkeys(lanes, 1)
    done = 0
    while done < kills:
        for run_id in lanes:
            paths, attempt = workspace.run(run_id), attempts[run_id]
            ground.wait_for(partial(last_spawned, paths, attempt), f"a worker of attempt {attempt}")
            time.sleep(draw.random() * 0.5)
            done += ground.kill_worker(paths, attempt)
        for run_id in lanes:
            ground.wait_for(partial(ground.has_ended, workspace, run_id), "the crash is recorded")
            if done < kills:
                attempts[run_id] = resume(workspace, run_id)
                ground.supervise(workspace)
    ground.wait_for(lambda: not ground.supervisor_pids(workspace), "the supervisor ends when nothing is left")
    checkpoints, wrong = ground.corrupt_checkpoints(workspace)
    wrong += ground.lost_acknowledgements(workspace, acknowledgements)
    wrong += ground.differing_curves(workspace)
    for run_id in lanes:
        row = ground.read(workspace, run_id)
        if row.outcome not in (Outcome.CRASHED, Outcome.COULD_NOT_START):
            wrong.append(f"run {run_id} ended as {row.outcome}, not as crashed")
        wrong += [
            f"run {run_id} attempt {a}: {n} workers"
            for a, n in ground.workers_of(workspace.run(run_id)).items()
            if n > 1
        ]
    acknowledged = len(acknowledgements.read_text().splitlines())
    return Line(
        subject=f"{kills} SIGKILLs of a worker",
        measured=f"{acknowledged} acknowledged rows, {checkpoints} checkpoints left, {len(wrong)} lost or corrupt",
        wrong=tuple(wrong),
        seconds=time.monotonic() - began,
    )


def kill_supervisors(root: Path, kills: int, seed: int) -> Line:
    """Kill the supervisor over a queue of short jobs that run one after another on the CPU."""
    began = time.monotonic()
    draw = random.Random(seed)
    workspace = Workspace(root)
    jobs = [
        ground.queue_fake(
            workspace, device="cpu", steps=20, step_seconds=0.02, checkpoint_every=5, wakes_supervisor=False
        )
        for _ in range(max(4, kills // 2))
    ]
    done = 0
    while done < kills:
        ground.supervise(workspace)
        time.sleep(0.1 + draw.random() * 0.6)
        pids = ground.supervisor_pids(workspace)
        if not pids and all(ground.read(workspace, job).state is State.FINISHED for job in jobs):
            jobs.append(ground.queue_fake(workspace, device="cpu", steps=20, step_seconds=0.02, wakes_supervisor=False))
        done += len(pids)
        ground.kill_all_supervisors(workspace)
    ground.supervise(workspace)

    def drained() -> bool:
        ground.supervise(workspace)
        return all(ground.read(workspace, job).state is State.FINISHED for job in jobs)

    ground.wait_for(drained, "the queue is drained", timeout_seconds=60.0 + 2.0 * len(jobs))
    _, wrong = ground.corrupt_checkpoints(workspace)
    wrong += ground.differing_curves(workspace)
    for job in jobs:
        row = ground.read(workspace, job)
        steps = [
            record.event.step
            for _, record in tail(workspace.run(job).events, 0).records
            if isinstance(record.event, StepLogged)
        ]
        if row.outcome is not Outcome.COMPLETED or row.attempt != 1 or steps != list(range(1, 21)):
            wrong.append(f"run {job}: {row.outcome} in attempt {row.attempt} with {len(steps)} steps")
        if ground.workers_of(workspace.run(job)) != {1: 1}:
            wrong.append(f"run {job} was run {ground.workers_of(workspace.run(job))} times")
    return Line(
        subject=f"{done} SIGKILLs of the supervisor",
        measured=f"{len(jobs)} jobs queued, each run once and to its end but {len(wrong)}",
        wrong=tuple(wrong),
        seconds=time.monotonic() - began,
    )
