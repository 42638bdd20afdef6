"""A worker without torch that drives the real spool, lock, control and checkpoint code, for tests and benches.

Started as any worker: `python -P -m tests.process.fake_worker RUN_FOLDER`. Its behaviour is in the job's arguments
under `fake`; see `Behaviour`. Each step's loss follows from the one before, so a resumed run can be compared bit for
bit with an uninterrupted one. `acknowledgements` is the outside journal of a reliability run: after each append that
returned, its number is written there, by another writer than the spool.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

from core.errors import WorkspaceError
from core.events import (
    CheckpointSaved,
    ControlGiven,
    Event,
    Finished,
    Job,
    Planned,
    RequestAnswered,
    Started,
    StepLogged,
)
from core.locks import FileLock
from core.paths import RunPaths, Workspace
from core.runs.checkpoints import discard, newest_valid, publish, retain, stage, sweep_staging
from core.runs.folder import read_job
from core.runs.identity import this_process
from core.runs.launch import SUPERVISOR_OPTIONS, ensure_supervisor
from core.runs.recover import attempt_facts
from core.runs.spool import Spool, tail

REFUSED = 75
"""The exit status of a worker that finds another one in its place (EX_TEMPFAIL)."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the fake trains.

    `fail` is "", crash (SIGKILL itself), raise, silent (exit 0 without Finished),
    before_started, out_of_memory (says so) or pause (by itself), at `fail_step` of attempt `fail_attempt`."""

    steps: int = 10
    step_seconds: float = 0.01
    checkpoint_every: int = 0
    keep: int = 3
    fail: str = ""
    fail_step: int = 3
    fail_attempt: int = 1
    start_seconds: float = 0.0
    end_seconds: float = 0.0
    checkpoint_bytes: int = 2000
    acknowledgements: str = ""
    wakes_supervisor: bool = True

    @classmethod
    def of(cls, job: Job) -> Behaviour:
        given = cast("dict[str, object]", job.arguments.get("fake", {}))
        return cls(**{field.name: given[field.name] for field in fields(cls) if field.name in given})  # type: ignore[arg-type]


class FakeWorker:
    """One attempt of one run."""

    def __init__(self, paths: RunPaths, attempt: int) -> None:
        self.paths = paths
        self.workspace = Workspace(paths.folder.parents[1])
        self.attempt = attempt
        self.job = read_job(paths)
        self.behaviour = Behaviour.of(self.job)
        self.spool = Spool.open(paths.events, attempt)
        self.control_offset = 0
        self.wishes: list[ControlGiven] = []
        self.unsaid: list[Event] = []
        self.signalled = False
        self.saved_step = -1
        self.step = 0
        self.weight = 1.0

    def say(self, event: Event) -> None:
        self.unsaid.append(event)
        self._drain()

    def _drain(self) -> None:
        try:
            while self.unsaid:
                seq = self.spool.append(self.unsaid[0])
                self._acknowledge(seq, self.unsaid.pop(0))
        except OSError as error:
            sys.stderr.write(f"can't write an event yet: {error}\n")

    def _acknowledge(self, seq: int, event: Event) -> None:
        if self.behaviour.acknowledgements:
            descriptor = os.open(self.behaviour.acknowledgements, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(descriptor, f"{self.paths.run_id} {self.attempt} {seq} {type(event).__name__}\n".encode())
            os.close(descriptor)

    def run(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "signalled", True))
        self._fail("before_started", 0)
        time.sleep(self.behaviour.start_seconds)
        resumed_from = self._load()
        me = this_process()
        self.say(
            Started(
                kind=self.job.queued.kind, pid=me.pid, boot_id=me.boot_id, start_ticks=me.start_ticks,
                resumed_from_step=resumed_from,
            )
        )  # fmt: skip
        self.say(
            Planned(
                max_steps=self.behaviour.steps, num_train_epochs=1.0, rows={}, parameters_total=1, parameters_trained=1
            )
        )
        while self.step < self.behaviour.steps:
            self._train_one_step()
            ended = self._serve_wishes()
            if ended:
                self._finish(ended)
                return
        self._save("final")
        self._finish("completed")

    def _train_one_step(self) -> None:
        self.step += 1
        self.weight = self.weight * 0.97 + 0.001 * (self.step % 7)
        time.sleep(self.behaviour.step_seconds)
        values = {"loss": self.weight, "grad_norm": 1.0}
        self.say(StepLogged(step=self.step, values=values, epoch=0.5, tokens=self.step))
        for how in ("crash", "raise", "silent", "out_of_memory", "pause"):
            self._fail(how, self.step)
        every = self.behaviour.checkpoint_every
        if every and self.step % every == 0:
            self._save("scheduled")

    def _fail(self, how: str, step: int) -> None:
        behaviour = self.behaviour
        if behaviour.fail != how or self.attempt != behaviour.fail_attempt:
            return
        if how != "before_started" and step != behaviour.fail_step:
            return
        if how == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if how in ("raise", "before_started"):
            raise RuntimeError("the fake worker was told to fail")
        if how == "silent":
            os._exit(0)
        if how == "pause":
            self._save("paused")
            self._finish("paused")
        else:
            self._finish(how)
        raise SystemExit(0)

    def _serve_wishes(self) -> str:
        """Answer what was asked; the outcome where the run is to end."""
        found = tail(self.paths.control, self.control_offset)
        self.control_offset = found.offset
        for _, record in found.records:
            if record.attempt == self.attempt and isinstance(record.event, ControlGiven):
                self.wishes.append(record.event)
        ended = "stopped" if self.signalled else ""
        for wish in self.wishes:
            step = None
            if wish.action in ("stop", "pause", "save"):
                step = self._save({"stop": "stopped", "pause": "paused", "save": "requested"}[wish.action])
            answer = RequestAnswered(request_id=wish.request_id, ok=True, message=wish.action, checkpoint_step=step)
            self.say(answer)
            if wish.action in ("stop", "pause") and ended != "stopped":
                ended = "stopped" if wish.action == "stop" else "paused"
        self.wishes.clear()
        return ended

    def _load(self) -> int | None:
        sweep_staging(self.paths)
        manifest = newest_valid(self.paths) if self.attempt > 1 else None
        if manifest is None:
            return None
        state = json.loads((manifest.folder / "state.json").read_text())
        self.step, self.weight = int(state["step"]), float(state["weight"])
        return self.step

    def _save(self, reason: str) -> int | None:
        if self.saved_step == self.step:
            return self.step
        try:
            self._publish(reason)
        except WorkspaceError as error:
            sys.stderr.write(f"{error}\n")
            return None
        self.saved_step = self.step
        retain(self.paths, keep=self.behaviour.keep, best_step=None, pinned=set())
        return self.step

    def _publish(self, reason: str) -> None:
        began = time.monotonic()
        staging = stage(self.paths, self.step)
        (staging / "state.json").write_text(json.dumps({"step": self.step, "weight": self.weight}))
        try:
            (staging / "weights.bin").write_bytes(os.urandom(self.behaviour.checkpoint_bytes))
        except OSError as error:
            discard(staging)
            raise WorkspaceError(f"the checkpoint could not be written: {error}") from error
        published = publish(
            staging, step=self.step, run_id=self.paths.run_id, recipe_sha256=self.job.queued.recipe_sha256, extra={}
        )
        self.say(
            CheckpointSaved(
                step=self.step, folder=published.folder.relative_to(self.paths.folder).as_posix(),
                bytes=published.bytes, manifest_sha256=published.manifest_sha256, reason=reason,
                seconds=time.monotonic() - began,
            )
        )  # fmt: skip
        self.spool.sync()

    def _finish(self, outcome: str) -> None:
        self.say(Finished(outcome=outcome, message=f"the fake worker ended as {outcome}", step=self.step))
        for _ in range(100):
            if not self.unsaid:
                break
            time.sleep(0.1)
            self._drain()
        self.spool.close()
        time.sleep(self.behaviour.end_seconds)


def main() -> int:
    paths = RunPaths(Path(sys.argv[1]).resolve())
    attempt = int(os.environ["FINETUI_ATTEMPT"])
    lock = FileLock(paths.lock)
    if not lock.acquire(2.0) or attempt_facts(paths, attempt)[0] is not None:
        sys.stderr.write("another worker has this attempt\n")
        return REFUSED
    worker = FakeWorker(paths, attempt)
    device = FileLock(worker.workspace.cpu_lock)
    needs_device = worker.job.queued.device == "cpu"
    if needs_device and not device.acquire(30.0):
        sys.stderr.write("the CPU is busy\n")
        return 1
    worker.run()
    if worker.behaviour.wakes_supervisor:
        SUPERVISOR_OPTIONS[:] = ["--worker-module", "tests.process.fake_worker"]
        ensure_supervisor(worker.workspace)
    return 0


if __name__ == "__main__":
    sys.exit(main())
