"""What `RUN`, `RUN@120`, `RUN@best`, `RUN@all` and `RUN@base` mean: a run and its checkpoints, or its base model.

It must not print.
"""

from __future__ import annotations

from core.cli.reading import find_run
from core.errors import RunError
from core.store.reader import Reader


def resolve_targets(reader: Reader, words: str) -> list[str]:
    """The targets that a person's words name, as `RUN@STEP` or `RUN@base`.

    Raises:
        RunError: the run is unknown or ambiguous, or has no such checkpoint.
    """
    run_words, at, choice = words.rpartition("@")
    if not at:
        run_words, choice = words, "best"
    run_id = find_run(reader, run_words)
    if choice == "base":
        return [f"{run_id}@base"]
    steps = {row.step: row.best for row in reader.checkpoints(run_id)}
    if not steps:
        raise RunError(
            f"run {run_id} has no checkpoint yet", try_this=f"finetui save {run_id}, or wait for its first one"
        )
    if choice == "all":
        return [f"{run_id}@{step}" for step in sorted(steps)]
    if choice == "best":
        best = [step for step, is_best in steps.items() if is_best]
        return [f"{run_id}@{best[0] if best else max(steps)}"]
    if choice == "last":
        return [f"{run_id}@{max(steps)}"]
    if not choice.isdecimal() or int(choice) not in steps:
        known = ", ".join(map(str, sorted(steps)))
        raise RunError(
            f"run {run_id} has no checkpoint {choice!r}", try_this=f"it has {known}; also best, last, all and base"
        )
    return [f"{run_id}@{int(choice)}"]
