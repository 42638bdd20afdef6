"""Everything that is written for the starter, drawn from one seed: the base's own lessons and the sets of rows.

The generator is the source; the packaged files are its output, and a test rebuilds them byte for byte.  Nothing is read
or written here, and no token is known.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import zlib
from collections.abc import Iterator

from core.starter.draw import pick
from core.starter.support import support_rows
from core.starter.tasks import TASKS

SEED = 20260
STEPS = 3_500
CHATS_PER_STEP = 32
TURNS = (1, 2, 3)
TRAIN_ROWS, VALIDATION_ROWS, TEST_ROWS, GENERAL_ROWS = 1_000, 200, 200, 200
SYSTEM = ("Answer briefly.", "You are a helpful assistant.")

Chat = list[dict[str, str]]
"""Messages of one conversation: ``{"role": "system" | "user" | "assistant", "content": …}``."""


def held_out(prompt: str) -> bool:
    """Whether the base never sees *prompt* while it is trained: about one prompt in twenty, chosen by its bytes."""
    return zlib.crc32(prompt.encode()) % 20 == 0


def chat(prompt: str, answer: str) -> Chat:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]


def base_chats(seed: int = SEED) -> Iterator[Chat]:
    """The base's lessons without end: one to three unrelated turns each, so that it has seen longer texts than one
    turn; one lesson in twenty opens with a system message."""
    rng = random.Random(seed)
    while True:
        lesson: Chat = [{"role": "system", "content": pick(rng, SYSTEM)}] if rng.random() < 0.05 else []
        for _ in range(pick(rng, TURNS)):
            lesson += chat(*unseen_task(rng))
        yield lesson


def unseen_task(rng: random.Random) -> tuple[str, str]:
    """One (prompt, answer) of any kind whose prompt is not held out."""
    while True:
        prompt, answer = pick(rng, tuple(TASKS.values()))(rng)
        if not held_out(prompt):
            return prompt, answer


def general_rows(seed: int = SEED) -> list[Chat]:
    """200 chats of every kind in turn whose prompts the base has not seen: what it can do before fine-tuning."""
    rng = random.Random(seed + 1)
    rows: list[Chat] = []
    seen: set[str] = set()
    for draw_one in itertools.islice(itertools.cycle(TASKS.values()), GENERAL_ROWS):
        prompt, answer = draw_one(rng)
        while not held_out(prompt) or prompt in seen:
            prompt, answer = draw_one(rng)
        seen.add(prompt)
        rows.append(chat(prompt, answer))
    return rows


def support_sets(seed: int = SEED) -> dict[str, list[Chat]]:
    """The fine-tuning rows: ``train`` (1,000), ``validation`` (200), ``test`` (200); no message occurs twice."""
    rows = support_rows(seed + 2)
    sizes = {"train": TRAIN_ROWS, "validation": VALIDATION_ROWS, "test": TEST_ROWS}
    return {name: [chat(*row) for row in itertools.islice(rows, size)] for name, size in sizes.items()}


def sets() -> dict[str, list[Chat]]:
    """Every set that is packaged, by the name after ``starter/``."""
    return {**support_sets(), "general": general_rows()}


def jsonl(rows: list[Chat]) -> str:
    """The rows as a packaged file holds them: one ``{"messages": […]}`` a line."""
    return "".join(json.dumps({"messages": row}, ensure_ascii=False) + "\n" for row in rows)


def lessons_sha256(count: int, seed: int = SEED) -> str:
    """The fingerprint of the first *count* lessons, as hexadecimal digits."""
    digest = hashlib.sha256()
    for lesson in itertools.islice(base_chats(seed), count):
        digest.update(json.dumps(lesson).encode() + b"\n")
    return digest.hexdigest()
