"""The first two lines of a run's page: where it stands, how far it is, when it will be through, its last numbers.

Pure: rows in, words with tones out. Elapsed time comes from the run's own last word, not from a clock, so that nothing
is repainted while nothing happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.states import State
from tui.format import (
    duration,
    fit,
    glyphs,
    is_live,
    number,
    percent,
    plain,
    progress_bar,
    share_done,
    state_words,
    text_or_dash,
)
from tui.messages import AxisPoint, RunView
from tui.widgets.lines import Part

RATE_ROWS = 64
"""Logged steps over which the speed is taken: long enough to be calm, short enough to follow a change."""


@dataclass(slots=True)
class Pace:
    """How fast the run goes, from its steps' times."""

    _recent: deque[AxisPoint] = field(default_factory=lambda: deque(maxlen=RATE_ROWS))
    first_at: float | None = None

    def reset(self) -> None:
        """Begin anew: another run, or a resumed one."""
        self._recent.clear()
        self.first_at = None

    def add(self, rows: Sequence[AxisPoint]) -> None:
        """Take in steps with their times."""
        if rows and self.first_at is None:
            self.first_at = rows[0][1]
        self._recent.extend(rows)

    @property
    def elapsed_seconds(self) -> float | None:
        """From the first to the last logged step."""
        return self._recent[-1][1] - self.first_at if self._recent and self.first_at is not None else None

    @property
    def seconds_per_step(self) -> float | None:
        """The mean over the last steps."""
        steps = self._recent[-1][0] - self._recent[0][0] if len(self._recent) > 1 else 0
        return (self._recent[-1][1] - self._recent[0][1]) / steps if steps > 0 else None

    @property
    def tokens_per_second(self) -> float | None:
        """The mean over the last steps; None where tokens are not counted."""
        counted = [row for row in self._recent if row[2] is not None]
        if len(counted) < 2 or counted[-1][1] <= counted[0][1]:
            return None
        assert counted[-1][2] is not None and counted[0][2] is not None
        return (counted[-1][2] - counted[0][2]) / (counted[-1][1] - counted[0][1])

    def remaining_seconds(self, step: int | None, max_steps: int | None) -> float | None:
        """Time until the last planned step at this pace."""
        each = self.seconds_per_step
        return each * max(0, max_steps - step) if each is not None and step is not None and max_steps else None


def header(view: RunView, pace: Pace, width: int) -> list[Part]:
    """Name, state, steps, bar, time."""
    row = view.row
    words, tone = state_words(row)
    share = share_done(row)
    steps = f"{glyphs().dash if row.step is None else row.step}/{row.max_steps or '?'}"
    parts: list[Part] = [(fit(plain(row.name or row.run_id), min(len(plain(row.name)) or 8, width // 4)), "bold")]
    parts += [(f" {row.run_id} ", "dim"), (words, tone), (f"  {steps}", "")]
    if share is not None and width >= 60:
        parts.append((f" {progress_bar(share, max(6, min(20, width - 68)))} {percent(share)}", "live"))
    times = duration(_coarse(pace.elapsed_seconds))
    if is_live(row):
        remaining = pace.remaining_seconds(row.step, row.max_steps)
        times += f" / eta {duration(_coarse(remaining))}"
    parts.append((f"  {times}", ""))
    if row.phase and row.phase != "training" and row.state is State.RUNNING:
        parts.append((f"  {plain(row.phase)}", "warn"))
    elif row.attempt > 1:
        parts.append((f"  attempt {row.attempt}", "dim"))
    return parts


def _coarse(seconds: float | None) -> float | None:
    """Whole seconds below ten minutes, then steps of ten seconds: a number that flickers says nothing more."""
    if seconds is None or seconds < 600:
        return seconds
    return seconds // 10 * 10


def figures(view: RunView, pace: Pace, last: dict[str, float], trend: str) -> list[Part]:
    """The last number of each curve; when the run has ended badly, why."""
    row = view.row
    if row.state is State.FINISHED and row.message and row.outcome is not None and state_words(row)[1] == "bad":
        advice = f"  try: {plain(row.advice[0])}" if row.advice else ""
        return [(plain(row.message), "bad"), (advice, "")]
    parts: list[Part] = [("loss ", "dim"), (f"{number(last.get('loss', row.loss))} {trend}", "series-0")]
    if row.eval_loss is not None:
        best = f" (best {row.best_step})" if row.best_step is not None else ""
        parts += [("  eval ", "dim"), (f"{number(row.eval_loss)}{best}", "")]
    for key, title in (("grad_norm", "grad"), ("learning_rate", "lr")):
        if key in last:
            parts += [(f"  {title} ", "dim"), (number(last[key], 3), "")]
    speed = last.get("tokens_per_second", pace.tokens_per_second)
    if speed is not None:
        parts += [("  ", ""), (f"{text_or_dash(_thousands(speed))} tok/s", "")]
    return parts


def _thousands(value: float) -> str:
    return f"{value / 1000:.1f}k" if value >= 1000 else f"{value:.0f}"
