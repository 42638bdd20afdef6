"""The fifteen kinds of short task that the base is made from, because a base that can do nothing has nothing to forget.

Each kind draws one (prompt, answer).  Between them the answers hold every mark and form that a later fine-tuning task
will want (JSON records and lists, ``key: value`` lines, numbers, whole sentences): with tied, frozen embeddings a token
that was never an answer can not be raised later by an adapter.  No seed, split or file is known here.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from core.starter.draw import pick, pick_several
from core.starter.support import SENDERS, phrases
from core.starter.words import (
    CITIES,
    CLASSES,
    COLOURS,
    DAYS,
    FIELDS,
    MOODS,
    NAMES,
    OPPOSITES,
    PRODUCTS,
)

Task = Callable[[random.Random], tuple[str, str]]
"""Draws one (prompt, answer)."""

PHRASES = phrases()
THINGS = tuple(thing for things in CLASSES.values() for thing in things)
LISTED = (*COLOURS, *PRODUCTS)


def compact(value: object) -> str:
    """JSON without a space, the spelling of every record in the starter."""
    return json.dumps(value, separators=(",", ":"))


def a(noun: str) -> str:
    """The noun with its article."""
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"


def add(rng: random.Random) -> tuple[str, str]:
    left, right = int(rng.random() * 20), int(rng.random() * 20)
    return pick(rng, ("What is {} + {}?", "Add {} and {}.", "{} + {} =")).format(left, right), str(left + right)


def larger(rng: random.Random) -> tuple[str, str]:
    left, right = pick_several(rng, range(100), 2)
    prompt = pick(rng, ("Which is larger, {} or {}?", "The larger of {} and {}?")).format(left, right)
    return prompt, str(max(left, right))


def count(rng: random.Random) -> tuple[str, str]:
    words = pick_several(rng, LISTED, 1 + int(rng.random() * 6))
    return pick(rng, ("How many: {}", "Count these: {}")).format(", ".join(words)), str(len(words))


def opposite(rng: random.Random) -> tuple[str, str]:
    pair = pick(rng, OPPOSITES)
    word, answer = pair if rng.random() < 0.5 else pair[::-1]
    templates = ("What is the opposite of {}?", "Opposite of {}?", "The {1} is not {0}, it is")
    return pick(rng, templates).format(word, pick(rng, PRODUCTS)), answer


def kind_of(rng: random.Random) -> tuple[str, str]:
    kind = pick(rng, tuple(CLASSES))
    thing = pick(rng, CLASSES[kind])
    prompt = pick(rng, ("What is {}?", "{1} saw {0} in {2}. What is it?"))
    return prompt.format(a(thing), pick(rng, NAMES), pick(rng, CITIES)), a(kind)


def yes_no(rng: random.Random) -> tuple[str, str]:
    thing = pick(rng, THINGS)
    right = next(kind for kind, things in CLASSES.items() if thing in things)
    asked = right if rng.random() < 0.5 else pick(rng, [kind for kind in CLASSES if kind != right])
    prompt = pick(rng, ("Is {} {}?", "{2} says that {0} is {1}. True?"))
    prompt = prompt.format(a(thing), a(asked), pick(rng, NAMES))
    return prompt, "Yes." if asked == right else "No."


def next_day(rng: random.Random) -> tuple[str, str]:
    index, name, city = int(rng.random() * 7), pick(rng, NAMES), pick(rng, CITIES)
    prompt = pick(rng, ("What day comes after {}?", "{1} left {2} on {0} and came home a day later. When?"))
    return prompt.format(DAYS[index], name, city), DAYS[(index + 1) % 7]


def mood(rng: random.Random) -> tuple[str, str]:
    feeling = pick(rng, tuple(MOODS))
    return "Mood: " + pick(rng, MOODS[feeling]).format(pick(rng, PRODUCTS)), feeling


def who_what_where(rng: random.Random) -> tuple[str, str]:
    name, product, city = pick(rng, NAMES), pick(rng, PRODUCTS), pick(rng, CITIES)
    verb = pick(rng, ("bought", "sold", "lost", "found"))
    asked, answer = pick(rng, (("Who?", name), ("What?", f"the {product}"), ("Where?", city)))
    return f"{name} {verb} the {product} in {city}. {asked}", answer


def reverse(rng: random.Random) -> tuple[str, str]:
    words = pick_several(rng, LISTED, 2 + int(rng.random() * 3))
    return f"Reverse: {', '.join(words)}", ", ".join(reversed(words))


def repeat(rng: random.Random) -> tuple[str, str]:
    words = pick(rng, PHRASES).format(product=pick(rng, PRODUCTS), name=pick(rng, SENDERS)).split(" ")
    length = 2 + int(rng.random() * 5)
    start = int(rng.random() * max(1, len(words) - length + 1))
    part = " ".join(words[start : start + length])
    return pick(rng, ("Repeat: {}", "Say again: {}")).format(part), part


def fields(rng: random.Random, least: int, most: int) -> dict[str, str]:
    keys = pick_several(rng, tuple(FIELDS), least + int(rng.random() * (most - least + 1)))
    return {key: pick(rng, FIELDS[key]) for key in keys}


def json_record(rng: random.Random) -> tuple[str, str]:
    record = fields(rng, 1, 3)
    pairs = ", ".join(f"{key} {pick(rng, ('is', '='))} {value}" for key, value in record.items())
    return f"As JSON: {pairs}", compact(record)


def json_list(rng: random.Random) -> tuple[str, str]:
    words = pick_several(rng, LISTED, 1 + int(rng.random() * 4))
    return f"As a JSON list: {', '.join(words)}", compact(words)


def json_read(rng: random.Random) -> tuple[str, str]:
    record = fields(rng, 2, 3)
    key = pick(rng, tuple(record))
    return f"Which {key}? {compact(record)}", record[key]


def lines(rng: random.Random) -> tuple[str, str]:
    record = fields(rng, 1, 3)
    return f"As lines: {compact(record)}", "\n".join(f"{key}: {value}" for key, value in record.items())


TASKS: dict[str, Task] = {
    "add": add,
    "larger": larger,
    "count": count,
    "opposite": opposite,
    "kind_of": kind_of,
    "yes_no": yes_no,
    "next_day": next_day,
    "mood": mood,
    "who_what_where": who_what_where,
    "reverse": reverse,
    "repeat": repeat,
    "json_record": json_record,
    "json_list": json_list,
    "json_read": json_read,
    "lines": lines,
}
