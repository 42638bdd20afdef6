"""Which format a file's rows have, told from the rows themselves; where two answers are possible it asks.

Names alone mislead (a `text` column beside `messages`, two columns that could both be the answer): a wrong guess trains
the wrong thing without an error, so every ambiguity is a `DatasetError` that names the key to set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.data.convert import FORMATS, to_example
from core.data.files import RawRow
from core.data.turns import ALIASES
from core.errors import DatasetError
from core.text import safe_line

SAMPLE_ROWS = 1000
LEAST_SHARE = 0.5
SET_FORMAT = "set format: (and fields: where columns have other names) for this file"


@dataclass(frozen=True, slots=True)
class Detection:
    """The format, and on how many of the sampled rows it rests; `disagreeing` are lines that do not fit it."""

    format: str
    rows_fitting: int
    rows_sampled: int
    disagreeing: tuple[int, ...]


def detect_format(rows: Sequence[RawRow], fields: Mapping[str, str] | None = None, *, file: str = "") -> str:
    """The format's name; see `detect`."""
    return detect(rows, fields, file=file).format


def detect(rows: Sequence[RawRow], fields: Mapping[str, str] | None = None, *, file: str = "") -> Detection:
    """The one format that most of an even sample of `rows` fits.

    Raises:
        DatasetError: no row is readable, no format fits, or more than one does.
    """
    fields = fields or {}
    sample = _sample([row for row in rows if row.data is not None])
    place = f"{file}: " if file else ""
    if not sample:
        raise DatasetError(f"{place}no row can be read", why=_first_problem(rows))
    fitting = {format: [row for row in sample if _fits(row, format, fields)] for format in FORMATS}
    likely = [format for format in FORMATS if len(fitting[format]) > LEAST_SHARE * len(sample)]
    columns = _columns(sample)
    _refuse_other_objectives(columns, likely, place)
    likely = _without_less_specific(likely)
    names = safe_line(", ".join(sorted(columns)), 200) or "none"
    if not likely:
        raise DatasetError(f"{place}the rows fit no known format", why=f"the columns are {names}", try_this=SET_FORMAT)
    if len(likely) > 1:
        raise DatasetError(
            f"{place}the rows fit more than one format: {', '.join(likely)}",
            why=f"the columns are {names}",
            try_this=SET_FORMAT,
        )
    format = likely[0]
    _refuse_two_candidates(format, columns, fields, place)
    fitted = {row.line for row in fitting[format]}
    disagreeing = tuple(row.line for row in sample if row.line not in fitted)
    return Detection(format, len(fitted), len(sample), disagreeing)


def _sample(rows: Sequence[RawRow]) -> Sequence[RawRow]:
    """An even sample over the whole file: the head alone misleads where a file is sorted."""
    step = max(1, len(rows) // SAMPLE_ROWS)
    return rows[::step]


def _fits(row: RawRow, format: str, fields: Mapping[str, str]) -> bool:
    try:
        to_example(row, format, fields)
    except DatasetError:
        return False
    return True


def _columns(sample: Iterable[RawRow]) -> Counter[str]:
    """Column → in how many rows it holds something."""
    counts: Counter[str] = Counter()
    for row in sample:
        if isinstance(row.data, dict):
            counts.update(name for name, value in row.data.items() if value not in (None, "", []))
    return counts


def _refuse_other_objectives(columns: Mapping[str, int], likely: Sequence[str], place: str) -> None:
    why = ""
    if "chosen" in columns and "rejected" in columns:
        why = "chosen and rejected answers are preference data"
    elif "label" in columns and "kto_tag" not in columns and likely:
        why = "rows with a label are classification or KTO data"
    elif "kto_tag" in columns:
        why = "rows with a kto_tag are KTO data"
    if why:
        raise DatasetError(
            f"{place}these rows are not plain examples to imitate",
            why=why,
            try_this="set format: to train on them as examples all the same",
        )


def _without_less_specific(likely: list[str]) -> list[str]:
    """Question/answer by alias gives way to the formats whose own column names are present."""
    if "question_answer" in likely and ("alpaca" in likely or "prompt_completion" in likely):
        return [format for format in likely if format != "question_answer"]
    return likely


def _refuse_two_candidates(format: str, columns: Mapping[str, int], fields: Mapping[str, str], place: str) -> None:
    """Two filled columns that could both be one field of the format, or a context that would be left out."""
    for (owner, field), aliases in ALIASES.items():
        if owner != format or field in fields:
            continue
        candidates = [name for name in (field, *aliases) if name in columns and name not in fields.values()]
        if len(candidates) > 1:
            raise DatasetError(
                f"{place}{' and '.join(candidates)} could each be the {field}", try_this=f"set fields: {{{field}: …}}"
            )
    if format == "question_answer" and "context" in columns and "context" not in fields.values():
        raise DatasetError(
            f"{place}the rows have a context, which question_answer would leave out",
            try_this="set format: alpaca and fields: {instruction: …, input: context, output: …}",
        )


def _first_problem(rows: Sequence[RawRow]) -> str:
    problem = next((f"line {row.line}: {row.error}" for row in rows if row.error), "")
    return problem or "the file is empty"
