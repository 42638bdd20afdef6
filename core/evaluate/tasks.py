"""The tasks that an evaluation set can have, in one table, so that recipe, worker and screens mean the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One way to measure.

    `needs_generation`: a greedy answer is scored from 0 to 1 per example, and the metric is the mean.
    Otherwise (loss) the metric is the mean negative log-likelihood per trained token, in nats.
    """

    name: str
    needs_generation: bool
    higher_is_better: bool
    description: str


def _answered(name: str, description: str) -> Task:
    return Task(name=name, needs_generation=True, higher_is_better=True, description=description)


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="loss",
            needs_generation=False,
            higher_is_better=False,
            description="mean negative log-likelihood of the expected answer's tokens, in nats per token",
        ),
        _answered("exact_match", "1 if the answer equals the expected one, white space at both ends aside"),
        _answered("contains", "1 if the expected answer occurs in the answer, letter case and spacing aside"),
        _answered("numeric_answer", "1 if the answer's last number (or the one after ####) is the expected one's"),
        _answered("json_field_f1", "F1 over the fields of the expected JSON value; 0 if the answer is not JSON"),
        _answered("token_f1", "F1 over the words of answer and expected answer, as in SQuAD"),
    )
}
"""Task name → task."""
