"""A run of another tracker becomes an ordinary run folder: the same line files, written through the same spool.

The folder appears whole, with all its lines, and is taken in like one that was copied from another machine: from held
to finished within one transaction, so that nothing can start it, and a rebuild makes the same rows. It has no
recipe.yaml; `job.json` says where it came from, and by a checksum of its content the same run is never imported twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice, pairwise
from typing import cast

from core.errors import FinetuiError, RunError, StoreBusyError, WorkspaceError
from core.events import BestChanged, Evaluated, Event, Finished, Job, Moved, RunQueued, Started, StepLogged
from core.events.lines import Json
from core.importers.foreign import ForeignEvaluation, ForeignRun, ForeignStep
from core.locks import FileLock
from core.paths import RunPaths, Workspace
from core.runs import labels
from core.runs.folder import create_run_folder, new_run_id, read_job
from core.runs.redact import redact
from core.runs.seen import SEEN_TIMEOUT_SECONDS
from core.runs.spool import Spool
from core.states import State
from core.store.ingest import ingest_once
from core.store.reader import open_reader

LOCK_TIMEOUT_SECONDS = 60.0
_DRAWS = 64
_LINES_A_WRITE = 2000
_MAX_TAGS = 50


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one foreign run: `is_new` is false where the same was imported before, as `run_id`.

    `earlier` is a run that was imported from the same source when that held less; None where there is none.
    """

    run_id: str
    is_new: bool
    earlier: str | None = None


def import_runs(
    workspace: Workspace, runs: Sequence[ForeignRun], *, name: str | None = None, tags: Sequence[str] = ()
) -> list[Imported]:
    """Take in foreign runs, each as a finished run; one that is here already is left as it is.

    Raises:
        UsageError: the name or a tag is empty or too long.
        WorkspaceError: the workspace can't be written, or the disk is full; runs before that one are imported.
        StoreBusyError: another import has been running for a minute.
    """
    lock = FileLock(workspace.import_lock)
    if not lock.acquire(LOCK_TIMEOUT_SECONDS):
        raise StoreBusyError("another import is running in this workspace", try_this="try again when it is done")
    with lock:
        known = _known(workspace)
        done = []
        for run in runs:
            chosen = _writable(run if name is None else replace(run, name=name))
            sha256 = content_sha256(run)
            found = known.by_content.get(sha256)
            if found is None:
                origin = (run.tracker, run.source_run or run.source)
                run_id = _import_one(workspace, chosen, sha256, tags)
                done.append(Imported(run_id, True, known.by_origin.get(origin)))
                known.by_content[sha256] = known.by_origin[origin] = run_id
            else:
                done.append(Imported(found, False))
        return done


def content_sha256(run: ForeignRun) -> str:
    """A checksum of what was recorded (curves, evaluations, settings), whatever the file's name, time or padding."""
    digest = hashlib.sha256()
    about = {"tracker": run.tracker, "run": run.source_run, "config": run.config, "outcome": run.outcome}
    digest.update(json.dumps(about, sort_keys=True).encode("utf-8", "backslashreplace"))
    rows: tuple[ForeignStep | ForeignEvaluation, ...] = (*run.steps, *run.evaluations)
    for row in rows:
        digest.update(repr(asdict(row)).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def _writable(run: ForeignRun) -> ForeignRun:
    """The run with texts that UTF-8 can carry: names and paths may hold lone surrogates."""

    def plain(text: str) -> str:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    return replace(
        run,
        name=plain(run.name),
        source=plain(run.source),
        source_run=plain(run.source_run),
        model=None if run.model is None else plain(run.model),
        note=plain(run.note),
        tags=tuple(plain(tag) for tag in run.tags),
    )


@dataclass(slots=True)
class _Known:
    """Imported runs of the workspace by content, and by where they came from."""

    by_content: dict[str, str]
    by_origin: dict[tuple[str, str], str]


def _known(workspace: Workspace) -> _Known:
    ingest_once(workspace)
    known = _Known({}, {})
    with open_reader(workspace) as reader:
        rows = [row for row in reader.runs() if row.imported]
    for row in rows:
        try:
            origin = read_job(workspace.run(row.run_id)).imported
        except FinetuiError:
            continue  # a copied folder, or one that fsck complains about
        if origin is not None:
            known.by_content[str(origin.get("sha256"))] = row.run_id
            place = str(origin.get("source_run") or origin.get("source"))
            known.by_origin[str(origin.get("tracker")), place] = row.run_id
    return known


def _import_one(workspace: Workspace, run: ForeignRun, sha256: str, tags: Sequence[str]) -> str:
    wanted = list(dict.fromkeys([*tags, *(tag for tag in run.tags if tag.strip())]))[:_MAX_TAGS]
    paths = _make_folder(workspace, run, sha256)
    _wait_until_finished(workspace, paths.run_id)
    for tag in wanted:
        labels.tag(workspace, paths.run_id, tag if tag in tags else tag[: labels.MAX_TAG_CHARACTERS])
    if run.note.strip():
        labels.note(workspace, paths.run_id, redact(run.note[: labels.MAX_NOTE_CHARACTERS]))
    return paths.run_id


def _make_folder(workspace: Workspace, run: ForeignRun, sha256: str) -> RunPaths:
    origin: dict[str, Json] = {
        "tracker": run.tracker, "source": run.source, "source_run": run.source_run, "sha256": sha256,
    }  # fmt: skip
    for _ in range(_DRAWS):
        queued = RunQueued(
            run_id=new_run_id(),
            name=" ".join(run.name.split())[: labels.MAX_NAME_CHARACTERS] or run.tracker,
            kind="train",
            recipe_sha256="",
            method=run.method,
            model=run.model,
            max_steps=run.max_steps,
            device="none",
        )
        job = Job(queued=queued, created_at=run.created_at, arguments={"imported": origin})
        try:
            return create_run_folder(workspace, job, None, lambda paths: _write_lines(paths, run))
        except FileExistsError:
            continue
    raise WorkspaceError("could not find a free run id", try_this="try again; is the clock set back?")


def _write_lines(paths: RunPaths, run: ForeignRun) -> None:
    environment = {
        "version": 1,
        "imported": {"tracker": run.tracker, "source": run.source, "remarks": list(run.remarks)},
        "config": redacted(cast(Json, run.config)),
    }
    text = json.dumps(environment, indent=2, allow_nan=False, ensure_ascii=True)
    paths.environment.write_text(text + "\n", encoding="ascii")
    with Spool.open(paths.events, attempt=1) as spool:
        waiting = iter(_events(run))
        while batch := tuple(islice(waiting, _LINES_A_WRITE)):
            spool.append_all(tuple(event for event, _ in batch), tuple(at for _, at in batch))
    with Spool.open(paths.supervisor, attempt=1) as spool:
        spool.append_all(_moves(run), (run.created_at, run.created_at, run.ended_at))


def _events(run: ForeignRun) -> Iterator[tuple[Event, float]]:
    """What a worker would have said, each with its time; a value without a time has that of the one before."""
    at = run.created_at
    yield Started(kind="train", pid=0, boot_id="", start_ticks=0, device="unknown"), at
    default = run.created_at if any(step.at is not None for step in run.steps) else run.ended_at
    rows: tuple[ForeignStep | ForeignEvaluation, ...] = (*run.steps, *run.evaluations)
    for row in sorted(rows, key=lambda each: each.step):  # stable: a step's values, then its evaluations
        at = row.at if row.at is not None else max(at, default)
        yield _event(row, at - run.created_at if row.at is not None else None), at
    if run.best is not None:
        yield BestChanged(step=run.best[0], metric=run.best[1], value=run.best[2]), at
    last = run.steps[-1].step if run.steps else None
    message = run.message or f"imported from {run.tracker}"
    yield Finished(outcome=run.outcome.value, message=message, step=last, totals=run.totals), run.ended_at


def _event(row: ForeignStep | ForeignEvaluation, elapsed_seconds: float | None) -> Event:
    if isinstance(row, ForeignEvaluation):
        return Evaluated(
            step=row.step, set_name=row.set_name, role=row.role, metrics=row.metrics, rows=row.rows, seconds=row.seconds
        )
    elapsed = elapsed_seconds if elapsed_seconds is not None and elapsed_seconds >= 0 else None
    return StepLogged(step=row.step, values=row.values, epoch=row.epoch, tokens=row.tokens, elapsed_seconds=elapsed)


def _moves(run: ForeignRun) -> tuple[Event, ...]:
    why = f"imported from {run.tracker}"
    lived = [State.QUEUED, State.STARTING, State.RUNNING]
    moves: list[Event] = [
        Moved(from_state=before.value, to_state=after.value, journal_seq=0, why=why)
        for before, after in pairwise(lived)
    ]
    end = Moved(
        from_state=State.RUNNING.value, to_state=State.FINISHED.value, journal_seq=0, why=why, outcome=run.outcome.value
    )
    return (*moves, end)


def redacted(value: Json, name: str = "") -> Json:
    """A configuration without secrets: known token forms, and every text whose name says that it is one."""
    if isinstance(value, str):
        assigned = f"{name}={redact(value)}"
        return redact(assigned)[len(name) + 1 :]
    if isinstance(value, dict):
        return {key: redacted(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [redacted(item, name) for item in value]
    return value


def _wait_until_finished(workspace: Workspace, run_id: str) -> None:
    """Until the run is in the store, by whoever ingests; one that takes longer (a full disk) is taken in later."""
    deadline = time.monotonic() + SEEN_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        ingest_once(workspace)
        with open_reader(workspace) as reader, contextlib.suppress(RunError):
            if reader.run(run_id).state is State.FINISHED:
                return
        time.sleep(0.02)
