"""The packaged rows are what the generator writes, and no row that is scored was ever taught."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import pytest

from core import starter
from core.starter import text
from core.starter.tasks import TASKS
from core.starter.words import PRIORITIES, PRODUCTS, TOPICS

COUNTS = {"train": 1_000, "validation": 200, "test": 200, "general": 200}


def rows(name: str) -> list[text.Chat]:
    """The packaged rows of one set."""
    lines = starter.resolve(f"starter/{name}").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"] for line in lines]


def messages(name: str) -> list[str]:
    """What the user says in each row of one set."""
    return [row[0]["content"] for row in rows(name)]


@pytest.mark.parametrize("name", COUNTS)
def test_a_packaged_set_is_rebuilt_byte_for_byte(name: str) -> None:
    assert starter.resolve(f"starter/{name}").read_text(encoding="utf-8") == text.jsonl(text.sets()[name])


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_a_set_has_its_number_of_rows_each_one_turn_and_no_prompt_twice(name: str, count: int) -> None:
    found = rows(name)
    assert len(found) == count
    assert len(set(messages(name))) == count
    assert all([message["role"] for message in row] == ["user", "assistant"] for row in found)


def test_no_message_of_training_is_scored_later() -> None:
    names = ("train", "validation", "test")
    for one, other in itertools.combinations(names, 2):
        assert not set(messages(one)) & set(messages(other))


def test_every_record_has_the_three_keys_in_order_and_every_value_is_trained() -> None:
    values: dict[str, set[str]] = {"topic": set(), "product": set(), "priority": set()}
    for name in ("train", "validation", "test"):
        for row in rows(name):
            record = json.loads(row[1]["content"])
            assert list(record) == list(values)
            assert record["product"] in row[0]["content"]
            if name == "train":
                for key, value in record.items():
                    values[key].add(value)
    assert values == {"topic": set(TOPICS), "product": set(PRODUCTS), "priority": set(PRIORITIES)}


def test_a_message_says_all_that_its_record_holds() -> None:
    records: dict[str, str] = {}
    for name in ("train", "validation", "test"):
        for row in rows(name):
            assert records.setdefault(row[0]["content"], row[1]["content"]) == row[1]["content"]
    guessed = Counter(json.loads(row[1]["content"])["topic"] for row in rows("test")).most_common(1)[0][1]
    assert guessed < 60, "one topic is so common that guessing it would score"


def test_the_general_set_holds_every_kind_and_no_prompt_that_the_base_was_taught() -> None:
    general = set(messages("general"))
    assert all(text.held_out(prompt) for prompt in general)
    taught = {
        message["content"]
        for lesson in itertools.islice(text.base_chats(), 20_000)
        for message in lesson
        if message["role"] == "user"
    }
    assert len(taught) > 10_000
    assert not taught & general
    assert len(TASKS) == 15


def test_the_base_was_never_shown_a_support_message_or_record() -> None:
    support = {message["content"] for name in ("train", "validation", "test") for row in rows(name) for message in row}
    taught = {message["content"] for lesson in itertools.islice(text.base_chats(), 20_000) for message in lesson}
    assert not taught & support


def test_the_lessons_are_the_recorded_ones() -> None:
    count = text.STEPS * text.CHATS_PER_STEP
    assert text.lessons_sha256(count) == starter.record().lessons_sha256
    assert text.lessons_sha256(100, seed=1) != text.lessons_sha256(100)
