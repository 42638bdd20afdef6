"""The filter language: what it reads, what it refuses and where, and that reading undoes writing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.paths import Workspace
from core.store.reader import open_reader
from core.store.run_query import OPERATORS, TEXT_FIELDS, Condition, RunQuery
from tests.tui.app_history import AppHistory
from tui.filters import FilterError, is_text_field, parse_filter, write_filter


def test_the_example_of_the_help_is_read() -> None:
    assert parse_filter("method:qlora eval_loss<1.3 tag:keep lr>=1e-4 -state:crashed hot") == (
        Condition("method", ":", "qlora"),
        Condition("eval_loss", "<", 1.3),
        Condition("tag", ":", "keep"),
        Condition("lr", ">=", 1e-4),
        Condition("state", ":", "crashed", negated=True),
        Condition("", ":", "hot"),
    )


@pytest.mark.parametrize(
    ("text", "said", "at"),
    [
        ("mehtod:qlora", "no field 'mehtod'", 0),
        ("method<3", "is a text", 6),
        ("eval_loss<low", "is a number", 10),
        ("tag:", "needs a value", 4),
        ("-", "needs a term", 1),
        ('note:"open', "not closed", 5),
        ("loss<nan", "no field", 0),
    ],
)
def test_what_is_no_filter_is_refused_where_it_goes_wrong(text: str, said: str, at: int) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert said in caught.value.what and caught.value.at == at


def test_a_mistyped_field_gets_the_nearest() -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter("mehtod:qlora")
    assert "method" in caught.value.try_this


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        conditions = parse_filter(text)
    except FilterError as error:
        assert 0 <= error.at <= len(text)
    else:
        assert parse_filter(write_filter(conditions)) == conditions


_WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_TEXTS = st.builds(
    Condition, st.sampled_from(["", "name", "tag", "note", "state"]), st.just(":"), _WORDS, st.booleans()
)
_NUMBERS = st.builds(
    Condition,
    st.sampled_from(["eval_loss", "loss.min", "grad_norm.smooth", "eval/task/loss"]),
    st.sampled_from(OPERATORS),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)


@given(st.lists(_TEXTS | _NUMBERS, max_size=6))
def test_reading_undoes_writing(conditions: list[Condition]) -> None:
    assert parse_filter(write_filter(tuple(conditions))) == tuple(conditions)


def test_the_store_finds_what_python_finds(workspace: Workspace) -> None:
    history = AppHistory(workspace)
    history.many(16)
    history.ingest()
    with open_reader(workspace) as reader:
        rows = {row.run_id: row for row in reader.runs()}
        everything = reader.matching(RunQuery())

        def found(text: str) -> set[str]:
            keys = reader.matching(RunQuery(conditions=parse_filter(text)))
            return {row.run_id for row in reader.page(keys).rows}

        assert len(everything) == 16 and found("") == set(rows)
        assert found("eval_loss<1.11") == {
            id_ for id_, row in rows.items() if row.eval_loss is not None and row.eval_loss < 1.11
        }
        assert found("state:diverged") == {id_ for id_, row in rows.items() if row.outcome == "diverged"} != set()
        assert found("-state:completed") == {id_ for id_, row in rows.items() if row.outcome != "completed"}
        assert found("r16-cos loss<1.07") == {
            id_ for id_, row in rows.items() if "r16-cos" in row.name and row.loss is not None and row.loss < 1.07
        }
        assert found("no_such_metric>0") == set()
        by_loss = reader.page(reader.matching(RunQuery(sort="loss.min", descending=False))).rows
        values = [min(v for v in reader.series(row.run_id, "loss").values if v == v) for row in by_loss]
        assert values == sorted(values) and len(values) == 16


def test_what_was_not_measured_sorts_last_either_way(workspace: Workspace) -> None:
    history = AppHistory(workspace)
    history.many(3)
    history.run(50, "queued")
    history.ingest()
    with open_reader(workspace) as reader:
        for descending in (True, False):
            keys = reader.matching(RunQuery(sort="eval_loss", descending=descending))
            assert [row.eval_loss is None for row in reader.page(keys).rows] == [False, False, False, True]


def test_a_field_is_text_or_number() -> None:
    assert all(is_text_field(field) for field in TEXT_FIELDS)
    assert not is_text_field("eval_loss")
