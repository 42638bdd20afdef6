"""Which rows of the training files an evaluation set takes away, by content, so that no row can be on both sides.

Membership hangs on a seeded hash of a row's content, not on its place: rows that are the same always go together, and
rows that are added later move only as many old ones as they displace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from core.errors import DatasetError


def content_hash(canonical: str, seed: int | None = None) -> int:
    """xxh3-128 of a row's canonical content; with a seed, a number to order rows by."""
    import xxhash

    prefix = "" if seed is None else f"{seed}\n"
    return int(xxhash.xxh3_128_intdigest((prefix + canonical).encode()))


def hold_out(contents: Sequence[str], wanted: Mapping[str, int], seed: int) -> dict[str, tuple[int, ...]]:
    """For each set its rows (positions in `contents`, ascending), of distinct content; sets never overlap.

    Of rows with the same content the first stands for all; whoever trains must leave out every copy of it.

    Raises:
        DatasetError: more rows are wanted than distinct ones exist (at least one must remain to train on).
    """
    first: dict[str, int] = {}
    for position, content in enumerate(contents):
        first.setdefault(content, position)
    total = sum(wanted.values())
    if total and total >= len(first):
        names = ", ".join(f"{name}: {count}" for name, count in wanted.items())
        raise DatasetError(
            f"evaluation sets take {total} rows from the training rows, which are {len(first)} (copies counted once)",
            why=f"from_train asks for {names}",
            try_this="ask for fewer",
        )
    ranked = sorted(first, key=lambda content: content_hash(content, seed))
    chosen: dict[str, tuple[int, ...]] = {}
    start = 0
    for name, count in wanted.items():
        chosen[name] = tuple(sorted(first[content] for content in ranked[start : start + count]))
        start += count
    return chosen


def repeat_by_weight(contents: Sequence[str], weight: float, seed: int) -> list[int]:
    """Positions of a source's rows, as often as `weight` says: whole repetitions, then a seeded part of one.

    Raises:
        DatasetError: the weight is negative, zero or not finite.
    """
    if not 0 < weight < 1e6:
        raise DatasetError(f"a source's weight must be above 0, not {weight}")
    whole, rest = divmod(weight, 1.0)
    positions = list(range(len(contents))) * int(whole)
    count = round(rest * len(contents))
    if count:
        order = sorted(range(len(contents)), key=lambda position: (content_hash(contents[position], seed), position))
        positions += sorted(order[:count])
    return positions


def hashes(contents: Iterable[str]) -> frozenset[int]:
    """The distinct contents as hashes, to compare sets by without keeping their text."""
    return frozenset(content_hash(content) for content in contents)
