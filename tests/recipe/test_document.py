"""YAML 1.2 to the letter, with lines; hostile or careless files end in a sentence."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RecipeError
from core.recipe.document import MAX_BYTES, parse_document, plain_value, read_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("2E5", 2e5), ("1.", 1.0), (".5", 0.5), ("+.5e1", 5.0), ("-0.0", -0.0), ("1e400", math.inf),
        ("12", 12), ("012", 12), ("-3", -3), ("+7", 7), ("0o12", 10), ("0x1F", 31),
        ("no", "no"), ("on", "on"), ("yes", "yes"), ("off", "off"), ("y", "y"), ("No", "No"),
        ("true", True), ("False", False), ("TRUE", True), ("tRUE", "tRUE"),
        ("null", None), ("~", None), ("", None), ("Null", None), ("none", "none"), ("None", "None"),
        ("1_000", "1_000"), ("1,000", "1,000"), ("0b11", "0b11"), ("2026-01-02", "2026-01-02"), ("1:30", "1:30"),
        ("1e", "1e"), ("e4", "e4"), ("--1", "--1"), ("0x", "0x"), ("１２", "１２"), ("=", "="), (".inf", math.inf),
        ("-.INF", -math.inf), ("1.2.3", "1.2.3"), ("nan", "nan"),
    ],
)  # fmt: skip
def test_plain_words(text: str, value: object) -> None:
    found = parse_document(f"key: {text}", "f").value
    assert found == {"key": value}
    assert isinstance(found, dict) and type(found["key"]) is type(value)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_python_writes_is_a_number(number: float) -> None:
    read = parse_document(f"a: {number!r}", "f").value
    assert isinstance(read, dict)
    assert type(read["a"]) is float
    assert read["a"] == number


@settings(deadline=None)
@given(st.integers())
def test_every_whole_number_is_one(number: int) -> None:
    assert plain_value(str(number)) == number


@settings(deadline=None)
@given(st.sampled_from(["no", "1e-4", "012", "null", "true", "~", ".inf", "0x10"]))
def test_quotes_make_words(word: str) -> None:
    assert parse_document(f"""a: "{word}"\nb: '{word}'""", "f").value == {"a": word, "b": word}


def test_every_key_and_item_knows_its_line() -> None:
    text = "# first\na:\n  b: 1\r\n  c:\n    - x\n    - d: 2\n\ne: [1,\n  2]\n"
    lines = parse_document(text, "f").lines
    assert lines[("a",)] == 2
    assert lines[("a", "b")] == 3
    assert lines[("a", "c", 0)] == 5
    assert lines[("a", "c", 1, "d")] == 6
    assert lines[("e", 1)] == 9


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=8),
)
def test_each_repeated_key_is_named_with_both_lines(keys: list[str]) -> None:
    document = parse_document("".join(f"{key}: {position}\n" for position, key in enumerate(keys)), "f")
    assert len(document.problems) == len(keys) - len(set(keys))
    for problem in document.problems:
        assert problem.line is not None
        assert keys[problem.line - 1] == problem.key
        assert f"line {keys.index(problem.key) + 1}" in problem.what


def test_an_alias_repeats_a_value() -> None:
    assert parse_document("a: &x [1, {b: 2}]\nc: *x\n", "f").value == {"a": (1, {"b": 2}), "c": (1, {"b": 2})}


def alias_bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (alias_bomb(9), "an alias counting as often as it is used"),
        ("a: " + "[" * 100_000, "nested"),
        ("a: &x [*x]", "refers to nothing that is complete"),
        ("a: *nowhere", "refers to nothing"),
        ("? [a, b]\n: 1\n", "plain word"),
        ("a: 1\n---\nb: 2\n", "several documents"),
        ("a: [1, 2\nb: 3\n", "not valid YAML"),
        ("a:\n\t- tab\n", "not valid YAML"),
        ("a: b: c\n", "not valid YAML"),
        ("a: \x1b[31m\n", "not valid YAML"),
        ("- [" + ", ".join("x" * 30_000) + "]", "more than 20000 values"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_document(text, "f.yaml")
    message = str(caught.value)
    assert said in message
    assert len(message) < 400
    assert message.startswith("f.yaml")


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [ls]", "!include x", "!!int '3'", "!x {a: 1}"])
def test_tags_are_refused(tag: str) -> None:
    problems = parse_document(f"b: 1\na: {tag}\n", "f").problems
    assert [(problem.line, problem.key) for problem in problems] == [(2, "a")]
    assert "tags" in problems[0].what


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_value_or_a_problem(text: str) -> None:
    try:
        parse_document(text, "f")
    except RecipeError as error:
        assert error.problems


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for content, said in (
        (b"a: 1\nb: \xff\xfe\n", ":2: is not UTF-8"),
        (b"a: " + b"x" * MAX_BYTES, "larger than 1 MiB"),
    ):
        path.write_bytes(content)
        with pytest.raises(RecipeError, match=said):
            read_document(path, "x.yaml")
    path.write_bytes("\ufeffa: é\n".encode())
    assert read_document(path, "x.yaml").value == {"a": "é"}
    with pytest.raises(RecipeError, match="no such file"):
        read_document(tmp_path / "absent.yaml", "absent.yaml")
    with pytest.raises(RecipeError, match="can't be read"):
        read_document(tmp_path, "folder")
