"""Play recorded runs into a workspace as if they happened now: for tests, pictures of the app and long soaks.

    python -P -m core.runs.replay RECORDED… --workspace DIR --speed 20
    python -P -m core.runs.replay RECORDED… --workspace DIR --instant

The same folders, journal lines and spools as a real run's, each under a new id; this process stands in for supervisor
and worker, holding their locks, so that nothing real can start. `--instant` writes the recorded times and waits for
nothing: two such replays differ in nothing. A person may stop a played run; other requests are refused.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from core.errors import FinetuiError, LaunchError, UsageError
from core.events import (
    Cancelled,
    Event,
    Exited,
    Finished,
    Moved,
    Record,
    RequestAnswered,
    Resumed,
    RunQueued,
    Started,
    WorkerSpawned,
)
from core.locks import FileLock
from core.paths import RunPaths, Workspace, find_workspace
from core.runs.folder import create_run_folder, new_run_id
from core.runs.identity import read_boot_id, this_process
from core.runs.journal import decide
from core.runs.recording import EVENTS, SUPERVISOR, RecordedLine, Recording, load_recording, under_id
from core.runs.spool import Spool
from core.states import Outcome, State
from core.store.ingest import Writer, ingest, open_writer
from core.store.reader import Reader, open_reader

TICK_SECONDS = 0.1
LOCK_TIMEOUT_SECONDS = 10.0
_DRAWS = 64


class Replay:
    """One recording that is being played. `began_at` is when, in seconds since 1970; None writes the recorded times."""

    def __init__(
        self, workspace: Workspace, recording: Recording, *, name: str | None = None, began_at: float | None = None
    ) -> None:
        self._workspace = workspace
        self._recording = recording
        self._began_at = began_at
        self._next = 0
        self._logged = 0
        self._state = State.QUEUED
        self._process = this_process()
        self._journal_seq = 0
        self._has_environment = False
        self.paths = self._queue(name)
        self._lock = FileLock(self.paths.lock)
        self._spools = {EVENTS: Spool.open(self.paths.events, 1), SUPERVISOR: Spool.open(self.paths.supervisor, 1)}

    @property
    def run_id(self) -> str:
        """The id under which it is played."""
        return self.paths.run_id

    @property
    def is_over(self) -> bool:
        """Whether every line was played."""
        return self._next >= len(self._recording.lines)

    def seconds_to_next(self, at: float) -> float:
        """How long after `at` (seconds of the recording) the next line is due; 0 for one that is late."""
        return 0.0 if self.is_over else max(0.0, self._recording.lines[self._next].at - at)

    def play_until(self, at: float) -> None:
        """Write every line that was written in the first `at` seconds of the recording."""
        lines = self._recording.lines
        batch: list[RecordedLine] = []
        while self._next < len(lines) and lines[self._next].at <= at:
            line = lines[self._next]
            self._next += 1
            if batch and (batch[-1].file, batch[-1].record.attempt) != (line.file, line.record.attempt):
                self._write(batch)
                batch = []
            batch.append(line)
        if batch:
            self._write(batch)
        self._write_log()

    def answer_requests(self, reader: Reader) -> None:
        """Stop where a person asked for that; say to every other request that nothing is trained here."""
        waiting = [row for row in reader.requests(self.run_id) if row.answered_at is None]
        for row in waiting:
            ok = row.action == "stop" and self._state in (State.STARTING, State.RUNNING)
            message = "stopped" if ok else "this run is a replay: it can only be stopped"
            self._spools[EVENTS].append(RequestAnswered(request_id=row.request_id, ok=ok, message=message))
            if ok:
                self._stop()

    def close(self) -> None:
        """Give everything back; the run stays as far as it was played, and one that never began is cancelled."""
        if self._state is State.QUEUED:  # else the next supervisor would train it for real
            decide(self._workspace, Cancelled(run_id=self.run_id))
        for spool in self._spools.values():
            spool.close()
        self._lock.release()

    def _queue(self, name: str | None) -> RunPaths:
        recorded = self._recording.job
        created_at = recorded.created_at if self._began_at is None else self._began_at
        for run_id in self._ids():
            boot_id = recorded.queued.boot_id if self._began_at is None else read_boot_id()
            fields = asdict(recorded.queued) | {"run_id": run_id, "held": False, "boot_id": boot_id}
            queued = RunQueued(**fields | ({} if name is None else {"name": name}))
            job = replace(recorded, queued=queued, created_at=created_at)
            try:
                paths = create_run_folder(self._workspace, job, self._recording.recipe_text)
            except FileExistsError:
                continue
            self._journal_seq = decide(self._workspace, queued, at=created_at)[-1]
            return paths
        raise LaunchError("could not find a free run id", try_this="try again")

    def _ids(self) -> Iterator[str]:
        if self._began_at is None:
            yield self._recording.run_id  # the recorded one where it is free, so that two replays are equal
        for _ in range(_DRAWS):
            yield new_run_id()

    def _write(self, batch: list[RecordedLine]) -> None:
        """Lines of one file and one attempt, by one write."""
        spool = self._spools[batch[0].file]
        attempt = batch[0].record.attempt
        events: list[Event] = []
        for line in batch:
            if line.record.event is not None:
                self._prepare(line.record.event, line.record)
                events.append(self._as_played(line.record.event))
        spool.attempt = attempt
        times = [line.record.ts for line in batch] if self._began_at is None else [time.time()] * len(batch)
        spool.append_all(tuple(events), tuple(times))

    def _prepare(self, event: Event, record: Record) -> None:
        """What surrounds an event: the lock of a living worker, its environment, the line that resumed it."""
        if isinstance(event, Started) and not self._has_environment:
            self._has_environment = True
            if self._recording.environment_text is not None:
                self.paths.environment.write_text(self._recording.environment_text, encoding="utf-8")
        if isinstance(event, Moved):
            self._state = State(event.to_state)
            if event.from_state == State.QUEUED and record.attempt > 1 and event.to_state == State.STARTING:
                resumed = Resumed(run_id=self.run_id, attempt=record.attempt)
                at = record.ts if self._began_at is None else None
                self._journal_seq = decide(self._workspace, resumed, at=at)[-1]
            if event.to_state == State.STARTING:
                self._lock.try_acquire()
            elif event.to_state in (State.FINISHED, State.PAUSED):
                self._lock.release()

    def _as_played(self, event: Event) -> Event:
        if isinstance(event, Moved):
            return replace(event, journal_seq=self._journal_seq)
        if isinstance(event, (Started, WorkerSpawned)) and self._began_at is not None:
            mine = self._process
            return replace(event, pid=mine.pid, boot_id=mine.boot_id, start_ticks=mine.start_ticks)
        return under_id(event, self._recording.run_id, self.run_id)

    def _write_log(self) -> None:
        """As much of the worker's log as of its lines."""
        log = self._recording.log
        due = len(log) * self._next // len(self._recording.lines)
        if due > self._logged:
            with self.paths.log.open("ab") as file:
                file.writelines(log[self._logged : due])
            self._logged = due

    def _stop(self) -> None:
        self._next = len(self._recording.lines)
        self._spools[EVENTS].append(Finished(outcome=Outcome.STOPPED.value, message="stopped on request"))
        moves: list[Event] = [Exited(exit_code=0, signal=None)]
        for before, after, outcome in (
            (self._state, State.STOPPING, None),
            (State.STOPPING, State.FINISHED, Outcome.STOPPED),
        ):
            moves.append(
                Moved(
                    from_state=before.value, to_state=after.value, journal_seq=self._journal_seq, why="stop requested",
                    outcome=None if outcome is None else outcome.value,
                )
            )  # fmt: skip
        self._spools[SUPERVISOR].append_all(tuple(moves))
        self._lock.release()


def play(
    workspace: Workspace, recordings: Sequence[Recording], *, speed: float = 1.0, name: str | None = None
) -> list[str]:
    """Play recordings side by side, `speed` times as fast as they were recorded; returns their new ids when all ended.

    Raises:
        UsageError: `speed` is not above 0.
        LaunchError: a supervisor works on this workspace.
        WorkspaceError: the workspace can't be written.
    """
    if not speed > 0:
        raise UsageError(f"a speed of {speed:g} plays nothing", try_this="a number above 0, or --instant")
    with _stage(workspace) as writer:
        began = time.monotonic()
        replays = [Replay(workspace, each, name=name, began_at=time.time()) for each in recordings]
        try:
            with open_reader(workspace) as reader:
                while not all(each.is_over for each in replays):
                    at = (time.monotonic() - began) * speed
                    for each in replays:
                        each.play_until(at)
                    ingest(writer, workspace)
                    for each in replays:
                        each.answer_requests(reader)
                    waits = [each.seconds_to_next(at) / speed for each in replays if not each.is_over]
                    time.sleep(min(TICK_SECONDS, max(0.01, min(waits, default=0.0))))
            ingest(writer, workspace)
        finally:
            for each in replays:
                each.close()
    return [each.run_id for each in replays]


def play_instantly(workspace: Workspace, recordings: Sequence[Recording], *, name: str | None = None) -> list[str]:
    """Write recordings whole, with their recorded times and, where these are free, their ids; returns the ids.

    Raises:
        LaunchError, WorkspaceError: as `play`.
    """
    run_ids = []
    with _stage(workspace) as writer:
        for recording in recordings:
            replay = Replay(workspace, recording, name=name)
            try:
                replay.play_until(float("inf"))
            finally:
                replay.close()
            run_ids.append(replay.run_id)
        ingest(writer, workspace)
    return run_ids


@contextmanager
def _stage(workspace: Workspace) -> Iterator[Writer]:
    """The locks of a supervisor, so that none starts what is only played, and the database to ingest into."""
    supervising, ingesting = FileLock(workspace.supervisor_lock), FileLock(workspace.ingest_lock)
    if not supervising.acquire(LOCK_TIMEOUT_SECONDS):
        raise LaunchError("a supervisor works on this workspace", try_this="replay into a workspace of its own")
    with supervising:
        if not ingesting.acquire(LOCK_TIMEOUT_SECONDS):
            raise LaunchError("another process keeps the store of this workspace", try_this="try again in a moment")
        with ingesting, open_writer(workspace) as writer:
            yield writer


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 when everything was played."""
    parser = argparse.ArgumentParser(prog="python -m core.runs.replay", description="Play recorded run folders.")
    parser.add_argument("recorded", metavar="RECORDED", nargs="+", help="a run folder; several are played side by side")
    parser.add_argument("--workspace", metavar="DIR", help="where to play (default: the current folder)")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times faster than recorded")
    parser.add_argument("--instant", action="store_true", help="write all at once, with the recorded times")
    parser.add_argument("--repeat", type=int, default=1, help="play everything so many times, one after the other")
    parser.add_argument("--name", help="the name of the runs (default: the recorded one)")
    chosen = parser.parse_args(arguments)
    os.umask(0o077)
    workspace = find_workspace(chosen.workspace)
    try:
        recordings = [load_recording(Path(folder)) for folder in chosen.recorded]
        for _ in range(chosen.repeat):
            if chosen.instant:
                run_ids = play_instantly(workspace, recordings, name=chosen.name)
            else:
                run_ids = play(workspace, recordings, speed=chosen.speed, name=chosen.name)
            sys.stdout.write("".join(f"{run_id}\n" for run_id in run_ids))
            sys.stdout.flush()
    except FinetuiError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
