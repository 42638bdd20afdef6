"""Tokens previewed are tokens trained: ids and labels equal those of transformers, over families of templates."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from core.data.chat import ChatTokenizer
from core.data.examples import Example, Message
from core.data.masks import IGNORED, EncodedRow, encode_example
from tests.data.families import DEFAULT_SYSTEM, FAMILIES, Family, write_model_folder

CONVERSATIONS: list[list[dict[str, str]]] = [
    [{"role": "user", "content": "What is the capital of France?"}, {"role": "assistant", "content": "Paris."}],
    [
        {"role": "user", "content": "Add 12 and 30"},
        {"role": "assistant", "content": "42"},
        {"role": "user", "content": "double it,\nplease"},
        {"role": "assistant", "content": "That makes 84."},
    ],
    [
        {"role": "system", "content": "Answer in one word."},
        {"role": "user", "content": "東京の天気は？ 😀"},
        {"role": "assistant", "content": "🎉 晴れ."},
    ],
    [
        {"role": "user", "content": "code?"},
        {"role": "assistant", "content": "def double(value):\n    return value * 2\n\nprint(double(21))"},
        {"role": "user", "content": "thanks"},
    ],
    [{"role": "user", "content": "[/INST] {{ 7 * 7 }} {% raw %}"}, {"role": "assistant", "content": "[bold]no[/bold]"}],
]


def example_of(conversation: list[dict[str, str]]) -> Example:
    return Example(line=1, messages=tuple(Message(turn["role"], turn["content"]) for turn in conversation))


def reference(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def ids_and_mask(theirs: Any, conversation: list[dict[str, str]]) -> tuple[list[int], list[int]]:
    result = theirs.apply_chat_template(conversation, return_dict=True, return_assistant_tokens_mask=True)
    return list(result["input_ids"]), list(result["assistant_masks"])


def encode(tokenizer: ChatTokenizer, conversation: list[dict[str, str]], **options: Any) -> EncodedRow:
    row = encode_example(example_of(conversation), tokenizer, **options)
    assert row is not None
    return row


def mask(row: EncodedRow) -> list[int]:
    assert all(label in (IGNORED, token) for label, token in zip(row.labels, row.input_ids, strict=True))
    return [int(label != IGNORED) for label in row.labels]


def conversations_for(family: Family) -> list[list[dict[str, str]]]:
    chosen = [turns for turns in CONVERSATIONS if family.system or turns[0]["role"] != "system"]
    assert len(chosen) >= 4
    return chosen


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_ids_and_masks_equal_transformers_where_the_template_marks_answers(family: Family, tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path / "marked", family, marked=True)
    ours, theirs = ChatTokenizer.load(folder), reference(folder)
    for conversation in conversations_for(family):
        row = encode(ours, conversation)
        ids, wanted = ids_and_mask(theirs, conversation)
        assert list(row.input_ids) == ids
        assert mask(row) == wanted
        assert 0 < sum(wanted) < len(wanted)
        assert row.method == "generation_markers"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_without_markers_the_same_tokens_are_trained(family: Family, tmp_path: Path) -> None:
    """The stock template gives what the same template with markers gives, end of turn included."""
    stock = write_model_folder(tmp_path / "stock", family)
    marked = reference(write_model_folder(tmp_path / "marked", family, marked=True))
    ours, theirs = ChatTokenizer.load(stock), reference(stock)
    for conversation in conversations_for(family):
        row = encode(ours, conversation)
        ids, stock_mask = ids_and_mask(theirs, conversation)
        assert sum(stock_mask) == 0, "the trainer's own way would train nothing"
        assert list(row.input_ids) == ids
        assert mask(row) == ids_and_mask(marked, conversation)[1]
        assert row.method in ("prefix", "offsets")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_prompts_equal_transformers_and_tokenizers_agree_on_special_tokens(family: Family, tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path / "stock", family)
    ours, theirs = ChatTokenizer.load(folder), reference(folder)
    for conversation in conversations_for(family):
        turns = [dict(turn) for turn in conversation[:1]] if conversation[0]["role"] == "user" else conversation[:2]
        wanted = theirs.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        assert ours.render(turns, add_generation_prompt=True) == wanted
        assert ours.encode(wanted) == theirs(wanted, add_special_tokens=False)["input_ids"]
    assert ours.bos_token_id == theirs.bos_token_id
    assert ours.eos_token_id == theirs.eos_token_id
    assert ours.vocabulary_size == len(theirs)
    stop = theirs.convert_tokens_to_ids(family.stop)
    assert set(ours.stop_token_ids) == {theirs.eos_token_id, stop}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_answer_is_trained_whole_and_ends_with_its_stop_token(family: Family, tmp_path: Path) -> None:
    tokenizer = ChatTokenizer.load(write_model_folder(tmp_path, family))
    for conversation in conversations_for(family):
        row = encode(tokenizer, conversation)
        trained = tokenizer.decode([label for label in row.labels if label != IGNORED])
        answers = [turn["content"] for turn in conversation if turn["role"] == "assistant"]
        lead = " " if family.name == "inst" else ""
        assert trained == "".join(lead + answer + family.stop for answer in answers)


def test_special_tokens_that_only_the_configuration_declares_are_found(tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path, DEFAULT_SYSTEM, pad_token="<|pad|>")
    ours, theirs = ChatTokenizer.load(folder), reference(folder)
    assert ours.pad_token_id == theirs.pad_token_id
    assert ours.encode("a<|pad|>b") == theirs("a<|pad|>b", add_special_tokens=False)["input_ids"]
    assert ours.vocabulary_size == len(theirs)


@pytest.mark.acceptance
def test_smollm2_stock_and_training_template_agree_on_real_rows() -> None:
    import json

    shared = os.environ.get("SHARED")
    if not shared:
        pytest.skip("SHARED does not name the folder of real models and data")
    folder = Path(shared) / "models" / "smollm2-135m-instruct"
    ours, theirs = ChatTokenizer.load(folder), reference(folder)
    training = (folder / "chat_template_training.jinja").read_text(encoding="utf-8")
    lines = (Path(shared) / "data" / "gsm8k" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:300]
    assert len(lines) == 300
    for line in lines:
        row = json.loads(line)
        conversation = [
            {"role": "user", "content": row["question"]},
            {"role": "assistant", "content": row["answer"]},
        ]
        encoded = encode(ours, conversation)
        assert sum(ids_and_mask(theirs, conversation)[1]) == 0
        result = theirs.apply_chat_template(
            conversation, chat_template=training, return_dict=True, return_assistant_tokens_mask=True
        )
        assert list(encoded.input_ids) == list(result["input_ids"])
        assert mask(encoded) == list(result["assistant_masks"])
