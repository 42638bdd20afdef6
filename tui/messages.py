"""What the feed tells the screens: frozen facts as Textual messages. It must not read a store nor know a widget.

The app hands each on to the screens that are open. Messages that describe the present replace one another while they
wait; those that carry new points do not, for a lost point would be lost for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual.message import Message

from core.store.rows import (
    AnswerRow,
    CheckpointRow,
    ChoiceRow,
    EvaluationRow,
    HealthRow,
    PlanRow,
    RequestRow,
    RunRow,
    SampleRow,
    TransitionRow,
)
from core.store.run_query import RunQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The workspace in a few numbers; `live` runs have a process, `ended` ones have lost theirs since the last look."""

    live: tuple[RunRow, ...]
    queued: int
    held: int
    ended: tuple[RunRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """All of one run that is not a curve; `hardware` are the last readings, oldest first.

    `differences` says what in its recipe is not as in the run it continues: `train.learning_rate 2e-4 → 1e-4`.
    """

    row: RunRow
    plan: PlanRow | None
    checkpoints: tuple[CheckpointRow, ...]
    evaluations: tuple[EvaluationRow, ...]
    health: tuple[HealthRow, ...]
    answers: tuple[AnswerRow, ...]
    choices: tuple[ChoiceRow, ...]
    transitions: tuple[TransitionRow, ...]
    hardware: tuple[SampleRow, ...]
    pending_requests: tuple[RequestRow, ...]
    metric_keys: tuple[str, ...]
    differences: tuple[str, ...] = ()


class FeedMessage(Message, bubble=False):
    """Anything that the feed says."""


class Present(FeedMessage, bubble=False):
    """A description of the present: a later one of the same kind makes an earlier one needless."""

    def can_replace(self, message: Message) -> bool:
        return type(message) is type(self)


class RunsChanged(Present, bubble=False):
    """The list that is watched may look different now; `count` runs fit its query, -1 where no list is watched.

    `cursor` is the place of the run `cursor_run_id`, which `set_cursor` named; None where it is not in the list.
    """

    def __init__(
        self,
        version: int,
        query: RunQuery,
        count: int,
        summary: Summary,
        cursor: int | None = None,
        cursor_run_id: str | None = None,
    ) -> None:
        super().__init__()
        self.version, self.query, self.count, self.summary = version, query, count, summary
        self.cursor, self.cursor_run_id = cursor, cursor_run_id


class RunsPage(FeedMessage, bubble=False):
    """Rows `start`… of a query. `values` (the extra columns) and `trends` (the loss) are by run id."""

    def __init__(
        self,
        query: RunQuery,
        start: int,
        rows: tuple[RunRow, ...],
        values: Mapping[str, tuple[float | None, ...]],
        trends: Mapping[str, tuple[float, ...]],
        version: int,
    ) -> None:
        super().__init__()
        self.query, self.start, self.rows, self.values = query, start, rows, values
        self.trends, self.version = trends, version


class QueueChanged(Present, bubble=False):
    """Runs that have a process, those that wait in start order (held ones among them), and the last that ended."""

    def __init__(self, live: tuple[RunRow, ...], waiting: tuple[RunRow, ...], ended: tuple[RunRow, ...]) -> None:
        super().__init__()
        self.live, self.waiting, self.ended = live, waiting, ended


class RunChanged(Present, bubble=False):
    """The watched run, as it is now."""

    def __init__(self, view: RunView) -> None:
        super().__init__()
        self.view = view


class RunGone(FeedMessage, bubble=False):
    """The watched run is not (or no longer) in the store."""

    def __init__(self, run_id: str, reason: str) -> None:
        super().__init__()
        self.run_id, self.reason = run_id, reason


class SeriesGrew(FeedMessage, bubble=False):
    """Points of one curve that are new since the last message; values may be nan or infinite.

    `reset` says that what was given before is void: the first load, or a resume that replaced points.
    """

    def __init__(
        self, run_id: str, key: str, generation: int, points: tuple[tuple[int, float], ...], reset: bool
    ) -> None:
        super().__init__()
        self.run_id, self.key, self.generation, self.points, self.reset = run_id, key, generation, points, reset


AxisPoint = tuple[int, float, int | None, float | None]
"""Step, wall clock in seconds since 1970, tokens seen, epoch."""


class AxisGrew(FeedMessage, bubble=False):
    """What the run's new steps correspond to; `reset` as in `SeriesGrew`."""

    def __init__(self, run_id: str, generation: int, rows: tuple[AxisPoint, ...], reset: bool) -> None:
        super().__init__()
        self.run_id, self.generation, self.rows, self.reset = run_id, generation, rows, reset


class HardwareChanged(Present, bubble=False):
    """The machine's last reading, taken for a live run; None while nothing runs."""

    def __init__(self, sample: SampleRow | None) -> None:
        super().__init__()
        self.sample = sample


class StoreUnavailable(Present, bubble=False):
    """The store can't be read now, and why; the feed goes on trying."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class StoreAvailable(Present, bubble=False):
    """The store can be read again; `warning` is what is unusual about it."""

    def __init__(self, warning: str) -> None:
        super().__init__()
        self.warning = warning
