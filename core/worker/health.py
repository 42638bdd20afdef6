"""Rules over the stream of a training run: what looks wrong is said at its very step, once, in a sentence.

It must not stop anything; the one rule with a consequence (a value that is no number) is acted on in `steps`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping

from core.events import HealthRaised
from core.worker.progress import Progress

WINDOW = 50
"""Gradient norms that the median is taken over."""

_ENOUGH = 10
_SPIKE = 5.0
_QUIET_STEPS = 20
_ZERO_LOSSES = 3
_RISING = 3


class HealthRules:
    """Keeps its memory in `Progress`, so that a resumed run judges as if it had never stopped."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def after_step(self, step: int, values: Mapping[str, float]) -> list[HealthRaised]:
        """What is to be said about a step's values."""
        raised = [
            HealthRaised(rule="non_finite", level="error", message=f"{key} is {value} at step {step}", step=step)
            for key, value in values.items()
            if not math.isfinite(value)
        ]
        if not raised:
            raised += self._zero_loss(step, values.get("loss"))
            raised += self._spike(step, values.get("grad_norm"))
        return raised

    def _zero_loss(self, step: int, loss: float | None) -> list[HealthRaised]:
        self._progress.zero_losses = self._progress.zero_losses + 1 if loss == 0.0 else 0
        if self._progress.zero_losses != _ZERO_LOSSES:
            return []
        message = (
            f"the loss has been exactly 0 for {_ZERO_LOSSES} steps: nothing is learnt any more, or no token is trained"
        )
        return [HealthRaised(rule="zero_loss", level="warning", message=message, step=step)]

    def _spike(self, step: int, norm: float | None) -> list[HealthRaised]:
        if norm is None:
            return []
        norms = self._progress.gradient_norms
        median = statistics.median(norms) if len(norms) >= _ENOUGH else math.inf
        norms.append(norm)
        del norms[:-WINDOW]
        if not norm > _SPIKE * median or self._is_quiet("gradient_spike", step):
            return []
        message = f"gradient norm {norm:.3g} is {norm / median:.1f} times the median of the last {len(norms) - 1} steps"
        return [HealthRaised(rule="gradient_spike", level="warning", message=message, step=step)]

    def after_evaluation(self, step: int, set_name: str, metrics: Mapping[str, float]) -> list[HealthRaised]:
        """What is to be said about a set's metrics."""
        loss = metrics.get("loss")
        if loss is None:
            return []
        if not math.isfinite(loss):
            message = f"the loss on {set_name} is {loss} at step {step}"
            return [HealthRaised(rule="non_finite", level="error", message=message, step=step)]
        progress = self._progress
        lowest = progress.lowest_losses.get(set_name, math.inf)
        progress.lowest_losses[set_name] = min(lowest, loss)
        progress.rising[set_name] = progress.rising.get(set_name, 0) + 1 if loss > lowest else 0
        if progress.rising[set_name] < _RISING or self._is_quiet(f"rising/{set_name}", step):
            return []
        message = (
            f"the loss on {set_name} has stayed above its lowest value for {progress.rising[set_name]} evaluations "
            f"({loss:.4g} against {lowest:.4g}): the run may be overfitting"
        )
        return [HealthRaised(rule="evaluation_rising", level="warning", message=message, step=step)]

    def _is_quiet(self, rule: str, step: int) -> bool:
        """Whether `rule` spoke within the last steps; if not, it is noted that it speaks now."""
        last = self._progress.last_raised.get(rule)
        if last is not None and step - last < _QUIET_STEPS:
            return True
        self._progress.last_raised[rule] = step
        return False
