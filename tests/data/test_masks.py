"""What is trained in a row, for templates that give the answer away and for those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.chat import ChatTokenizer
from core.data.examples import Example, Message
from core.data.masks import IGNORED, EncodedRow, encode_example
from core.errors import DatasetError, ModelError
from tests.data.families import (
    CHATML,
    DOUBLE_NEWLINE,
    HEADERS,
    HIDES_ANSWERS,
    INST,
    STRIPS_THINKING,
    ZEPHYR,
    Family,
    write_model_folder,
)

TWO_ANSWERS = Example(
    line=1,
    messages=(
        Message("user", "one"),
        Message("assistant", "1"),
        Message("user", "two"),
        Message("assistant", "2"),
        Message("user", "and?"),
    ),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


def load(folders: Path, family: Family, *, marked: bool = False, **config: object) -> ChatTokenizer:
    name = f"{family.name}-{marked}-{len(config)}"
    return ChatTokenizer.load(write_model_folder(folders / name, family, marked=marked, **config))


def encode(example: Example, tokenizer: ChatTokenizer, train_on: str = "assistant") -> EncodedRow:
    row = encode_example(example, tokenizer, train_on=train_on)
    assert row is not None
    return row


def trained(row: EncodedRow, tokenizer: ChatTokenizer) -> str:
    return tokenizer.decode([label for label in row.labels if label != IGNORED])


@pytest.mark.parametrize("marked", [False, True])
def test_train_on_says_which_answers(folders: Path, marked: bool) -> None:
    tokenizer = load(folders, CHATML, marked=marked)
    assert trained(encode(TWO_ANSWERS, tokenizer), tokenizer) == "1<|im_end|>2<|im_end|>"
    assert trained(encode(TWO_ANSWERS, tokenizer, "last"), tokenizer) == "2<|im_end|>"
    whole = encode(TWO_ANSWERS, tokenizer, "all")
    assert whole.labels == whole.input_ids
    assert whole.method == "whole_text"
    with pytest.raises(ValueError, match="train_on is one of"):
        encode(TWO_ANSWERS, tokenizer, "everything")


@pytest.mark.parametrize("marked", [False, True])
def test_an_answer_that_the_row_excludes_is_not_trained(folders: Path, marked: bool) -> None:
    tokenizer = load(folders, HEADERS, marked=marked)
    messages = list(TWO_ANSWERS.messages or ())
    messages[1] = Message("assistant", "1", trained=False)
    row = encode(Example(line=1, messages=tuple(messages)), tokenizer)
    assert trained(row, tokenizer) == "2<|eot_id|>"


def test_the_generation_prompt_is_not_trained_even_with_a_doubled_newline(folders: Path) -> None:
    """The prompt ends in two newlines, the training text has one: only the answer is left, and `method` says so."""
    tokenizer = load(folders, DOUBLE_NEWLINE)
    row = encode(TWO_ANSWERS, tokenizer)
    assert trained(row, tokenizer) == "1<|im_end|>2<|im_end|>"
    assert row.method == "offsets"


def test_a_template_that_rewrites_earlier_turns_is_followed(folders: Path) -> None:
    tokenizer = load(folders, STRIPS_THINKING)
    example = Example(
        line=1,
        messages=(
            Message("user", "one"),
            Message("assistant", "<think>\nhm, 1 < 2\n</think>\n\n1"),
            Message("user", "two"),
            Message("assistant", "<think>\nhm\n</think>\n\n2"),
        ),
    )
    row = encode(example, tokenizer)
    assert row.method == "offsets"
    assert trained(row, tokenizer) == "1<|im_end|><think>\nhm\n</think>\n\n2<|im_end|>"
    marked = encode(example, load(folders, STRIPS_THINKING, marked=True))
    assert (row.input_ids, row.labels) == (marked.input_ids, marked.labels)


def test_a_template_that_hides_its_answers_is_refused(folders: Path) -> None:
    with pytest.raises(DatasetError, match="hides where answer 2"):
        encode(TWO_ANSWERS, load(folders, HIDES_ANSWERS))


def test_markers_that_leave_the_stop_token_out_are_obeyed(folders: Path) -> None:
    source = CHATML.source(marked=True).replace(
        "+ '<|im_end|>' }}{% endgeneration %}", "}}{% endgeneration %}<|im_end|>"
    )
    tokenizer = load(folders, CHATML, marked=True, chat_template=source)
    assert trained(encode(TWO_ANSWERS, tokenizer), tokenizer) == "12"


def test_markers_inside_a_macro_are_placed_right(folders: Path) -> None:
    source = (
        "{% macro turn(message) %}<|im_start|>{{ message['role'] }}\n{% if message['role'] == 'assistant' %}"
        "{% generation %}{{ message['content'] }}<|im_end|>{% endgeneration %}"
        "{% else %}{{ message['content'] }}<|im_end|>{% endif %}{% endmacro %}"
        "{% for message in messages %}{{ turn(message) }}{% endfor %}"
    )
    tokenizer = load(folders, CHATML, marked=True, chat_template=source, model_max_length=1)
    row = encode(TWO_ANSWERS, tokenizer)
    assert row.method == "generation_markers"
    assert trained(row, tokenizer) == "1<|im_end|>2<|im_end|>"


def test_plain_text_and_raw_prompts_get_one_start_and_one_end(folders: Path) -> None:
    tokenizer = load(folders, ZEPHYR, add_bos_token=True)
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    text = encode(Example(line=1, text="Paris is the capital"), tokenizer)
    assert (text.input_ids[0], text.input_ids[-1]) == (bos, eos)
    assert text.labels == text.input_ids
    framed = encode(Example(line=1, text="<s>Paris is the capital</s>"), tokenizer)
    assert framed.input_ids == text.input_ids
    raw = encode(Example(line=1, prompt="Capital of France:", completion=" Paris"), tokenizer)
    assert (raw.input_ids[0], raw.labels[0]) == (bos, IGNORED)
    assert trained(raw, tokenizer) == " Paris</s>"
    assert raw.input_ids.count(bos) == 1


def test_a_token_that_reaches_from_the_prompt_into_the_answer_is_trained_and_told(folders: Path) -> None:
    tokenizer = load(folders, CHATML)
    assert len(tokenizer.encode("ab")) == 1
    row = encode(Example(line=1, prompt="a", completion="b"), tokenizer)
    assert trained(row, tokenizer) == "ab<|im_end|>"
    assert row.method == "offsets"


def test_conversations_never_get_a_second_start_token(folders: Path) -> None:
    tokenizer = load(folders, INST, add_bos_token=True)
    row = encode(TWO_ANSWERS, tokenizer)
    assert row.input_ids.count(tokenizer.bos_token_id or -1) == 1


def test_a_model_without_a_template_trains_text_and_refuses_conversations(tmp_path: Path) -> None:
    tokenizer = ChatTokenizer.load(write_model_folder(tmp_path, CHATML, chat_template=None))
    assert encode(Example(line=1, text="hello"), tokenizer).method == "whole_text"
    assert trained(encode(Example(line=1, prompt="a", completion=" b"), tokenizer), tokenizer) == " b<|im_end|>"
    with pytest.raises(ModelError, match="no chat template") as caught:
        encode(TWO_ANSWERS, tokenizer)
    assert "chat_template.jinja" in caught.value.try_this


def test_tools_that_the_template_does_not_print_are_refused(folders: Path) -> None:
    tokenizer = load(folders, CHATML)
    call = Message("assistant", "", {"tool_calls": [{"function": {"name": "time"}}]})
    with pytest.raises(DatasetError, match="has tool_calls, which the model's chat template does not print"):
        encode(Example(line=1, messages=(Message("user", "time?"), call)), tokenizer)
    with pytest.raises(DatasetError, match="has tools"):
        encode(Example(line=1, messages=TWO_ANSWERS.messages, tools=({"name": "time"},)), tokenizer)


def test_overlong_rows_are_cut_dropped_or_refused(folders: Path) -> None:
    tokenizer = load(folders, CHATML)
    whole = encode(TWO_ANSWERS, tokenizer)
    length = len(whole.input_ids)
    fits = encode_example(TWO_ANSWERS, tokenizer, max_length=length, overlong="refuse")
    assert fits == whole
    cut = encode_example(TWO_ANSWERS, tokenizer, max_length=length - 3)
    assert cut is not None
    assert (cut.truncated, cut.tokens_cut, cut.input_ids) == (True, 3, whole.input_ids[:-3])
    assert encode_example(TWO_ANSWERS, tokenizer, max_length=length - 1, overlong="drop") is None
    with pytest.raises(DatasetError, match=f"{length} tokens, more than max_length {length - 1}"):
        encode_example(TWO_ANSWERS, tokenizer, max_length=length - 1, overlong="refuse")


contents = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\ufdd0\ufdd1\ufdd2\ufdd3"), max_size=30
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.tuples(contents, contents), min_size=1, max_size=3), family=st.sampled_from([CHATML, INST]))
def test_stock_and_marked_templates_train_the_same_tokens(
    folders: Path, turns: list[tuple[str, str]], family: Family
) -> None:
    messages = [message for user, answer in turns for message in (Message("user", user), Message("assistant", answer))]
    example = Example(line=1, messages=tuple(messages))
    stock, marked = _LOADED.setdefault(family.name, (load(folders, family), load(folders, family, marked=True)))
    ours, wanted = encode(example, stock), encode(example, marked)
    assert (ours.input_ids, ours.labels) == (wanted.input_ids, wanted.labels)
    stop = stock.encode(family.stop)[0]
    assert sum(label == stop for label in ours.labels) >= len(turns)


_LOADED: dict[str, tuple[ChatTokenizer, ChatTokenizer]] = {}
