"""trackio's local projects, one SQLite file with many runs: `metrics` holds a JSON object for each logged step.

Both schema versions: before 0.24 a run was known by its name alone. SQL is `core.store.foreign`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from core.errors import ForeignFileError
from core.importers.foreign import ForeignRun
from core.importers.gather import Gatherer, as_step, as_time, clean_config, max_steps_of, model_of, parse_json
from core.states import Outcome
from core.store.foreign import ForeignDatabase, open_foreign

TRACKER = "trackio"
_COLUMNS = ("run_name", "timestamp", "step", "metrics")
_STEP_NAMES = ("train/global_step", "global_step")


@dataclass(slots=True)
class _Run:
    name: str
    gatherer: Gatherer
    config: dict[str, object] = field(default_factory=dict)
    created_at: float | None = None


def is_project(database: ForeignDatabase) -> bool:
    """Whether the tables are trackio's."""
    return database.has("metrics", _COLUMNS)


def read(path: Path) -> list[ForeignRun]:
    """The runs of a project, in the order in which they first logged.

    Raises:
        ForeignFileError: the database is damaged or of another program.
    """
    with open_foreign(path) as database:
        if not is_project(database):
            raise ForeignFileError(f"{path} is not a trackio project")
        runs: dict[str, _Run] = {}
        _read_metrics(database, str(path), runs)
        _read_configs(database, str(path), runs)
    return [_foreign(path, run_id, run) for run_id, run in runs.items()]


def _read_metrics(database: ForeignDatabase, source: str, runs: dict[str, _Run]) -> None:
    identity = "run_id" if database.has("metrics", ("run_id",)) else "run_name"
    order = ("id",) if database.has("metrics", ("id",)) else ("timestamp",)
    for run_id, name, timestamp, step, text in database.rows("metrics", (identity, *_COLUMNS), order=order):
        run = runs.setdefault(str(run_id), _Run(str(name), Gatherer(source)))
        row = parse_json(text)
        if not isinstance(row, dict):
            run.gatherer.refuse()
            continue
        named = next((found for key in _STEP_NAMES if (found := as_step(row.get(key))) is not None), None)
        for key, value in row.items():
            run.gatherer.add(step if named is None else named, key, value, _time(timestamp))


def _read_configs(database: ForeignDatabase, source: str, runs: dict[str, _Run]) -> None:
    if not database.has("configs", ("run_name", "config", "created_at")):
        return
    identity = "run_id" if database.has("configs", ("run_id",)) else "run_name"
    for run_id, name, text, created_at in database.rows("configs", (identity, "run_name", "config", "created_at")):
        run = runs.setdefault(str(run_id), _Run(str(name), Gatherer(source)))
        config = parse_json(text)
        if isinstance(config, dict):
            run.config = {key: value for key, value in config.items() if not str(key).startswith("_")}
        run.created_at = _time(created_at)


def _time(text: object) -> float | None:
    """Seconds since 1970 of an ISO 8601 time; one without a zone is UTC, as trackio writes it."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    try:
        return as_time((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (OverflowError, ValueError):
        return None


def _foreign(path: Path, run_id: str, run: _Run) -> ForeignRun:
    gathered = run.gatherer.gathered()
    config, remarks = clean_config(run.config)
    began = run.created_at or gathered.first_at or path.stat().st_mtime
    return ForeignRun(
        tracker=TRACKER,
        source=str(path),
        source_run=f"{path.stem}/{run_id}",
        name=run.name,
        created_at=began if gathered.first_at is None else min(began, gathered.first_at),
        ended_at=gathered.last_at or began,
        outcome=Outcome.COMPLETED,
        message="trackio does not record how a run ended",
        steps=gathered.steps,
        evaluations=gathered.evaluations,
        config=config,
        totals=gathered.totals,
        model=model_of(config),
        max_steps=max_steps_of(config),
        remarks=(*gathered.remarks, *remarks),
    )
