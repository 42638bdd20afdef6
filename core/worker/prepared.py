"""The data of a run as the recipe asks for it: training rows, evaluation sets, prompts; encoded by core.data alone.

It connects recipe and data rooms, which do not know each other. A set of role `test` is never opened here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.data.chat import ChatTokenizer
from core.data.gate import Audit, audit, count_leaks
from core.data.load import Source
from core.data.prepare import PreparedEvaluation, PreparedTrain, prepare_evaluation, prepare_train
from core.errors import DatasetError
from core.recipe.schema import DataSource, EvaluationSet, Recipe


@dataclass(frozen=True, slots=True)
class RunData:
    """`sets` are those evaluated while training; `prompts` the token ids of the recipe's fixed prompts."""

    train: PreparedTrain
    sets: dict[str, PreparedEvaluation]
    prompts: tuple[tuple[int, ...], ...]

    @property
    def longest_row_tokens(self) -> int:
        return max(len(row.input_ids) for row in self.train.rows)

    def row_counts(self) -> dict[str, int]:
        """Rows by name: `train` and each set."""
        return {"train": len(self.train.rows), **{name: len(entry.examples) for name, entry in self.sets.items()}}


def prepare_run(recipe: Recipe, tokenizer: ChatTokenizer) -> RunData:
    """All that training opens.

    Raises:
        DatasetError: a file or row can't be used, or nothing is left to train on.
    """
    training_sets = {name: entry for name, entry in recipe.evaluate.sets.items() if entry.role != "test"}
    held_out = {name: entry.from_train for name, entry in recipe.evaluate.sets.items() if entry.from_train is not None}
    train = prepare_train(
        [to_source(source) for source in recipe.data.train],
        tokenizer,
        max_length=recipe.data.max_length,
        train_on=recipe.data.train_on,
        overlong=recipe.data.overlong,
        bad_rows=recipe.data.bad_rows,
        held_out=held_out,
        seed=recipe.train.seed,
    )
    sets = {
        name: train.held_out[name] if entry.from_train is not None else read_set(recipe, entry, tokenizer)
        for name, entry in training_sets.items()
    }
    data = RunData(train, sets, encode_prompts(recipe, tokenizer))
    blockers = audit_run(data).blockers
    if blockers:
        raise DatasetError(
            blockers[0],
            why=f"{len(train.rows)} rows were read with data.train_on={recipe.data.train_on}",
            try_this="check that the rows have answers, or set data.train_on=all",
        )
    return data


def audit_run(data: RunData) -> Audit:
    """What must stop this run and what must be said before it: losses, doubts, evaluation rows that are trained too."""
    leaks = count_leaks(data.train.content_hashes, {name: entry.content_hashes for name, entry in data.sets.items()})
    return audit(data.train.report, leaks)


def read_set(recipe: Recipe, entry: EvaluationSet, tokenizer: ChatTokenizer) -> PreparedEvaluation:
    """One evaluation set that lies in a file of its own."""
    assert entry.path is not None, "the recipe's check allows exactly one of path and from_train"
    source = Source(path=entry.path, format=entry.format, fields=dict(entry.fields))
    return _prepare(recipe, source, tokenizer)


def read_file_set(recipe: Recipe, path: Path, tokenizer: ChatTokenizer) -> PreparedEvaluation:
    """A set that the recipe does not name, from a file."""
    return _prepare(recipe, Source(path=str(path)), tokenizer)


def _prepare(recipe: Recipe, source: Source, tokenizer: ChatTokenizer) -> PreparedEvaluation:
    data = recipe.data
    return prepare_evaluation(
        source, tokenizer, max_length=data.max_length, train_on=data.train_on, bad_rows=data.bad_rows
    )


def to_source(source: DataSource) -> Source:
    """The data room's own form of a recipe's source."""
    return Source(path=source.path, format=source.format, fields=dict(source.fields), weight=source.weight)


def encode_prompts(recipe: Recipe, tokenizer: ChatTokenizer) -> tuple[tuple[int, ...], ...]:
    """Each fixed prompt as a conversation's first turn, or as plain text where the model has no chat template."""
    encoded = []
    for prompt in recipe.evaluate.prompts:
        if tokenizer.template is None:
            encoded.append((*tokenizer.frame[0], *tokenizer.encode(prompt)))
        else:
            text = tokenizer.render([{"role": "user", "content": prompt}], add_generation_prompt=True)
            encoded.append(tuple(tokenizer.encode(text)))
    return tuple(encoded)
