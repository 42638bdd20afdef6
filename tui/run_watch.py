"""What the feed knows of the one run that is looked at: which curves, and up to which step they were sent.

It reads through the Reader it is given, in the feed's thread; it must not open the store, nor post.
"""

from __future__ import annotations

from collections.abc import Iterator

from textual.message import Message

from core.errors import FinetuiError, RunError
from core.paths import Workspace
from core.store.reader import Reader
from tui.messages import AxisGrew, RunChanged, RunGone, RunView, SeriesGrew

HARDWARE_READINGS = 180
"""Six minutes at one reading each two seconds."""


class RunWatch:
    """One watched run. A curve is sent whole once, then what is new; a new attempt sends it whole again."""

    def __init__(self, run_id: str, keys: tuple[str, ...]) -> None:
        self.run_id = run_id
        self.has_wishes = True
        self._keys = keys
        self._sent: dict[str, int] = {}
        self._axis_sent: int | None = None
        self._basis: tuple[int, int, int] | None = None
        self._generation = 0
        self._gone = False
        self._differences: tuple[str, ...] | None = None

    def ask_for(self, keys: tuple[str, ...]) -> None:
        """Watch these curves instead; the run itself is told again."""
        self._keys = keys
        self.has_wishes = True

    def read(self, reader: Reader, store_generation: int) -> Iterator[Message]:
        """Messages about what is new since the last call."""
        self.has_wishes = False
        try:
            yield from self._read(reader, store_generation)
            self._gone = False
        except RunError as error:
            if not self._gone:
                self._gone = True
                yield RunGone(self.run_id, str(error))

    def _read(self, reader: Reader, store_generation: int) -> Iterator[Message]:
        row = reader.run(self.run_id)
        started = sum(attempt.started_at is not None for attempt in reader.attempts(self.run_id))
        basis = (store_generation, row.attempt, started)  # a started attempt deletes the points behind its checkpoint
        if basis != self._basis:
            self._basis = basis
            self._generation += 1
            self._sent.clear()
            self._axis_sent = None
        metric_keys = reader.metric_keys(self.run_id)
        yield RunChanged(self._view(reader, metric_keys))
        yield from self._axis(reader)
        wanted = _matching(self._keys, metric_keys)
        for key in [key for key in self._sent if key not in wanted]:
            del self._sent[key]
        for key in wanted:
            yield from self._curve(reader, key)
        if row.resumed_from and self._differences is None:
            self._differences = differences(reader.workspace, row.resumed_from.partition("@")[0], self.run_id)
            yield RunChanged(self._view(reader, metric_keys))

    def _view(self, reader: Reader, metric_keys: tuple[str, ...]) -> RunView:
        run_id = self.run_id
        return RunView(
            row=reader.run(run_id),
            plan=reader.plan(run_id),
            checkpoints=reader.checkpoints(run_id),
            evaluations=reader.evaluations(run_id),
            health=reader.health(run_id),
            answers=reader.answers(run_id),
            choices=reader.choices(run_id),
            transitions=reader.transitions(run_id),
            hardware=reader.hardware(run_id, limit=HARDWARE_READINGS),
            pending_requests=tuple(row for row in reader.requests(run_id) if row.answered_at is None),
            metric_keys=metric_keys,
            differences=self._differences or (),
        )

    def _axis(self, reader: Reader) -> Iterator[Message]:
        reset = self._axis_sent is None
        axis = reader.axis(self.run_id, -1 if self._axis_sent is None else self._axis_sent)
        if axis.steps or reset:
            self._axis_sent = axis.steps[-1] if axis.steps else -1
            rows = tuple(zip(axis.steps, axis.at, axis.tokens, axis.epochs, strict=True))
            yield AxisGrew(self.run_id, self._generation, rows, reset)

    def _curve(self, reader: Reader, key: str) -> Iterator[Message]:
        reset = key not in self._sent
        series = reader.series(self.run_id, key, self._sent.get(key, -1))
        if series.steps or reset:
            self._sent[key] = series.steps[-1] if series.steps else self._sent.get(key, -1)
            points = tuple(zip(series.steps, series.values, strict=True))
            yield SeriesGrew(self.run_id, key, self._generation, points, reset)


def differences(workspace: Workspace, parent_id: str, run_id: str) -> tuple[str, ...]:
    """What in a run's recipe is not as in its parent's, a line each; nothing where one of them can't be read."""
    from core.recipe.diff import diff_recipes  # pydantic, after what the person waits for was sent
    from core.recipe.load import load_resolved

    try:
        before, after = (load_resolved(workspace.run(each).recipe) for each in (parent_id, run_id))
    except (FinetuiError, ValueError):
        return ()
    return tuple(f"{change.key}  {change.before} → {change.after}" for change in diff_recipes(before, after))


def _matching(patterns: tuple[str, ...], keys: tuple[str, ...]) -> list[str]:
    return [
        key
        for key in keys
        if any(key.startswith(pattern[:-1]) if pattern.endswith("*") else key == pattern for pattern in patterns)
    ]
