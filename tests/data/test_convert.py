"""Each format becomes the right example, detection rests on the rows, and what is unclear is asked, not guessed."""

from __future__ import annotations

from typing import Any

import pytest

from core.data.convert import check_fields, to_example
from core.data.detect import detect, detect_format
from core.data.examples import Example, Message
from core.data.files import RawRow
from core.errors import DatasetError

TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
SHAREGPT = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]
TOOL = {"name": "time", "description": "the time", "parameters": {}}

ZOO: list[tuple[str, dict[str, Any]]] = [
    ("messages", {"messages": TURNS}),
    ("messages", {"conversations": TURNS, "id": "7"}),
    ("messages", {"messages": [{"role": "developer", "content": "be short"}, *TURNS], "tools": [TOOL]}),
    ("sharegpt", {"conversations": SHAREGPT}),
    ("sharegpt", {"conversations": SHAREGPT, "system": "be kind", "tools": "[]"}),
    ("alpaca", {"instruction": "hi", "input": "", "output": "hello"}),
    ("alpaca", {"instruction": "hi", "output": "hello"}),
    ("alpaca", {"instruction": "hi", "context": "noon", "response": "hello", "category": "chat"}),
    ("question_answer", {"question": "hi", "answer": "hello"}),
    ("question_answer", {"query": "hi", "response": "hello"}),
    ("question_answer", {"input": "hi", "target": 5}),
    ("prompt_completion", {"prompt": "hi", "completion": " hello"}),
    ("prompt_completion", {"prompt": TURNS[:1], "completion": TURNS[1:]}),
    ("text", {"text": "hello"}),
]


def rows_of(*data: dict[str, Any] | str) -> list[RawRow]:
    return [RawRow(line, row) for line, row in enumerate(data, start=1)]


def convert(data: dict[str, Any] | str, format: str, **fields: str) -> Example:
    return to_example(RawRow(3, data), format, fields, file="rows.jsonl")


@pytest.mark.parametrize(("format", "row"), ZOO)
def test_detection_finds_the_format_and_the_row_converts(format: str, row: dict[str, Any]) -> None:
    assert detect_format(rows_of(row, row, row)) == format
    example = convert(row, format)
    assert sum(part is not None for part in (example.messages, example.text, example.prompt)) == 1
    assert example.line == 3


def test_conversations_keep_their_turns() -> None:
    wanted = (Message("user", "hi"), Message("assistant", "hello"))
    assert convert({"messages": TURNS}, "messages").messages == wanted
    assert convert({"conversations": SHAREGPT}, "sharegpt").messages == wanted
    assert convert({"question": "hi", "answer": "hello"}, "question_answer").messages == wanted
    assert (
        convert({"frage": "hi", "antwort": "hello"}, "question_answer", question="frage", answer="antwort").messages
        == wanted
    )
    alpaca = {"instruction": "add", "input": "1, 2", "output": "3", "system": "count", "history": [["a", "b"]]}
    assert [(turn.role, turn.content) for turn in convert(alpaca, "alpaca").messages or ()] == [
        ("system", "count"), ("user", "a"), ("assistant", "b"), ("user", "add\n1, 2"), ("assistant", "3"),
    ]  # fmt: skip


def test_only_the_completion_of_a_prompt_with_answers_is_learnt() -> None:
    example = convert({"prompt": [*TURNS, TURNS[0]], "completion": "bye"}, "prompt_completion")
    assert [(turn.role, turn.trained) for turn in example.messages or ()] == [
        ("user", False), ("assistant", False), ("user", False), ("assistant", True),
    ]  # fmt: skip


def test_rows_can_keep_an_answer_from_being_learnt() -> None:
    turns = [TURNS[0], {**TURNS[1], "weight": 0}, TURNS[0], {**TURNS[1], "weight": 1}]
    assert [turn.trained for turn in convert({"messages": turns}, "messages").messages or ()] == [
        True,
        False,
        True,
        True,
    ]


def test_tool_calls_of_sharegpt_become_those_of_openai() -> None:
    turns = [
        SHAREGPT[0],
        {"from": "function_call", "value": '{"name": "time", "arguments": {"zone": "CET"}}'},
        {"from": "observation", "value": "noon"},
        SHAREGPT[1],
    ]
    example = convert({"conversations": turns, "tools": '[{"name": "time"}]'}, "sharegpt")
    call = (example.messages or ())[1].for_template()
    assert call["role"] == "assistant"
    assert call["tool_calls"] == [{"type": "function", "function": {"name": "time", "arguments": {"zone": "CET"}}}]
    assert [turn.role for turn in example.messages or ()] == ["user", "assistant", "tool", "assistant"]
    assert example.tools == ({"name": "time"},)


@pytest.mark.parametrize(
    ("format", "row", "message"),
    [
        ("messages", {"messages": []}, "conversation is empty"),
        ("messages", {"messages": TURNS[:1]}, "no assistant turn"),
        ("messages", {"messages": [{"role": "wizard", "content": "x"}]}, 'turn 1 has the unknown role "wizard"'),
        ("messages", {"messages": [TURNS[0], {"role": "assistant", "content": None}]}, "turn 2 has no content"),
        (
            "messages",
            {"messages": [TURNS[0], {"role": "assistant", "content": 5}]},
            "turn 2: content should be a string",
        ),
        ("messages", {"messages": "hello"}, "messages should be a list"),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "image"}]}, TURNS[1]]}, "not images"),
        ("question_answer", {"question": "hi"}, "no field answer, which the format question_answer needs"),
        ("question_answer", {"question": "hi", "answer": None}, "answer should be a string but is null"),
        ("alpaca", {"instruction": "hi", "output": "x", "history": [["a"]]}, "history should be"),
        ("text", {"text": "  \n"}, "the text is empty"),
        ("text", {"body": "x\x1b[2J"}, "no field text"),
        ("sharegpt", {"conversations": SHAREGPT, "tools": "{"}, "tools holds broken JSON"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_its_place(format: str, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        convert(row, format)
    assert str(caught.value).startswith("rows.jsonl:3: ")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "row",
    [
        {"text": "hi hello", "messages": TURNS},
        {"question": "hi", "answer": "hello", "response": "HELLO"},
        {"question": "hi", "context": "noon", "answer": "hello"},
        {"messages": TURNS, "conversations": TURNS},
        {"prompt": "hi", "chosen": "hello", "rejected": "no"},
        {"conversations": SHAREGPT, "chosen": SHAREGPT[1], "rejected": SHAREGPT[1]},
        {"messages": TURNS, "label": True},
        {"text": "hello", "label": 3},
        {"body": "hello", "author": "x"},
        {"prompt": "def f():", "test": "assert f()"},
    ],
)
def test_what_is_ambiguous_or_unknown_is_asked(row: dict[str, Any]) -> None:
    with pytest.raises(DatasetError) as caught:
        detect(rows_of(row, row))
    assert "format" in caught.value.try_this or "fields" in caught.value.try_this


def test_a_mapping_settles_what_was_ambiguous() -> None:
    row = {"question": "hi", "answer": "hello", "response": "HELLO"}
    assert detect_format(rows_of(row), {"answer": "response"}) == "question_answer"
    assert (convert(row, "question_answer", answer="response").messages or ())[1].content == "HELLO"


def test_detection_counts_the_rows_that_disagree() -> None:
    good, bad = {"question": "hi", "answer": "hello"}, {"question": "hi"}
    found = detect(rows_of(good, bad, good, good))
    assert (found.format, found.rows_fitting, found.rows_sampled, found.disagreeing) == ("question_answer", 3, 4, (2,))


def test_detection_looks_beyond_the_head_of_a_sorted_file() -> None:
    head = [{"text": "x"}] * 400
    rest = [{"question": "hi", "answer": "hello"}] * 4000
    assert detect_format(rows_of(*head, *rest)) == "question_answer"


def test_nothing_to_detect() -> None:
    with pytest.raises(DatasetError, match="line 1: broken"):
        detect([RawRow(1, None, "broken")])
    assert detect_format(rows_of("a paragraph", "another")) == "text"


def test_a_mapping_of_unknown_fields_is_refused() -> None:
    with pytest.raises(DatasetError, match="has no field anwser"):
        check_fields("question_answer", {"anwser": "b"})
    with pytest.raises(DatasetError, match="unknown data format preference"):
        check_fields("preference", {})


def test_content_decides_identity() -> None:
    one = convert({"question": "hi", "answer": "hello", "id": 1}, "question_answer")
    two = convert({"messages": TURNS, "id": 2}, "messages")
    other = convert({"question": "hi", "answer": "hello "}, "question_answer")
    assert one.canonical() == two.canonical() != other.canonical()
