"""Which checkpoint is the best by the recipe, and which ones a person has pinned; retention asks both.

It must not delete or save anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.evaluate.tasks import TASKS
from core.events import CheckpointPinned, CheckpointUnpinned
from core.recipe.schema import Recipe
from core.runs.spool import tail


@dataclass(frozen=True, slots=True)
class BestRule:
    """`set_name` is None where the recipe measures nothing that could say which checkpoint is best."""

    set_name: str | None
    metric: str
    higher_is_better: bool

    @classmethod
    def of(cls, recipe: Recipe) -> BestRule:
        """The recipe's `checkpoints.best_metric`, else the loss on its validation set."""
        asked = recipe.checkpoints.best_metric
        if asked is not None:
            set_name, _, metric = asked.partition(".")
        else:
            validation = [name for name, entry in recipe.evaluate.sets.items() if entry.role == "validation"]
            set_name, metric = (validation[0] if validation else ""), "loss"
        task = TASKS.get(metric)
        return cls(set_name or None, metric, task.higher_is_better if task else False)

    @property
    def name(self) -> str:
        """As in the recipe: `<set>.<metric>`."""
        return f"{self.set_name}.{self.metric}"

    def value(self, metrics: Mapping[str, Mapping[str, float]] | None) -> float | None:
        """The rule's value in an evaluation's metrics; None where it is missing or not a number."""
        if metrics is None or self.set_name is None:
            return None
        value = metrics.get(self.set_name, {}).get(self.metric)
        return value if value is not None and math.isfinite(value) else None

    def is_better(self, value: float, than: float | None) -> bool:
        """Whether `value` beats `than`; anything beats nothing."""
        return than is None or (value > than if self.higher_is_better else value < than)


class PinnedSteps:
    """The pinned checkpoints of a run, followed through the journal; only new lines are read."""

    def __init__(self, journal: Path, run_id: str) -> None:
        self._journal = journal
        self._run_id = run_id
        self._offset = 0
        self._steps: set[int] = set()

    def read(self) -> frozenset[int]:
        """The steps that are pinned now."""
        found = tail(self._journal, self._offset)
        self._offset = found.offset
        for _, record in found.records:
            event = record.event
            if isinstance(event, CheckpointPinned) and event.run_id == self._run_id:
                self._steps.add(event.step)
            elif isinstance(event, CheckpointUnpinned) and event.run_id == self._run_id:
                self._steps.discard(event.step)
        return frozenset(self._steps)
