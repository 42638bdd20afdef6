"""Errors become endings: one outcome, one sentence and advice for each; a traceback goes to the log alone.

It must not import torch at the top: an error can come before torch is loaded, or be that it can't be.
"""

from __future__ import annotations

import errno
import sys
import traceback

from core.errors import DivergedError, FinetuiError, OutOfMemoryError
from core.paths import RunPaths
from core.recipe.load import load_resolved
from core.states import Outcome
from core.worker.context import Context, Ending, EndRequested
from core.worker.outbox import NO_SPACE

_HOST_MEMORY_WORDS = ("can't allocate memory", "cannot allocate memory", "not enough memory", "alloc_cpu")


def ending_of(error: BaseException, context: Context) -> Ending:
    """What to say at the end of a job that raised `error`."""
    if isinstance(error, EndRequested):
        return Ending(outcome=error.outcome, message=error.what)
    traceback.print_exception(error, file=sys.stderr)
    place = _out_of_memory_place(error)
    if place is not None:
        return _out_of_memory(place, context)
    if isinstance(error, DivergedError):
        return Ending(outcome=Outcome.DIVERGED, message=error.what, step=error.step, advice=_hints(error))
    if isinstance(error, FinetuiError):
        outcome = Outcome.CRASHED if context.training_began else Outcome.COULD_NOT_START
        message = ". ".join(part.rstrip(".") for part in (error.what, error.why) if part)
        return Ending(outcome=outcome, message=message, advice=_hints(error))
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return Ending(
            outcome=Outcome.CRASHED if context.training_began else Outcome.COULD_NOT_START,
            message=f"the disk is full: {error.filename or context.paths.folder} could not be written",
            advice=("Free some space on the workspace's disk, then resume the run.",),
        )
    message = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
    return Ending(
        outcome=Outcome.CRASHED,
        message=message[:500],
        advice=(f"The whole traceback is in `finetui logs {context.paths.run_id}`.",),
    )


def _hints(error: FinetuiError) -> tuple[str, ...]:
    return (error.try_this[:1].upper() + error.try_this[1:].rstrip(".") + ".",) if error.try_this else ()


def _out_of_memory_place(error: BaseException) -> str | None:
    """`device`, `host`, or None where the error is another one."""
    if isinstance(error, OutOfMemoryError):
        return error.device
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "host"
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return "device"
    if isinstance(error, RuntimeError):
        words = str(error).lower()
        if "cuda" in words and "out of memory" in words:
            return "device"
        if any(phrase in words for phrase in _HOST_MEMORY_WORDS):
            return "host"
    return None


def _out_of_memory(place: str, context: Context) -> Ending:
    when = "while training" if context.training_began else "before the first step"
    name = "GPU memory" if place == "device" else "the machine's memory"
    return Ending(
        outcome=Outcome.OUT_OF_MEMORY,
        message=f"{name} ran out {when}",
        advice=_memory_advice(context.paths, context.advice_facts),
    )


def _memory_advice(paths: RunPaths, facts: dict[str, float]) -> tuple[str, ...]:
    from core.worker.memory import memory_advice

    try:
        return memory_advice(load_resolved(paths.recipe), facts)
    except (FinetuiError, OSError):  # advice is a courtesy; the outcome must be said without it too
        return ()
