"""A run that another tracker recorded, in one shape whatever the tracker: frozen data, with what could not be read.

It must not know a file format or a folder of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from core.states import Outcome

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignStep:
    """The scalars of one step; `at` in seconds since 1970, None where the tracker kept no times."""

    step: int
    at: float | None
    values: dict[str, float]
    epoch: float | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignEvaluation:
    """One set's metrics at one step; `rows` and `seconds` are 0 where they were not recorded."""

    step: int
    at: float | None
    set_name: str
    role: str
    metrics: dict[str, float]
    rows: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRun:
    """One run of another tracker. `source_run` is its id there, empty where it has none.

    `created_at` and `ended_at` are seconds since 1970; `best` is (step, metric, value); `remarks` are sentences about
    what was left out.
    """

    tracker: str
    source: str
    source_run: str
    name: str
    created_at: float
    ended_at: float
    outcome: Outcome
    message: str = ""
    steps: tuple[ForeignStep, ...]
    evaluations: tuple[ForeignEvaluation, ...]
    config: dict[str, Json] = field(default_factory=dict)
    totals: dict[str, float] = field(default_factory=dict)
    model: str | None = None
    method: str | None = None
    max_steps: int | None = None
    best: tuple[int, str, float] | None = None
    tags: tuple[str, ...] = ()
    note: str = ""
    remarks: tuple[str, ...] = ()
