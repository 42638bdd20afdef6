"""Files → the rows that are trained and the examples that are evaluated: what worker, gate and app all call.

The same sources, tokenizer, settings and seed always give the same rows in the same order; nothing is written, and no
order of training is decided here (the trainer shuffles).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.data.chat import ChatTokenizer
from core.data.encode import Settings, Tally, encode_file
from core.data.examples import Example
from core.data.held_out import hashes, hold_out, repeat_by_weight
from core.data.layout import prompt_of
from core.data.load import Loaded, Source, load_source
from core.data.masks import EncodedRow
from core.data.report import Report
from core.data.versions import DatasetVersion
from core.errors import DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationExample:
    """One question to the model.

    `index` counts from 0 in the set; `expected` is the last assistant turn ("" for plain text, which has no prompt);
    `prompt_ids` end where the model has to go on; `encoded` is the whole row with labels, for the loss.
    """

    index: int
    line: int
    prompt_text: str
    prompt_ids: tuple[int, ...]
    expected: str
    encoded: EncodedRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedEvaluation:
    """A set of examples. `sha256` is over their content in order: equal sets have equal scores to compare.

    `version` is None for a set that was held out of training rows.
    """

    examples: tuple[EvaluationExample, ...]
    sha256: str
    report: Report
    content_hashes: frozenset[int]
    version: DatasetVersion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedTrain:
    """Everything that a run trains on; `versions` has one entry per source."""

    rows: tuple[EncodedRow, ...]
    held_out: dict[str, PreparedEvaluation]
    report: Report
    versions: tuple[DatasetVersion, ...]
    content_hashes: frozenset[int]


def prepare_train(
    sources: Sequence[Source],
    tokenizer: ChatTokenizer,
    *,
    max_length: int,
    train_on: str = "assistant",
    overlong: str = "truncate",
    bad_rows: str = "refuse",
    held_out: Mapping[str, int] | None = None,
    seed: int = 0,
) -> PreparedTrain:
    """The training rows of `sources`, and the sets that are held out of them (name → number of rows).

    Raises:
        DatasetError: a file or row can't be used, nothing is left to train on, or more rows are held out than exist.
        ModelError: conversations, and the model has no chat template.
        ValueError: an unknown word for a setting.
    """
    settings = Settings(max_length=max_length, train_on=train_on, overlong=overlong, bad_rows=bad_rows)
    loaded = [load_source(source, bad_rows) for source in sources]
    contents = [[example.canonical() for example in part.examples] for part in loaded]
    flat = [content for part in contents for content in part]
    chosen = hold_out(flat, held_out or {}, seed)
    taken = {flat[position] for positions in chosen.values() for position in positions}
    tally = _tally_of(loaded)
    rows: list[EncodedRow] = []
    for number, part in enumerate(loaded):
        left = [index for index, content in enumerate(contents[number]) if content not in taken]
        tally.held_out += len(part.examples) - len(left)
        repeated = repeat_by_weight([contents[number][index] for index in left], part.source.weight, seed)
        order = [left[position] for position in repeated]
        rows += _train_rows(part, number, order, tokenizer, settings, tally)
    if not rows:
        raise DatasetError(
            "no row is left to train on", why=_losses(tally), try_this="check data.max_length and data.overlong"
        )
    origins = [(part.path, example) for part in loaded for example in part.examples]
    # an evaluation set is as large as was asked: its long rows are cut where the training drops them
    measured = replace(settings, overlong="truncate") if overlong == "drop" else settings
    sets = {
        name: _evaluation(
            [origins[position] for position in positions], tokenizer, measured, Tally(read=len(positions))
        )
        for name, positions in chosen.items()
    }
    versions = tuple(part.version for part in loaded)
    left_hashes = hashes(content for content in flat if content not in taken)
    return PreparedTrain(
        rows=tuple(rows), held_out=sets, report=tally.report(rows), versions=versions, content_hashes=left_hashes
    )


def prepare_evaluation(
    source: Source,
    tokenizer: ChatTokenizer,
    *,
    max_length: int,
    train_on: str = "assistant",
    overlong: str = "truncate",
    bad_rows: str = "refuse",
) -> PreparedEvaluation:
    """The examples of one evaluation file, all of them in its order; `source.weight` has no meaning here.

    Raises:
        DatasetError: the file or a row can't be used.
        ModelError: conversations, and the model has no chat template.
        ValueError: an unknown word for a setting.
    """
    settings = Settings(max_length=max_length, train_on=train_on, overlong=overlong, bad_rows=bad_rows)
    loaded = load_source(source, bad_rows)
    origins = [(loaded.path, example) for example in loaded.examples]
    return _evaluation(origins, tokenizer, settings, _tally_of([loaded]), loaded.version)


def _tally_of(loaded: Sequence[Loaded]) -> Tally:
    tally = Tally(read=sum(part.rows_read for part in loaded), bad=sum(part.rows_bad for part in loaded))
    for part in loaded:
        for problem in part.problems:
            tally.say(problem)
    return tally


def _train_rows(
    part: Loaded, number: int, order: Sequence[int], tokenizer: ChatTokenizer, settings: Settings, tally: Tally
) -> list[EncodedRow]:
    """A source's rows in `order` (positions, some repeated), each encoded and counted once."""
    distinct = sorted(set(order))
    examples = [part.examples[position] for position in distinct]
    encoded = encode_file(part.path, examples, tokenizer, settings, tally, source=number)
    by_position = {distinct[index]: row for index, row in encoded}
    return [by_position[position] for position in order if position in by_position]


def _evaluation(
    origins: Sequence[tuple[Path, Example]],
    tokenizer: ChatTokenizer,
    settings: Settings,
    tally: Tally,
    version: DatasetVersion | None = None,
) -> PreparedEvaluation:
    pairs: list[tuple[Example, EncodedRow]] = []
    for path in dict.fromkeys(path for path, _ in origins):
        examples = [example for origin, example in origins if origin == path]
        encoded = encode_file(path, examples, tokenizer, settings, tally, keep_untrained=True)
        pairs += [(examples[index], row) for index, row in encoded]
    if not pairs:
        raise DatasetError("no row is left to evaluate on", why=_losses(tally))
    prompts = [prompt_of(example, tokenizer) for example, _ in pairs]
    prompt_ids = tokenizer.encode_many([text for text, _, _ in prompts])
    made: list[EvaluationExample] = []
    for index, ((example, row), (text, expected, framed)) in enumerate(zip(pairs, prompts, strict=True)):
        ids = tuple(prompt_ids[index])
        before = tokenizer.frame[0] if framed else ()
        made.append(
            EvaluationExample(
                index=index,
                line=example.line,
                prompt_text=text,
                prompt_ids=ids if ids[: len(before)] == before else (*before, *ids),
                expected=expected,
                encoded=row,
            )
        )
    contents = [example.canonical() for example, _ in pairs]
    digest = hashlib.sha256("\n".join(contents).encode()).hexdigest()
    report = tally.report([row for _, row in pairs])
    return PreparedEvaluation(
        examples=tuple(made), sha256=digest, report=report, content_hashes=hashes(contents), version=version
    )


def _losses(tally: Tally) -> str:
    return (
        f"of {tally.read} rows, {tally.bad} are bad, {tally.held_out} held out, {tally.dropped} too long, "
        f"{tally.without_trained_tokens} without a token to train"
    )
