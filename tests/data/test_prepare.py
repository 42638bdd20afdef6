"""From files to rows: deterministic, every lost row counted, forbidden ones refused, evaluation rows kept apart."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.chat import ChatTokenizer
from core.data.gate import audit, content_of, count_leaks
from core.data.held_out import hold_out, repeat_by_weight
from core.data.load import Source
from core.data.masks import IGNORED, EncodedRow
from core.data.packing import pack, plan
from core.data.prepare import PreparedTrain, prepare_evaluation, prepare_train
from core.errors import DatasetError
from core.starter.support import support_rows
from core.starter.tokenizer import tokenizer_config_json, tokenizer_json
from tests.data.families import CHATML, HEADERS, write_model_folder


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ChatTokenizer:
    return ChatTokenizer.load(write_model_folder(tmp_path_factory.mktemp("model"), CHATML))


def write(path: Path, rows: list[dict[str, Any]]) -> Source:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Source(str(path))


def question(number: int) -> dict[str, Any]:
    return {"question": f"what is {number} + 1?", "answer": str(number + 1)}


def train(sources: list[Source], tokenizer: ChatTokenizer, **options: Any) -> PreparedTrain:
    return prepare_train(sources, tokenizer, **{"max_length": 64, "seed": 7, **options})


def test_the_same_input_gives_the_same_rows(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    source = write(tmp_path / "rows.jsonl", [question(number) for number in range(50)])
    first = train([source], tokenizer, held_out={"validation": 8})
    assert first == train([source], tokenizer, held_out={"validation": 8})
    other = train([source], tokenizer, held_out={"validation": 8}, seed=8)
    assert other.held_out["validation"].sha256 != first.held_out["validation"].sha256
    assert [row.line for row in first.rows] == sorted(row.line for row in first.rows)
    assert len(first.rows) == 42
    assert (first.report.rows_read, first.report.rows_used, first.report.rows_held_out) == (50, 42, 8)
    assert first.report.tokens == sum(len(row.input_ids) for row in first.rows)
    assert first.report.tokens_trained == sum(row.tokens_trained for row in first.rows) > 0
    assert first.report.methods == {"prefix": 42}


def test_versions_follow_the_bytes(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    source = write(tmp_path / "rows.jsonl", [question(1), question(2)])
    (before,) = train([source], tokenizer).versions
    size = (tmp_path / "rows.jsonl").stat().st_size
    assert (before.path, before.rows, before.bytes) == (source.path, 2, size)
    write(tmp_path / "rows.jsonl", [question(1), question(3)])
    (after,) = train([source], tokenizer).versions
    assert after.bytes == before.bytes
    assert after.xxh3_128 != before.xxh3_128
    assert after.sha256 != before.sha256


@settings(max_examples=60, deadline=None)
@given(
    contents=st.lists(st.sampled_from("abcdefghijkl"), min_size=2, max_size=40),
    share=st.floats(0, 1),
    seed=st.integers(),
)
def test_rows_of_the_same_content_never_straddle(contents: list[str], share: float, seed: int) -> None:
    distinct = len(set(contents))
    wanted = {"a": int(share * (distinct - 1)), "b": distinct - 1 - int(share * (distinct - 1))}
    chosen = hold_out(contents, wanted, seed)
    sets = {name: {contents[position] for position in positions} for name, positions in chosen.items()}
    assert {name: len(found) for name, found in sets.items()} == wanted
    assert not sets["a"] & sets["b"]
    assert len(set(contents) - sets["a"] - sets["b"]) == 1
    with pytest.raises(DatasetError, match="evaluation sets take"):
        hold_out(contents, {"a": distinct}, seed)


def test_adding_rows_keeps_the_old_ones_where_they_were() -> None:
    old = [f"row {number}" for number in range(100)]
    before = set(hold_out(old, {"v": 20}, 3)["v"])
    after = {position for position in hold_out([*old, "new"], {"v": 20}, 3)["v"] if position < 100}
    assert len(before - after) <= 1


def test_copies_of_a_held_out_row_leave_the_training_rows(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    rows = [question(number % 10) for number in range(30)]
    prepared = train([write(tmp_path / "rows.jsonl", rows)], tokenizer, held_out={"validation": 4})
    validation = prepared.held_out["validation"]
    assert len(validation.examples) == 4
    assert prepared.report.rows_held_out == 12
    assert len(prepared.rows) == 18
    assert not validation.content_hashes & prepared.content_hashes
    kept = {row.input_ids for row in prepared.rows}
    assert not kept & {example.encoded.input_ids for example in validation.examples}


def test_weights_repeat_and_thin_out(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    one = write(tmp_path / "one.jsonl", [question(number) for number in range(40)])
    two = write(tmp_path / "two.jsonl", [question(number) for number in range(100, 120)])
    mixed = [Source(one.path, weight=0.25), Source(two.path, weight=2.5)]
    prepared = train(mixed, tokenizer)
    sources = [row.source for row in prepared.rows]
    assert (sources.count(0), sources.count(1)) == (10, 50)
    assert prepared == train(mixed, tokenizer)
    with pytest.raises(DatasetError, match="weight"):
        repeat_by_weight(["a"], 0.0, 1)


def test_bad_rows_are_refused_with_their_place_or_counted(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    path = tmp_path / "rows.jsonl"
    good = json.dumps(question(1))
    path.write_text(f'{good}\n{{"question": "what', encoding="utf-8")
    with pytest.raises(DatasetError, match=r"rows\.jsonl:2: broken JSON") as caught:
        train([Source(str(path))], tokenizer)
    assert "bad_rows: skip" in caught.value.try_this
    path.write_text(f'{good}\n{{"question": "what\n{good}\n{{"question": 5}}\n', encoding="utf-8")
    prepared = train([Source(str(path))], tokenizer, bad_rows="skip")
    assert (prepared.report.rows_read, prepared.report.rows_bad, len(prepared.rows)) == (4, 2, 2)
    assert [problem.split(": ")[0].rsplit(":", 1)[1] for problem in prepared.report.problems] == ["2", "4"]
    path.write_text('{"question": "a", "answer": null}\n')
    with pytest.raises(DatasetError, match="all 1 are bad"):
        train([Source(str(path), format="question_answer")], tokenizer, bad_rows="skip")


def test_rows_that_the_template_refuses_are_bad_rows(tmp_path: Path) -> None:
    template = HEADERS.source(marked=False).replace(
        "{{- bos_token }}", "{{ raise_exception('too many turns') if messages | length > 2 }}"
    )
    picky = ChatTokenizer.load(write_model_folder(tmp_path / "model", HEADERS, chat_template=template))
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    source = write(tmp_path / "rows.jsonl", [{"messages": turns}, {"messages": turns * 2}])
    with pytest.raises(DatasetError, match=r"rows\.jsonl:2: .*refuses.*too many turns"):
        train([source], picky)
    prepared = train([source], picky, bad_rows="skip")
    assert (prepared.report.rows_bad, len(prepared.rows)) == (1, 1)


def test_empty_and_missing_files_are_refused(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    with pytest.raises(DatasetError, match="holds no rows"):
        train([write(tmp_path / "empty.jsonl", [])], tokenizer)
    with pytest.raises(DatasetError, match="there is no file"):
        train([Source(str(tmp_path / "none.jsonl"))], tokenizer)
    with pytest.raises(DatasetError, match="relative path"):
        train([Source("rows.jsonl")], tokenizer)
    with pytest.raises(DatasetError, match=r"builtin:starter/trian is unknown.*builtin:starter/train"):
        train([Source("builtin:starter/trian")], tokenizer)


def test_rows_with_nothing_to_train_block(tmp_path: Path) -> None:
    """A template whose generation blocks leave the answer out would train nothing and look like a success."""
    template = CHATML.source(marked=False) + "{% generation %}{% endgeneration %}"
    silent = ChatTokenizer.load(write_model_folder(tmp_path / "model", CHATML, chat_template=template))
    source = write(tmp_path / "rows.jsonl", [question(1), question(2)])
    with pytest.raises(DatasetError, match="lines 1 and 2: no token would be trained"):
        train([source], silent, bad_rows="skip")


def test_prompts_that_fill_max_length(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    long = {"question": "why " * 200, "answer": "because"}
    few = write(tmp_path / "few.jsonl", [*(question(number) for number in range(39)), long])
    prepared = train([few], tokenizer)
    assert prepared.report.rows_without_trained_tokens == 1
    assert len(prepared.rows) == 39
    assert "line 40: the prompt alone fills max_length" in prepared.report.problems[0]
    many = write(tmp_path / "many.jsonl", [question(1), question(2), long])
    with pytest.raises(DatasetError, match=r"line 3: the prompt alone fills max_length.*1 of 3 rows"):
        train([many], tokenizer)
    assert len(train([many], tokenizer, bad_rows="skip").rows) == 2
    with pytest.raises(DatasetError, match="line 3: longer than max_length"):
        train([many], tokenizer, overlong="refuse")
    assert train([many], tokenizer, overlong="drop").report.rows_dropped == 1
    with pytest.raises(DatasetError, match=r"no row is left to train on.*3 too long"):
        train([many], tokenizer, overlong="drop", max_length=4)


def test_empty_answers_are_counted_and_named(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    source = write(tmp_path / "rows.jsonl", [question(1), {"question": "say nothing", "answer": " "}])
    report = train([source], tokenizer).report
    assert report.rows_empty_answer == 1
    assert "line 2: an empty answer" in report.problems[0]
    assert any("empty answer" in warning for warning in audit(report).warnings)


def test_evaluation_examples_end_where_the_model_goes_on(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    turns = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "2"},
    ]
    source = write(tmp_path / "rows.jsonl", [{"messages": turns}, {"messages": turns[:2]}])
    prepared = prepare_evaluation(source, tokenizer, max_length=64)
    first, second = prepared.examples
    assert (first.index, first.line, first.expected, second.expected) == (0, 1, "2", "1")
    assert first.prompt_text.endswith("<|im_start|>user\ntwo<|im_end|>\n<|im_start|>assistant\n")
    assert list(first.prompt_ids) == tokenizer.encode(first.prompt_text)
    assert first.encoded.input_ids[: len(first.prompt_ids)] == first.prompt_ids
    assert first.encoded.tokens_trained > 0
    assert prepared.version is not None
    again = write(tmp_path / "reordered.jsonl", [{"messages": turns[:2]}, {"messages": turns}])
    assert prepare_evaluation(again, tokenizer, max_length=64).sha256 != prepared.sha256


def test_raw_prompts_and_plain_text_evaluate_without_a_template(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    raw = write(tmp_path / "raw.jsonl", [{"prompt": "Capital of France:", "completion": " Paris"}])
    (example,) = prepare_evaluation(raw, tokenizer, max_length=64).examples
    assert (example.prompt_text, example.expected) == ("Capital of France:", " Paris")
    text = write(tmp_path / "text.jsonl", [{"text": "Paris is the capital."}])
    (example,) = prepare_evaluation(text, tokenizer, max_length=64).examples
    assert (example.prompt_ids, example.expected) == ((), "")
    assert example.encoded.tokens_trained == len(example.encoded.labels)


def test_the_gate_names_what_was_lost_and_what_leaks(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    rows = [question(number) for number in range(20)]
    source = write(tmp_path / "rows.jsonl", rows)
    test = write(tmp_path / "test.jsonl", [*rows[:3], question(500)])
    prepared = train([source], tokenizer)
    leaks = count_leaks(prepared.content_hashes, {"test": content_of(test), "other": frozenset()})
    assert leaks == {"test": 3, "other": 0}
    judged = audit(prepared.report, leaks)
    assert judged.blockers == ()
    assert judged.warnings == ("3 rows of the evaluation set test are training rows too, so its scores say too much",)


def test_the_gate_sees_answers_that_do_not_end(tmp_path: Path) -> None:
    template = CHATML.source(marked=True).replace(
        "+ '<|im_end|>' }}{% endgeneration %}", "}}{% endgeneration %}<|im_end|>"
    )
    tokenizer = ChatTokenizer.load(write_model_folder(tmp_path / "model", CHATML, chat_template=template))
    report = train([write(tmp_path / "rows.jsonl", [question(1)])], tokenizer).report
    assert report.rows_without_stop_token == 1
    assert any("may not learn to stop" in warning for warning in audit(report).warnings)


def test_a_thousand_starter_rows_are_prepared_at_once(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(tokenizer_json())
    (tmp_path / "tokenizer_config.json").write_text(tokenizer_config_json())
    rows = [
        {"messages": [{"role": "user", "content": message}, {"role": "assistant", "content": record}]}
        for message, record in itertools.islice(support_rows(5), 1000)
    ]
    source = write(tmp_path / "rows.jsonl", rows)
    tokenizer = ChatTokenizer.load(tmp_path)
    start = time.process_time()
    prepared = train([source], tokenizer, max_length=512)
    seconds = time.process_time() - start
    assert len(prepared.rows) == 1000
    assert prepared.report.methods == {"generation_markers": 1000}
    assert audit(prepared.report).warnings == ()
    first = prepared.rows[0]
    assert tokenizer.decode([label for label in first.labels if label != IGNORED]) == (
        rows[0]["messages"][1]["content"] + "<|end|>"
    )
    assert seconds < 3, "about 0.3 s of processor time on an idle machine"


def row_of(length: int, number: int) -> EncodedRow:
    ids = tuple(range(number * 100, number * 100 + length))
    return EncodedRow(ids, ids, number + 1, False, "prefix")


@settings(max_examples=100, deadline=None)
@given(lengths=st.lists(st.integers(1, 32), max_size=60))
def test_packing_keeps_every_row_whole_and_once(lengths: list[int]) -> None:
    rows = [row_of(length, number) for number, length in enumerate(lengths)]
    packed = pack(rows, 32)
    assert packed == pack(rows, 32)
    assert sorted(member for sequence in packed for member in sequence.members) == list(range(len(rows)))
    for sequence in packed:
        assert (
            len(sequence.input_ids) == len(sequence.labels) == len(sequence.position_ids) == sum(sequence.lengths) <= 32
        )
        at = 0
        for member, length in zip(sequence.members, sequence.lengths, strict=True):
            assert sequence.input_ids[at : at + length] == rows[member].input_ids
            assert sequence.labels[at : at + length] == (IGNORED, *rows[member].labels[1:])
            assert sequence.position_ids[at : at + length] == tuple(range(length))
            at += length
    assert sum(sum(sequence.lengths) <= 16 for sequence in packed) <= 1, "two half-empty sequences would fit into one"


def test_packing_fills_sequences_tightly_and_refuses_what_does_not_fit() -> None:
    assert plan([6, 5, 4, 3, 2], 10) == [[0, 2], [1, 3, 4]]
    with pytest.raises(ValueError, match="does not fit"):
        plan([11], 10)


def test_held_out_sets_keep_their_size_where_training_drops_long_rows(tmp_path: Path, tokenizer: ChatTokenizer) -> None:
    rows = [{"question": f"{number}?", "answer": "word " * 60} for number in range(10)] + [question(1)]
    prepared = train(
        [write(tmp_path / "rows.jsonl", rows), write(tmp_path / "more.jsonl", [question(n) for n in range(20, 40)])],
        tokenizer,
        overlong="drop",
        held_out={"validation": 12},
    )
    assert len(prepared.held_out["validation"].examples) == 12
    assert prepared.report.rows_dropped + prepared.held_out["validation"].report.rows_truncated == 10
