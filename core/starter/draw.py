"""Drawing from lists by ``Random.random`` alone, because that is the only sequence which Python promises to keep.

``choice``, ``sample`` and ``shuffle`` may change between Python versions; the starter's texts must be rebuilt byte for
byte by every version.  Nothing here knows what is drawn.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def pick(rng: random.Random, options: Sequence[T]) -> T:
    """One of *options*, each equally likely."""
    return options[int(rng.random() * len(options))]


def pick_several(rng: random.Random, options: Sequence[T], count: int) -> list[T]:
    """*count* different positions of *options* in random order; ``ValueError`` where there are too few."""
    if count > len(options):
        raise ValueError(f"{count} wanted, {len(options)} there")
    left = list(options)
    return [left.pop(int(rng.random() * len(left))) for _ in range(count)]
