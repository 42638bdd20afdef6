"""Each score on the cases that tell it apart from its neighbours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluate.scores import score
from core.evaluate.tasks import TASKS

SCORED = [name for name, task in TASKS.items() if task.needs_generation]

CASES = [
    ("exact_match", " Paris\n", "Paris", 1.0),
    ("exact_match", "paris", "Paris", 0.0),
    ("exact_match", "Paris.", "Paris", 0.0),
    ("exact_match", '{"a": 1}', '{"a":1}', 0.0),
    ("contains", "It is PARIS,  of\ncourse", "Paris, of course", 1.0),
    ("contains", "Straße", "STRASSE", 1.0),
    ("contains", "cafe\u0301", "café", 1.0),
    ("contains", "Lyon", "Paris", 0.0),
    ("contains", "anything", "", 0.0),
    ("contains", "", "", 1.0),
    ("numeric_answer", "so 6 * 7 = 42", "First 6, then\n#### 42", 1.0),
    ("numeric_answer", "#### 1,000 (sure, 100 %)", "1e3", 1.0),
    ("numeric_answer", "$1,234.50.", "1234.5", 1.0),
    ("numeric_answer", "10-5", "5", 1.0),
    ("numeric_answer", "it is -5", "5", 0.0),
    ("numeric_answer", "−5", "-5", 1.0),
    ("numeric_answer", "0.1", "0.10000000001", 0.0),
    ("numeric_answer", "H2O", "2", 0.0),
    ("numeric_answer", "none", "none", 0.0),
    ("numeric_answer", "1e999999999999999999999", "1", 0.0),
    ("json_field_f1", '{"a": 1, "b": "x"}', '{"b":"x","a":1.0}', 1.0),
    ("json_field_f1", '```json\n{"a": 1}\n```', '{"a": 1}', 1.0),
    ("json_field_f1", '{"a": 1, "b": "y"}', '{"a": 1, "b": "x"}', 0.5),
    ("json_field_f1", '{"a": 1}', '{"a": 1, "b": "x"}', 2 / 3),
    ("json_field_f1", '{"a": true}', '{"a": 1}', 0.0),
    ("json_field_f1", "[1, 2]", "[2, 1]", 0.0),
    ("json_field_f1", '{"a": {"b": [1]}}', '{"a": {"b": [1]}}', 1.0),
    ("json_field_f1", "{}", "[]", 0.0),
    ("json_field_f1", '{"a": NaN}', '{"a": 1}', 0.0),
    ("json_field_f1", '{"a": 1', '{"a": 1}', 0.0),
    ("json_field_f1", "[" * 100_000, "[]", 0.0),
    ("token_f1", "The cat sat!", "a cat sat", 1.0),
    ("token_f1", "cat", "cat dog dog", 0.5),
    ("token_f1", "", "", 1.0),
    ("token_f1", "x", "", 0.0),
]


@pytest.mark.parametrize(("task", "output", "expected", "wanted"), CASES)
def test_score(task: str, output: str, expected: str, wanted: float) -> None:
    assert score(task, output, expected) == pytest.approx(wanted)


@given(output=st.text(), expected=st.text(), task=st.sampled_from([name for name in SCORED if name != "json_field_f1"]))
def test_scores_lie_between_nought_and_one(output: str, expected: str, task: str) -> None:
    assert 0.0 <= score(task, output, expected) <= 1.0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(one=json_values, two=json_values)
def test_json_f1_is_symmetric_and_one_for_equals_only(one: object, two: object) -> None:
    import json

    left, right = json.dumps(one), json.dumps(two)
    assert score("json_field_f1", left, left) == 1.0
    assert score("json_field_f1", left, right) == pytest.approx(score("json_field_f1", right, left))
    if json.dumps(one, sort_keys=True) != json.dumps(two, sort_keys=True):
        assert score("json_field_f1", left, right) < 1.0


def test_the_table_and_the_functions_name_the_same_tasks() -> None:
    assert set(SCORED) == {task for task, *_ in CASES}
    assert [name for name, task in TASKS.items() if not task.higher_is_better] == ["loss"]
    with pytest.raises(ValueError, match="no score per answer"):
        score("loss", "a", "b")
    with pytest.raises(ValueError, match="expected answer is not JSON"):
        score("json_field_f1", "{}", "not json")
