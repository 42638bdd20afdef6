"""Points as trackers hand them out, one by one, gathered into the steps and evaluations of a run.

A point that makes no sense (a step that is no number) is counted, not guessed at. This module must
not read a file.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from core.errors import ForeignFileError
from core.importers import names
from core.importers.foreign import ForeignEvaluation, ForeignStep, Json

MAX_KEYS = 10_000
MAX_KEY_CHARACTERS = 500
MAX_POINTS = 50_000_000
MAX_CONFIG_CHARACTERS = 1_000_000
_MAX_STEP = 2**53
_LATEST = 32_503_680_000.0  # the year 3000: later times are milliseconds or nonsense
_MODEL_KEYS = ("model_name_or_path", "base_model_name_or_path", "_name_or_path", "model_name", "model")
_WORDS = {"NaN": math.nan, "nan": math.nan, "Infinity": math.inf, "inf": math.inf, "-Infinity": -math.inf,
          "-inf": -math.inf}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gathered:
    """Steps and evaluations by step; `totals` are figures of the whole run."""

    steps: tuple[ForeignStep, ...]
    evaluations: tuple[ForeignEvaluation, ...]
    totals: dict[str, float]
    remarks: tuple[str, ...]
    first_at: float | None
    last_at: float | None


class Gatherer:
    """Takes points in any order; of two for the same step and name the later one stays."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._rows: dict[int, dict[str, float]] = {}
        self._times: dict[int, float] = {}
        self._keys: dict[str, None] = {}
        self._points = 0
        self._refused = 0

    def add(self, step: object, key: object, value: object, at: float | None = None) -> None:
        """One point. Text such as "NaN" counts as the number it names; anything else that is no number is left out.

        Raises:
            ForeignFileError: there are more points or names than any tracker's run has.
        """
        number = as_number(value)
        if number is None or not isinstance(key, str) or not key:
            return  # a picture, a table, a text: no curve
        place = as_step(step)
        if place is None or len(key) > MAX_KEY_CHARACTERS:
            self._refused += 1
            return
        if key not in self._keys:
            self._keys[key] = None
        self._points += 1
        if len(self._keys) > MAX_KEYS or self._points > MAX_POINTS:
            raise ForeignFileError(f"{self._source} holds more than a run's metrics", why="too many names or points")
        self._rows.setdefault(place, {})[key] = number
        time = as_time(at)
        if time is not None:
            self._times[place] = time

    @property
    def is_empty(self) -> bool:
        """Whether no point was taken."""
        return not self._rows

    def refuse(self) -> None:
        """Count a point that could not be read at all."""
        self._refused += 1

    def gathered(self) -> Gathered:
        """What was gathered so far."""
        meaning = names.meanings(self._keys)
        roles = names.roles(each.set_name for each in meaning.values() if each.kind == names.EVALUATION)
        steps: list[ForeignStep] = []
        evaluations: list[ForeignEvaluation] = []
        totals: dict[str, float] = {}
        for step in sorted(self._rows):
            at = self._times.get(step)
            row = _Row(meaning, self._rows[step])
            totals.update(row.totals)
            if row.values:
                steps.append(ForeignStep(step=step, at=at, values=row.values, epoch=row.epoch, tokens=row.tokens))
            evaluations += [
                evaluation_of(step, at, name, roles[name], metrics) for name, metrics in row.evaluations.items()
            ]
        remarks = (f"{self._refused} values could not be used",) if self._refused else ()
        times = self._times.values()
        return Gathered(
            tuple(steps), tuple(each for each in evaluations if each.metrics), totals, remarks,
            min(times, default=None), max(times, default=None),
        )  # fmt: skip


class _Row:
    """One step's values, sorted by what their names mean."""

    def __init__(self, meaning: dict[str, names.Meaning], row: dict[str, float]) -> None:
        self.values: dict[str, float] = {}
        self.evaluations: dict[str, dict[str, float]] = {}
        self.totals: dict[str, float] = {}
        self.epoch: float | None = None
        self.tokens: int | None = None
        for key, value in row.items():
            means = meaning[key]
            if means.kind == names.METRIC:
                self.values[means.name] = value
            elif means.kind == names.EVALUATION:
                self.evaluations.setdefault(means.set_name, {})[means.name] = value
            elif means.kind == names.TOTAL:
                self.totals[means.name] = value
            elif means.kind == names.EPOCH and math.isfinite(value):
                self.epoch = value
            elif means.kind == names.TOKENS and math.isfinite(value) and 0 <= value < _MAX_STEP:
                self.tokens = int(value)


def evaluation_of(step: int, at: float | None, set_name: str, role: str, found: dict[str, float]) -> ForeignEvaluation:
    """An evaluation whose bookkeeping (`runtime`, `samples_per_second`) became its seconds and rows."""
    metrics = dict(found)
    seconds = _positive(metrics.pop(names.RUNTIME, 0.0))
    rate = _positive(metrics.pop(names.RATE, 0.0))
    metrics.pop(names.STEP_RATE, None)
    rows = min(round(rate * seconds), _MAX_STEP)
    return ForeignEvaluation(
        step=step, at=at, set_name=set_name, role=role, metrics=metrics, rows=rows, seconds=seconds
    )


def _positive(value: float) -> float:
    return value if math.isfinite(value) and 0 < value < 1e9 else 0.0


def as_number(value: object) -> float | None:
    """A number, or the text of one that JSON lacks; None for anything else."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return _WORDS.get(value) if isinstance(value, str) else None


def as_step(value: object) -> int | None:
    """A step as a whole number of 0 or more; None where it is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_STEP else None


def as_time(value: object) -> float | None:
    """Seconds since 1970; None where it can't be a time."""
    number = as_number(value)
    return number if number is not None and 0 < number < _LATEST else None


def clean_config(found: object) -> tuple[dict[str, Json], tuple[str, ...]]:
    """A configuration as JSON values, and a remark where it was too large to keep."""
    if not isinstance(found, dict):
        return {}, ()
    config = {str(key): _clean(value, 0) for key, value in found.items()}
    if len(json.dumps(config)) > MAX_CONFIG_CHARACTERS:
        return {}, ("its configuration is too large and was left out",)
    return config, ()


def _clean(value: object, depth: int) -> Json:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth > 20:
        return "…"
    if isinstance(value, dict):
        return {str(key): _clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item, depth + 1) for item in value]
    return str(value)


def model_of(config: dict[str, Json]) -> str | None:
    """The base model that a configuration names, under the names that transformers and its users give it."""
    for key in _MODEL_KEYS:
        value = config.get(key)
        if isinstance(value, str) and value.strip():
            return value
    return None


def max_steps_of(config: dict[str, Json]) -> int | None:
    """The planned steps that a configuration names; -1 means "not given" to the Trainer."""
    value = config.get("max_steps")
    if isinstance(value, str) and value.isascii() and value.isdigit():  # MLflow keeps parameters as text
        value = int(value[:18])
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAX_STEP else None


def parse_json(text: object) -> object:
    """Any JSON value; None where the text is none (trackers write NaN and Infinity, which Python's reader takes)."""
    if not isinstance(text, (str, bytes)):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
