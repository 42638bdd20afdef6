"""One score per answer, 0 to 1, each a pure function that says what it normalises and where it comes from.

No score looks at a data set: means, intervals and tests over many scores are statistics, not scoring.
"""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import TypeAlias, TypeVar

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Item = TypeVar("Item")

NUMBER = re.compile(r"(?<![\w.])[-+−]?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")
"""A sign counts only where no digit or letter stands before it: 10-5 holds 10 and 5; H2O holds none."""

FINAL_ANSWER = "####"
FENCED = re.compile(r"\A```(?:json)?\s*\n(.*?)\n?```\Z", re.DOTALL | re.IGNORECASE)
ARTICLES = re.compile(r"\b(a|an|the)\b")


def score(task: str, output: str, expected: str) -> float:
    """The score of one answer under a task that needs generation.

    Raises:
        ValueError: the task has no score per answer (loss), or is unknown.
    """
    if task not in _SCORES:
        raise ValueError(f"the task {task} has no score per answer; one of {', '.join(_SCORES)}")
    return _SCORES[task](output, expected)


def exact_match(output: str, expected: str) -> float:
    """1 if both are equal after removing white space at both ends; case, punctuation and inner spacing count."""
    return float(output.strip() == expected.strip())


def contains(output: str, expected: str) -> float:
    """1 if the expected text occurs in the output, with case folded and every run of white space as one space.

    Unicode is compared in NFC.  An empty expected text is contained in an empty output only.
    """
    wanted, given = _folded(expected), _folded(output)
    return float(wanted in given) if wanted else float(not given)


def numeric_answer(output: str, expected: str) -> float:
    """1 if the final numbers are equal in value: 1,000 = 1000.0 = 1e3.

    The final number is the first one after the last `####` (GSM8K's mark, Cobbe et al. 2021), else the last number in
    the text.  0 where either has none.  Compared as decimals, so 0.1 is not 0.10000000001.
    """
    wanted, given = _final_number(expected), _final_number(output)
    return float(wanted is not None and wanted == given)


def json_field_f1(output: str, expected: str) -> float:
    """F1 over the leaves of two JSON values, each a (path, value) pair; list items are numbered.

    An answer in one Markdown code fence is unwrapped.  0 where the output is not JSON.  Numbers compare by value,
    strings exactly; an empty object or list is one leaf.

    Raises:
        ValueError: the expected text is not JSON, which is a fault of the evaluation set.
    """
    try:
        wanted = Counter(_leaves(_parse(expected), ()))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the expected answer is not JSON: {error}") from error
    try:
        given = Counter(_leaves(_parse(_unfenced(output)), ()))
    except (ValueError, RecursionError):
        return 0.0
    return _f1(wanted, given)


def token_f1(output: str, expected: str) -> float:
    """F1 over bags of words after lower-casing and removing ASCII punctuation and the articles a, an, the.

    Source: the SQuAD evaluation, Rajpurkar et al. 2016 (arXiv:1606.05250).  Words are parted by white space, so it says
    nothing of languages written without any.  Two empty answers score 1.
    """
    return _f1(Counter(_words(expected)), Counter(_words(output)))


_SCORES: Mapping[str, Callable[[str, str], float]] = {
    "exact_match": exact_match,
    "contains": contains,
    "numeric_answer": numeric_answer,
    "json_field_f1": json_field_f1,
    "token_f1": token_f1,
}


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _final_number(text: str) -> Decimal | None:
    _, mark, after = text.rpartition(FINAL_ANSWER)
    found = NUMBER.findall(after if mark else text)
    if not found:
        return None
    try:
        return Decimal((found[0] if mark else found[-1]).replace(",", "").replace("−", "-"))
    except InvalidOperation:  # an exponent beyond what a decimal holds
        return None


def _unfenced(text: str) -> str:
    stripped = text.strip()
    fenced = FENCED.match(stripped)
    return fenced.group(1) if fenced else stripped


def _parse(text: str) -> Json:
    value: Json = json.loads(text, parse_constant=_refuse_constant)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _leaves(value: Json, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str, object]]:
    """(path, kind, value) of every leaf; an empty object or list is a leaf itself."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    elif isinstance(value, dict | list):
        yield path, type(value).__name__, None
    else:
        kind = "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
        yield path, kind, value


def _words(text: str) -> list[str]:
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return ARTICLES.sub(" ", bare).split()


def _f1(wanted: Counter[Item], given: Counter[Item]) -> float:
    total = wanted.total() + given.total()
    if not total:
        return 1.0
    shared = (wanted & given).total()
    return 2 * shared / total
