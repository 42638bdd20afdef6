"""Whatever a command prints fits the terminal, steers nothing, and says what JSON can't carry."""

from __future__ import annotations

import json
import math

import pytest

from core.cli import output
from core.cli.json_values import curve, to_json
from core.cli.output import Column
from core.errors import FinetuiError, Problem, RecipeError
from core.text import display_width

HOSTILE = "\x1b]52;c;ZXZpbA==\x07\u202egpj.exe\x9b31m\x7f[/INST]"
STEERING = "\x1b\x07\u202e\x9b\x7f"


def test_a_table_never_exceeds_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    rows = [["a" * 60, "1", "x" * 30], ["名前" * 30, "22", "y"], [HOSTILE, "3", HOSTILE]]
    output.print_table([Column("NAME", may_shrink=True), Column("N", right=True), Column("LAST")], rows)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert max(display_width(line) for line in lines) <= 40
    assert "…" in lines[1]


def test_a_table_on_a_pipe_has_80_columns_and_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table([Column("A", may_shrink=True), Column("B")], [["a" * 300, "kept"]])
    header, row = capsys.readouterr().out.splitlines()
    assert header.startswith("A") and display_width(row) == 80 and row.endswith("kept")


def test_foreign_text_reaches_no_stream_raw(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_text(HOSTILE)
    output.print_fields([("name", HOSTILE)])
    output.print_table([Column("NAME")], [[HOSTILE]])
    output.print_json({"name": HOSTILE})
    output.narrate(HOSTILE)
    output.print_error(FinetuiError(HOSTILE, why=HOSTILE, try_this=HOSTILE))
    output.print_error(RecipeError([Problem(file=HOSTILE, line=3, key=HOSTILE, what=HOSTILE)]))
    captured = capsys.readouterr()
    assert captured.out.count("[/INST]") == 4 and captured.err.count("[/INST]") == 7
    assert not set(STEERING) & set(captured.out + captured.err)


def test_json_is_exact_although_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"name": HOSTILE})
    assert json.loads(capsys.readouterr().out) == {"name": HOSTILE}


def test_numbers_that_json_lacks_are_null_with_their_kind() -> None:
    document = to_json({"loss": math.nan, "runs": [{"a": 1.5, "b": [1.0, -math.inf]}], "n": None})
    expected = {"loss": None, "runs": [{"a": 1.5, "b": [1.0, None], "nonfinite": {"b.1": "-inf"}}], "n": None}
    assert document == {**expected, "nonfinite": {"loss": "nan"}}
    assert curve([3, 12], [0.5, math.inf]) == {"steps": [3, 12], "values": [0.5, None], "nonfinite": {"12": "inf"}}
    assert curve([], []) == {"steps": [], "values": []}


def test_a_recipe_error_lists_every_problem(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [Problem("r.yaml", line, f"key{line}", "is wrong", "mend it") for line in (2, 7)]
    output.print_error(RecipeError(problems))
    assert capsys.readouterr().err.splitlines() == [
        "r.yaml:2: key2: is wrong (mend it)",
        "r.yaml:7: key7: is wrong (mend it)",
        "error: the recipe has 2 problems; nothing was started",
    ]
