"""W&B's offline runs, `run-<id>.wandb`: a log of protocol-buffer records (wandb/proto/wandb_internal.proto).

Read are run, config, history, exit and which metric counts the steps; values as the older JSON text and as the newer
typed fields. Console output, artifacts and system metrics are passed over.
"""

from __future__ import annotations

from pathlib import Path

from core.errors import ForeignFileError
from core.importers.foreign import ForeignRun, Json
from core.importers.gather import Gatherer, as_step, as_time, clean_config, max_steps_of, model_of, parse_json
from core.importers.records import WANDB_HEADER, Damage, read_wandb_log
from core.importers.wire import fields, floating, message, signed, text, zigzag
from core.states import Outcome

TRACKER = "W&B"
SUFFIX = ".wandb"
_HISTORY, _CONFIG, _METRIC, _RUN, _EXIT = 2, 5, 12, 17, 18
_STEP_NAMES = ("train/global_step", "global_step", "trainer/global_step")


def is_wandb_file(path: Path) -> bool:
    """Whether a file begins with W&B's magic."""
    try:
        with path.open("rb") as file:
            return file.read(len(WANDB_HEADER)) == WANDB_HEADER
    except OSError:
        return False


def read(path: Path) -> list[ForeignRun]:
    """The one run of a .wandb file; none where nothing was recorded.

    Raises:
        ForeignFileError: it is damaged before a run is told.
    """
    reader = _Reader(str(path))
    damage = Damage()
    with path.open("rb") as file:
        for record in read_wandb_log(file, damage):
            try:
                reader.record(record)
            except ValueError:
                reader.gatherer.refuse()
    if damage.why:
        reader.remarks.append(f"{damage.why}; what stands before it was kept")
    if reader.is_empty:
        if reader.remarks:
            raise ForeignFileError(f"{path} is damaged", why="; ".join(reader.remarks))
        return []
    return [reader.run(path)]


class _Reader:
    def __init__(self, source: str) -> None:
        self.gatherer = Gatherer(source)
        self.remarks: list[str] = []
        self._run_id = self._name = self._note = self._project = ""
        self._tags: list[str] = []
        self._started_at: float | None = None
        self._config: dict[str, object] = {}
        self._step_metrics: dict[str, None] = {}
        self._exit_code: int | None = None
        self._runtime = 0

    @property
    def is_empty(self) -> bool:
        """Whether neither a run nor a value was told."""
        return not self._run_id and self.gatherer.is_empty

    def record(self, data: bytes) -> None:
        for number, _, value in fields(data):
            if number == _HISTORY:
                self._history(message(value))
            elif number == _CONFIG:
                self._update_config(message(value))
            elif number == _RUN:
                self._run(message(value))
            elif number == _METRIC:
                self._step_metrics.update({text(item): None for field, _, item in fields(message(value)) if field == 4})
            elif number == _EXIT:
                self._exit(message(value))

    def _run(self, data: bytes) -> None:
        for number, _, value in fields(data):
            if number == 1:
                self._run_id = text(value)
            elif number == 3:
                self._project = text(value)
            elif number == 4:
                self._update_config(message(value))
            elif number == 8:
                self._name = text(value)
            elif number == 9:
                self._note = text(value)
            elif number == 10:
                self._tags.append(text(value))
            elif number == 17:
                parts = {field: signed(item) for field, _, item in fields(message(value))}
                self._started_at = as_time(parts.get(1, 0) + parts.get(2, 0) / 1e9)

    def _exit(self, data: bytes) -> None:
        found = {number: value for number, _, value in fields(data)}
        self._exit_code = signed(found.get(1, 0))
        self._runtime = max(0, signed(found.get(2, 0)))

    def _update_config(self, data: bytes) -> None:
        for number, _, value in fields(data):
            key, found = _item(message(value)) if number in (1, 2) else ("", None)
            if not key or key == "_wandb":
                continue
            if number == 1:
                self._config[key] = found
            else:
                self._config.pop(key, None)

    def _history(self, data: bytes) -> None:
        row: dict[str, object] = {}
        counted: int | None = None
        for number, _, value in fields(data):
            if number == 1:
                key, found = _item(message(value))
                row[key] = found
            elif number == 2:
                counted = signed({field: item for field, _, item in fields(message(value))}.get(1, 0))
        named = (row[name] for name in (*self._step_metrics, *_STEP_NAMES) if name in row)
        step = next((found for found in map(as_step, named) if found is not None), None)
        if step is None:
            step = as_step(row.get("_step", counted))
        at = as_time(row.get("_timestamp"))
        for key, found in row.items():
            if key not in self._step_metrics:
                self.gatherer.add(step, key, found, at)

    def run(self, path: Path) -> ForeignRun:
        gathered = self.gatherer.gathered()
        config, remarks = clean_config(self._config)
        began = self._started_at or gathered.first_at or path.stat().st_mtime
        outcome, message_ = self._ending()
        return ForeignRun(
            tracker=TRACKER,
            source=str(path),
            source_run="/".join(part for part in (self._project, self._run_id) if part),
            name=self._name or self._run_id or path.stem,
            created_at=began,
            ended_at=max(gathered.last_at or began, began + min(self._runtime, 10**9)),
            outcome=outcome,
            message=message_,
            steps=gathered.steps,
            evaluations=gathered.evaluations,
            config=config,
            totals=gathered.totals,
            model=model_of(config),
            max_steps=max_steps_of(config),
            tags=tuple(self._tags),
            note=self._note,
            remarks=(*gathered.remarks, *self.remarks, *remarks),
        )

    def _ending(self) -> tuple[Outcome, str]:
        if self._exit_code is None:
            return Outcome.LOST, "the file has no end: the run was cut off, or went on after the import"
        if self._exit_code:
            return Outcome.CRASHED, f"W&B recorded exit code {self._exit_code}"
        return Outcome.COMPLETED, ""


def _item(data: bytes) -> tuple[str, Json | object]:
    """(key, value) of a history or config item; nested keys joined by dots, as W&B shows them."""
    key, nested = "", []
    value: object = None
    for number, _, found in fields(data):
        if number == 1:
            key = text(found)
        elif number == 2:
            nested.append(text(found))
        elif number == 4:
            value = bool(found)
        elif number == 5:
            value = zigzag(found)
        elif number == 6:
            value = floating(found)
        elif number == 7:
            value = text(found)
        elif number in (8, 16):
            value = parse_json(text(found))
    return key or ".".join(nested), value
