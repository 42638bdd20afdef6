"""Our rendering, ids and labels on the corpus of real chat templates that TRL ships, beside transformers' own.

TRL keeps for many models the stock template and a training variant with generation markers: what we find in the stock
one without markers is compared with what the markers say.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from core.data.chat import ChatTokenizer
from core.data.convert import to_example
from core.data.examples import Example
from core.data.files import RawRow
from core.data.masks import IGNORED, EncodedRow, encode_example
from core.errors import DatasetError
from tests.data.families import tokenizer_text

FOUND = importlib.util.find_spec("trl")
FOLDER = Path(str(FOUND.origin)).parent / "chat_templates" if FOUND else Path("none")
TEMPLATES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.jinja"))}
FOR_IMAGES = ("idefics3", "smolvlm")
"""Their templates print lists of parts only, so a plain string would vanish: such rows are refused."""

STOCK = [name for name in TEMPLATES if not name.endswith("_training") and name not in FOR_IMAGES]
PAIRED = [name for name in STOCK if f"{name}_training" in TEMPLATES]
SAME_AS_MARKED = [
    "cohere", "cohere2", "gemma", "gemma3", "lfm2", "lfm2_v2", "llama3", "phi3", "phi3_5",
    "qwen2_5_vl", "qwen3_instruct_2507", "qwen3_vl",
]  # fmt: skip
"""Models whose generation prompt is just what the markers leave out; in the others they differ by a header."""

CONTROL_TOKEN = re.compile(r"<[|｜][^|｜'\"{}\s]*[|｜]>|</?(?:start_of_turn|end_of_turn|s)>|<(?:turn\||\|turn)>")
END_TOKENS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|eom|>")
CALL = {"type": "function", "function": {"name": "clock", "arguments": {"zone": "CET"}}}
CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "single": [{"role": "user", "content": "QUESTION one?"}, {"role": "assistant", "content": "ANSWER one."}],
    "double": [
        {"role": "user", "content": "QUESTION one?"},
        {"role": "assistant", "content": "ANSWER one."},
        {"role": "user", "content": "QUESTION two,\n\nwith 東京 😀?"},
        {"role": "assistant", "content": "ANSWER two:\n\n    indented 🎉 code."},
    ],
    "system": [
        {"role": "system", "content": "QUESTION of the system."},
        {"role": "user", "content": "QUESTION one?"},
        {"role": "assistant", "content": "ANSWER one."},
    ],
    "open_end": [
        {"role": "user", "content": "QUESTION one?"},
        {"role": "assistant", "content": "ANSWER one."},
        {"role": "user", "content": "QUESTION two?"},
    ],
    "thinking": [
        {"role": "user", "content": "QUESTION one?"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nANSWER one."},
        {"role": "user", "content": "QUESTION two?"},
        {"role": "assistant", "content": "<think>\nhm, hm\n</think>\n\nANSWER two."},
    ],
    "reasoning": [
        {"role": "user", "content": "QUESTION one?"},
        {"role": "assistant", "content": "ANSWER one.", "reasoning_content": "because"},
    ],
    "tools": [
        {"role": "user", "content": "QUESTION one?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "QUESTION noon", "name": "clock"},
        {"role": "assistant", "content": "ANSWER one."},
    ],
}


@dataclass(frozen=True)
class Pair:
    """A model folder with one template, read by us and by transformers."""

    ours: ChatTokenizer
    theirs: Any

    def encode(self, conversation: list[dict[str, Any]]) -> EncodedRow:
        row = encode_example(example_of(conversation), self.ours)
        assert row is not None
        return row


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("templates")


@cache
def load(folder: Path, name: str) -> Pair:
    from transformers import PreTrainedTokenizerFast

    both = TEMPLATES[name] + TEMPLATES.get(name.removesuffix("_training"), "")
    special = tuple(sorted({*CONTROL_TOKEN.findall(both), "<s>", "</s>"}))
    eos = next((text for text in END_TOKENS if text in both), "</s>")
    path = folder / name
    path.mkdir(exist_ok=True)
    (path / "tokenizer.json").write_text(tokenizer_text(special, False), encoding="utf-8")
    (path / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": eos}), encoding="utf-8")
    (path / "chat_template.jinja").write_text(TEMPLATES[name], encoding="utf-8")
    return Pair(ChatTokenizer.load(path), PreTrainedTokenizerFast.from_pretrained(path))


def example_of(conversation: list[dict[str, Any]]) -> Example:
    return to_example(RawRow(1, {"messages": conversation}), "messages")


def rendered(pair: Pair, conversation: list[dict[str, Any]], **options: Any) -> tuple[str | None, str | None]:
    """(ours, theirs), None where the template refuses."""
    turns = [message.for_template() for message in example_of(conversation).messages or ()]
    try:
        ours = pair.ours.render(turns, **options)
    except DatasetError:
        ours = None
    try:
        theirs = pair.theirs.apply_chat_template(conversation, tokenize=False, **options)
    except Exception:  # noqa: BLE001 - whatever it raises, transformers refuses too
        theirs = None
    return ours, theirs


def accepted(pair: Pair) -> Iterator[tuple[list[dict[str, Any]], EncodedRow]]:
    """The conversations that the template renders, with the row that we train; tools only where it knows them."""
    for name, conversation in CONVERSATIONS.items():
        if rendered(pair, conversation)[0] is None:
            continue
        try:
            yield conversation, pair.encode(conversation)
        except DatasetError as error:
            assert name == "tools" and "does not print" in error.what, f"{name}: {error}"


def labels(row: EncodedRow) -> list[int]:
    return [int(label != IGNORED) for label in row.labels]


@pytest.mark.parametrize("name", FOR_IMAGES)
def test_templates_that_leave_plain_text_out_are_refused(folder: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="leaves out the text of turn 1"):
        load(folder, name).encode(CONVERSATIONS["single"])


def test_the_corpus_is_there() -> None:
    assert len(STOCK) >= 35
    assert len(PAIRED) >= 25
    assert set(SAME_AS_MARKED) <= set(PAIRED)


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_text_and_ids_equal_transformers(folder: Path, name: str) -> None:
    pair = load(folder, name)
    for conversation in CONVERSATIONS.values():
        for options in ({}, {"add_generation_prompt": True}):
            ours, theirs = rendered(pair, conversation, **options)
            assert ours == theirs
            if theirs is not None:
                ids = pair.theirs(theirs, add_special_tokens=False)["input_ids"]
                assert pair.ours.encode(theirs) == list(ids)


@pytest.mark.parametrize("name", [f"{name}_training" for name in PAIRED])
def test_marked_templates_give_the_mask_of_transformers(folder: Path, name: str) -> None:
    pair = load(folder, name)
    for conversation, row in accepted(pair):
        result = pair.theirs.apply_chat_template(conversation, return_dict=True, return_assistant_tokens_mask=True)
        assert list(row.input_ids) == list(result["input_ids"])
        assert labels(row) == list(result["assistant_masks"])
        assert row.method == "generation_markers"


@pytest.mark.parametrize("name", STOCK)
def test_stock_templates_train_the_answers_and_nothing_that_was_asked(folder: Path, name: str) -> None:
    pair = load(folder, name)
    stops = pair.ours.stop_token_ids
    for conversation, row in accepted(pair):
        trained = pair.ours.decode([label for label in row.labels if label != IGNORED])
        assert "QUESTION" not in trained
        written = [turn["content"] for turn in conversation if turn["role"] == "assistant" and turn["content"]]
        for answer in written:
            assert answer.rpartition("</think>\n\n")[2] in trained
        if name != "glm4moe":  # its answers end where the next turn begins, as its generation_config.json says
            assert sum(label in stops for label in row.labels) >= len(written)


@pytest.mark.parametrize("name", SAME_AS_MARKED)
def test_without_markers_the_marked_tokens_are_found(folder: Path, name: str) -> None:
    """Up to white space behind the stop token, which some training templates train and generation never reaches."""
    stock, marked = load(folder, name), load(folder, f"{name}_training")
    compared = 0
    for conversation, row in accepted(stock):
        result = marked.theirs.apply_chat_template(conversation, return_dict=True, return_assistant_tokens_mask=True)
        if list(result["input_ids"]) != list(row.input_ids):
            continue
        wanted = list(result["assistant_masks"])
        for position in range(1, len(wanted)):
            blank = not stock.ours.decode([row.input_ids[position]]).strip()
            behind_stop = row.input_ids[position - 1] in stock.ours.stop_token_ids
            if blank and behind_stop and row.labels[position] == IGNORED:
                wanted[position] = 0
        assert labels(row) == wanted
        compared += 1
    assert compared >= 4
