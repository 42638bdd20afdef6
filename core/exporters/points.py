"""What is exported: every point of every metric of a run, long form, one metric after another.

It reads the store and must not know a file format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from core.errors import RunError
from core.store.reader import Reader

COLUMNS = ("step", "key", "value", "epoch", "tokens", "seconds")


class Point(NamedTuple):
    """One value. `epoch`, `tokens` and `seconds` (since the training began) are those of its step, None where the
    worker logged none; `at` is its time in seconds since 1970, None likewise."""

    step: int
    key: str
    value: float
    epoch: float | None
    tokens: int | None
    seconds: float | None
    at: float | None


@dataclass(frozen=True, slots=True)
class RunPoints:
    """The points of one run; each iteration reads the store, one metric at a time."""

    reader: Reader
    run_id: str

    def keys(self) -> tuple[str, ...]:
        """The metrics, by name.

        Raises:
            RunError: the run is unknown, or has logged nothing.
        """
        keys = self.reader.metric_keys(self.run_id)
        if not keys:
            raise RunError(f"run {self.run_id} has logged nothing yet", try_this=f"finetui show {self.run_id}")
        return keys

    def by_key(self) -> Iterator[tuple[str, list[Point]]]:
        """Each metric with its points by step."""
        axis = self.reader.axis(self.run_id)
        steps = {
            step: (epoch, tokens, seconds, at)
            for step, epoch, tokens, seconds, at in zip(
                axis.steps, axis.epochs, axis.tokens, axis.elapsed_seconds, axis.at, strict=True
            )
        }
        unknown = (None, None, None, None)
        for key in self.keys():
            series = self.reader.series(self.run_id, key)
            yield (
                key,
                [
                    Point(step, key, value, *steps.get(step, unknown))
                    for step, value in zip(series.steps, series.values, strict=True)
                ],
            )
