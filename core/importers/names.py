"""What a foreign metric name means here: `train/loss` is loss, `eval_runtime` is an evaluation's time, and so on.

The names are those of transformers' callbacks and Trainer logs, Lightning and our own exports. Decided over all names
of a run at once, since two of them may mean the same. It must not see a value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

EPOCH, TOKENS, TOTAL, METRIC, EVALUATION, NOTHING = "epoch", "tokens", "total", "metric", "evaluation", "nothing"
_EVALUATED = re.compile(r"(eval|val|valid|validation|test)[/_](.+)", re.DOTALL)
_EPOCHS = {"epoch", "train/epoch"}
_TOKENS = {"num_tokens", "train/num_tokens", "num_input_tokens_seen", "train/num_input_tokens_seen"}
_BOOKKEEPING = {"global_step", "train/global_step", "_step", "_timestamp", "_runtime"}
_TOTALS = {
    "train_runtime": "train_seconds",
    "train_samples_per_second": "train_samples_per_second",
    "train_steps_per_second": "train_steps_per_second",
    "total_flos": "total_flos",
    "train_tokens_per_second": "train_tokens_per_second",
}
_ALIASES = {"train_loss": "loss", "train_loss_step": "loss", "lr": "learning_rate"}
RUNTIME, RATE, STEP_RATE = "runtime", "samples_per_second", "steps_per_second"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one foreign name stands for: `name` is our metric or total, `set_name` the set of an evaluation."""

    kind: str
    name: str = ""
    set_name: str = ""


def meanings(keys: Collection[str]) -> dict[str, Meaning]:
    """The meaning of each of a run's metric names."""
    bare = {key.removeprefix("train/") for key in keys}
    has_summary = "train_runtime" in bare  # then train_loss is the mean over the run, not a curve
    sets = _named_sets(keys)
    return {key: _meaning(key, keys, bare, sets, has_summary=has_summary) for key in keys}


def _meaning(key: str, keys: Collection[str], bare: set[str], sets: set[str], *, has_summary: bool) -> Meaning:
    if key in _BOOKKEEPING:
        return Meaning(NOTHING)
    if key in _EPOCHS:
        return Meaning(EPOCH)
    if key in _TOKENS:
        return Meaning(TOKENS)
    short = key.removeprefix("train/")
    if short in _TOTALS:
        return Meaning(TOTAL, _TOTALS[short])
    if short == "train_loss" and has_summary:
        return Meaning(TOTAL, "train_loss_mean")
    evaluated = _EVALUATED.fullmatch(key)
    if evaluated is not None:
        return _evaluation(evaluated[1], evaluated[2], sets)
    if short != key and short in keys:
        return Meaning(METRIC, key)  # both were logged: neither may hide the other
    name = _ALIASES.get(short, short)
    return Meaning(METRIC, short if name != short and name in bare else name)


def _evaluation(prefix: str, rest: str, sets: set[str]) -> Meaning:
    """`eval/<set>/<metric>`, `eval_<set>_<metric>` for a set that has a runtime of its own, else one set."""
    set_name, slash, metric = rest.partition("/")
    if slash and set_name and metric:
        return Meaning(EVALUATION, metric, set_name)
    fitting = [name for name in sets if rest.startswith(f"{name}_")]
    if fitting:
        longest = max(fitting, key=len)
        return Meaning(EVALUATION, rest[len(longest) + 1 :], longest)
    return Meaning(EVALUATION, rest, prefix)


def _named_sets(keys: Iterable[str]) -> set[str]:
    """Sets that the Trainer names when it is given several: each has `eval_<set>_runtime`."""
    found = set()
    for key in keys:
        match = _EVALUATED.fullmatch(key)
        if match is not None and match[2].endswith(f"_{RUNTIME}"):
            found.add(match[2].removesuffix(f"_{RUNTIME}"))
    return found


def roles(set_names: Iterable[str]) -> dict[str, str]:
    """The role of each set, in the order of their appearance: one is the validation set, whose loss lists show."""
    names = list(dict.fromkeys(set_names))
    candidates = [name for name in names if name in ("eval", "val", "valid", "validation")] or [
        name for name in names if name != "test"
    ]
    return {
        name: "validation" if candidates and name == candidates[0] else "test" if name == "test" else "other"
        for name in names
    }
