"""Support messages and the records they should become, because a first run has to look like somebody's real job.

A row asks nothing: the message is all that the model sees, and the keys, their order and the rules below have to be
learned from the training rows.  This module draws rows; it knows nothing of files, splits or tokens.

The rules: *topic* follows from what went wrong, *product* is the thing it is about, *priority* is ``high`` where the
person says that it is urgent, ``low`` where they say that it can wait, and ``normal`` where they say neither.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from core.starter.draw import pick
from core.starter.words import PRIORITIES, PRODUCTS, TOPICS

OPENINGS = ("Hello,", "Hi there,", "Good morning,", "Dear team,", "Hi,", "")
CLOSINGS = ("Thanks.", "Thank you for your help.", "Best regards.", "Many thanks, {name}.", "Regards, {name}.", "")
SENDERS = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo")
TROUBLES = {
    "delivery": (
        "my {product} has still not arrived.",
        "the parcel with the {product} is ten days late.",
        "tracking for my {product} has not moved since Monday.",
        "the courier left my {product} at the wrong address.",
        "where is the {product} that I ordered two weeks ago?",
        "I am still waiting for the {product} you shipped.",
    ),
    "damaged": (
        "the {product} came with a crack in the side.",
        "my new {product} arrived broken.",
        "the {product} stopped working after one day.",
        "there is a big scratch on the {product}.",
        "the {product} makes a strange noise and gets too hot.",
        "a part of the {product} is missing from the box.",
    ),
    "refund": (
        "I sent the {product} back and want my money.",
        "when will I get the money back for the {product}?",
        "please cancel my order for the {product} and pay me back.",
        "I returned the {product} last week but my card was not credited.",
        "the {product} is not what I wanted, I would like my money back.",
        "you charged me twice for the {product}, please pay one back.",
    ),
    "invoice": (
        "I need a bill for the {product} with our company name on it.",
        "the tax number is missing on the bill for the {product}.",
        "could you send me the receipt for the {product} again?",
        "the price on the bill for the {product} is wrong.",
        "our office needs a copy of the receipt for the {product}.",
        "please put the new address on the bill for the {product}.",
    ),
    "account": (
        "I can not sign in to register my {product}.",
        "the password reset mail never comes, so I can not see my {product} order.",
        "my profile shows a {product} that somebody else bought.",
        "please change the email address on the profile where my {product} is listed.",
        "the app logs me out when I open the page of my {product}.",
        "how do I delete my profile after buying the {product}?",
    ),
    "question": (
        "does the {product} come in other colours?",
        "is the {product} in stock in your shop?",
        "how long does the {product} last before it needs service?",
        "can I use the {product} outside in the rain?",
        "which parts do I need to clean the {product}?",
        "is there a bigger model of the {product}?",
    ),
}
URGENCY = {
    "high": (
        "I need this solved today.", "This is urgent.", "Please answer right away.", "It can not wait any longer.",
    ),
    "low": ("There is no hurry.", "Answer whenever you have time.", "Next month is fine too.", "Take your time."),
    "normal": ("", "", "I hope you can help.", "I look forward to your answer."),
}  # fmt: skip


def support_row(rng: random.Random) -> tuple[str, str]:
    """One (message, record): the record is compact JSON with the keys topic, product, priority in this order."""
    topic, product, priority = pick(rng, TOPICS), pick(rng, PRODUCTS), pick(rng, PRIORITIES)
    parts = (
        pick(rng, OPENINGS),
        pick(rng, TROUBLES[topic]).format(product=product),
        pick(rng, URGENCY[priority]),
        pick(rng, CLOSINGS).format(name=pick(rng, SENDERS)),
    )
    message = " ".join(part for part in parts if part)
    record = {"topic": topic, "product": product, "priority": priority}
    return message[0].upper() + message[1:], json.dumps(record, separators=(",", ":"))


def support_rows(seed: int) -> Iterator[tuple[str, str]]:
    """(message, record) without end and without a message twice (some 400,000 are possible)."""
    rng = random.Random(seed)
    seen: set[str] = set()
    while True:
        message, record = support_row(rng)
        if message not in seen:
            seen.add(message)
            yield message, record


def phrases() -> tuple[str, ...]:
    """Every sentence that a message can be built from, with ``{product}`` and ``{name}`` still open."""
    banks = (*TROUBLES.values(), *URGENCY.values(), OPENINGS, CLOSINGS)
    return tuple(phrase for bank in banks for phrase in bank if phrase)
