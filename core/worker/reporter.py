"""Turns what the trainer logs at each step into one StepLogged event: a few microseconds, no question to the device.

It must not decide anything: rules are in `health`, the order of work after a step is in `steps`.
"""

from __future__ import annotations

import resource
import time

import torch

from core.events import StepLogged
from core.worker.context import Context
from core.worker.progress import Progress

MEMORY_EVERY_SECONDS = 1.0
"""How often the process's peak is asked for: it hardly changes from step to step."""

_LEFT_OUT = frozenset({"epoch", "num_tokens", "step"})


class Reporter:
    """Keeps the clocks of one attempt; `seconds_outside` collects what was not training (evaluating, saving)."""

    def __init__(self, context: Context, progress: Progress) -> None:
        self._context = context
        self._progress = progress
        self._on_gpu = context.device != "cpu"
        self._elapsed_before = progress.elapsed_seconds
        self._began = time.monotonic()
        self._step_began = self._began
        self._memory_due = 0.0
        self.train_seconds = 0.0
        self.evaluate_seconds = 0.0
        self.save_seconds = 0.0

    def begin(self) -> None:
        """The first step starts now."""
        self._began = self._step_began = time.monotonic()

    def step(self, step: int, logs: dict[str, float], tokens: int, tokens_trained: int) -> dict[str, float]:
        """Say what the step measured; returns the values as they were said.

        `logs` are the trainer's own: loss (mean over the step's trained tokens), grad_norm (before clipping),
        learning_rate (of this very step), and what the objective adds. `tokens` are this step's.
        """
        now = time.monotonic()
        seconds = now - self._step_began
        self.train_seconds += seconds
        progress = self._progress
        progress.tokens += tokens
        progress.tokens_trained += tokens_trained
        progress.elapsed_seconds = self._elapsed_before + now - self._began
        values = {key: float(value) for key, value in logs.items() if key not in _LEFT_OUT}
        values["step_seconds"] = seconds
        values["tokens_per_second"] = tokens / seconds if seconds > 0 else 0.0
        if now >= self._memory_due:
            self._memory_due = now + MEMORY_EVERY_SECONDS
            values["host_memory_peak_bytes"] = host_memory_peak_bytes()
        if self._on_gpu:
            values["device_memory_peak_bytes"] = float(torch.cuda.max_memory_reserved())
        self._context.say(
            StepLogged(
                step=step,
                values=values,
                epoch=logs.get("epoch"),
                tokens=progress.tokens,
                elapsed_seconds=progress.elapsed_seconds,
            )
        )
        return values

    def step_over(self) -> None:
        """All that belongs to the step is done (evaluating and saving too): the next one starts now."""
        self._step_began = time.monotonic()

    def totals(self) -> dict[str, float]:
        """The attempt's figures for its Finished event."""
        totals = {
            "train_seconds": self.train_seconds,
            "evaluate_seconds": self.evaluate_seconds,
            "save_seconds": self.save_seconds,
            "host_memory_peak_bytes": host_memory_peak_bytes(),
            "memory_peak_bytes": host_memory_peak_bytes(),
            "tokens": float(self._progress.tokens),
            "tokens_trained": float(self._progress.tokens_trained),
        }
        if self._on_gpu:
            totals["memory_peak_bytes"] = float(torch.cuda.max_memory_reserved())
        return totals


def host_memory_peak_bytes() -> float:
    """The largest resident size of this process so far, in bytes (getrusage(2) counts in KiB on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
