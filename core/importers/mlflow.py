"""MLflow's tracking database in SQLite: runs, metrics, params, tags (mlflow/store/tracking/dbmodels/models.py).

Infinity is stored there as the largest double, NaN as 0 with a flag; times are milliseconds. Deleted runs are left out.
SQL is `core.store.foreign`'s.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from core.errors import ForeignFileError
from core.importers.foreign import ForeignRun
from core.importers.gather import Gatherer, as_number, as_time, clean_config, max_steps_of, model_of
from core.states import Outcome
from core.store.foreign import Cell, ForeignDatabase, open_foreign

TRACKER = "MLflow"
_RUN_COLUMNS = ("run_uuid", "name", "status", "start_time", "end_time", "lifecycle_stage")
_METRIC_COLUMNS = ("key", "value", "timestamp", "step", "is_nan")
_PRIVATE = "mlflow."
_OUTCOMES = {
    "FINISHED": (Outcome.COMPLETED, ""),
    "FAILED": (Outcome.CRASHED, "MLflow recorded that it failed"),
    "KILLED": (Outcome.STOPPED, "MLflow recorded that it was killed"),
}


def is_tracking_store(database: ForeignDatabase) -> bool:
    """Whether the tables are MLflow's."""
    return database.has("runs", _RUN_COLUMNS) and database.has("metrics", ("run_uuid", *_METRIC_COLUMNS))


def read(path: Path) -> list[ForeignRun]:
    """The runs of a tracking database that were not deleted, oldest first.

    Raises:
        ForeignFileError: the database is damaged or of another program.
    """
    with open_foreign(path) as database:
        if not is_tracking_store(database):
            raise ForeignFileError(f"{path} is not an MLflow database")
        rows = list(database.rows("runs", _RUN_COLUMNS, where={"lifecycle_stage": "active"}, order=("start_time",)))
        return [_run(database, path, *row[:5]) for row in rows]


def _run(
    database: ForeignDatabase, path: Path, run_id: Cell, name: Cell, status: Cell, start: Cell, end: Cell
) -> ForeignRun:
    gatherer = Gatherer(str(path))
    order = ("timestamp", "step")
    for key, value, timestamp, step, is_nan in database.rows(
        "metrics", _METRIC_COLUMNS, where={"run_uuid": run_id}, order=order
    ):
        gatherer.add(step, key, math.nan if is_nan else _restored(value), _seconds(timestamp))
    gathered = gatherer.gathered()
    tags = _pairs(database, "tags", run_id)
    config, remarks = clean_config(_pairs(database, "params", run_id))
    began = _seconds(start) or gathered.first_at or path.stat().st_mtime
    outcome, message = _OUTCOMES.get(str(status), (Outcome.LOST, f"it was {str(status).lower()} when it was imported"))
    return ForeignRun(
        tracker=TRACKER,
        source=str(path),
        source_run=str(run_id),
        name=str(name or tags.get("mlflow.runName") or run_id),
        created_at=began,
        ended_at=_seconds(end) or gathered.last_at or began,
        outcome=outcome,
        message=message,
        steps=gathered.steps,
        evaluations=gathered.evaluations,
        config=config,
        totals=gathered.totals,
        model=model_of(config),
        max_steps=max_steps_of(config),
        tags=tuple(f"{key}:{value}" if value else key for key, value in tags.items() if not key.startswith(_PRIVATE)),
        note=tags.get("mlflow.note.content", ""),
        remarks=(*gathered.remarks, *remarks),
    )


def _restored(value: Cell) -> object:
    number = as_number(value)
    if number is not None and abs(number) >= sys.float_info.max:
        return math.copysign(math.inf, number)
    return number


def _seconds(milliseconds: Cell) -> float | None:
    number = as_number(milliseconds)
    return None if number is None else as_time(number / 1000)


def _pairs(database: ForeignDatabase, table: str, run_id: Cell) -> dict[str, str]:
    if not database.has(table, ("key", "value", "run_uuid")):
        return {}
    rows = database.rows(table, ("key", "value"), where={"run_uuid": run_id}, order=("key",))
    return {str(key): "" if value is None else str(value) for key, value in rows}
