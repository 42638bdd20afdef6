"""The packaged tokenizer is rebuilt exactly, its template marks what is trained, the base can write every record."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from tokenizers import Tokenizer

from core import starter
from core.starter import text, tokenizer

TURNS = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "What is 2 + 3?"},
    {"role": "assistant", "content": "5"},
    {"role": "user", "content": "As JSON: name is Ben"},
    {"role": "assistant", "content": '{"name":"Ben"}'},
]


@pytest.fixture(scope="module")
def packaged() -> Tokenizer:
    return Tokenizer.from_file(str(starter.resolve("starter") / "tokenizer.json"))


def test_the_packaged_tokenizer_is_rebuilt_byte_for_byte() -> None:
    folder = starter.resolve("starter")
    assert (folder / "tokenizer.json").read_text(encoding="utf-8") == tokenizer.tokenizer_json()
    assert (folder / "tokenizer_config.json").read_text(encoding="utf-8") == tokenizer.tokenizer_config_json()


def test_the_special_tokens_come_first_and_any_text_survives(packaged: Tokenizer) -> None:
    assert packaged.get_vocab_size() == tokenizer.VOCABULARY
    assert {token: packaged.token_to_id(token) for token in tokenizer.SPECIAL} == tokenizer.special_ids()
    for said in ("Grüße, 東京 🦊\t\n", '{"a":[1,2]}', "  two  spaces "):
        assert packaged.decode(packaged.encode(said).ids) == said


def test_the_template_marks_every_answer_with_its_end_of_turn_and_nothing_else() -> None:
    from transformers import AutoTokenizer

    loaded: Any = AutoTokenizer.from_pretrained(starter.resolve("starter"))
    encoded = loaded.apply_chat_template(TURNS, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    trained = [token for token, mark in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if mark]
    assert loaded.decode(trained) == '5<|end|>{"name":"Ben"}<|end|>'
    assert loaded.decode(encoded["input_ids"]) == (
        "<|system|>Answer briefly.<|end|><|user|>What is 2 + 3?<|end|><|assistant|>5<|end|>"
        '<|user|>As JSON: name is Ben<|end|><|assistant|>{"name":"Ben"}<|end|>'
    )
    asked = loaded.apply_chat_template(TURNS[:2], tokenize=False, add_generation_prompt=True)
    assert asked.endswith("What is 2 + 3?<|end|><|assistant|>")
    assert (loaded.eos_token, loaded.pad_token, loaded.padding_side) == ("<|end|>", "<|pad|>", "left")


def test_the_template_refuses_a_role_that_it_does_not_know() -> None:
    from jinja2.exceptions import TemplateError
    from transformers import AutoTokenizer

    loaded: Any = AutoTokenizer.from_pretrained(starter.resolve("starter"))
    with pytest.raises(TemplateError, match="tool"):
        loaded.apply_chat_template([{"role": "tool", "content": "x"}], tokenize=False)


def test_the_base_trainer_spells_a_lesson_as_the_template_does(packaged: Tokenizer) -> None:
    from transformers import AutoTokenizer

    from core.worker.jobs.starter_base import IGNORED, encode

    loaded: Any = AutoTokenizer.from_pretrained(starter.resolve("starter"))
    for lesson in [TURNS, *itertools.islice(text.base_chats(), 50)]:
        ids, labels = encode(lesson, packaged)
        said = loaded.apply_chat_template(lesson, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
        assert ids == said["input_ids"]
        assert [label != IGNORED for label in labels] == [bool(mark) for mark in said["assistant_masks"]]


def test_every_token_of_a_support_record_was_an_answer_of_the_base(packaged: Tokenizer) -> None:
    """With tied, frozen embeddings a token that was never a target can not be raised by an adapter."""
    taught: set[int] = set()
    for lesson in itertools.islice(text.base_chats(), 5_000):
        for message in lesson:
            if message["role"] == "assistant":
                taught.update(packaged.encode(message["content"]).ids)
    needed: set[int] = set()
    for name in ("train", "validation", "test"):
        for line in starter.resolve(f"starter/{name}").read_text(encoding="utf-8").splitlines():
            needed.update(packaged.encode(json.loads(line)["messages"][1]["content"]).ids)
    assert len(needed) > 50
    assert [packaged.id_to_token(token) for token in needed - taught] == []
