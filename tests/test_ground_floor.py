"""States, paths, units and errors: the small promises that every other room relies on."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from core import units
from core.errors import FinetuiError, Problem, RecipeError
from core.paths import Workspace, make_private_folder
from core.states import MOVES, Outcome, State, is_legal, may_resume


def test_every_state_can_be_reached_and_left() -> None:
    assert {move[0] for move in MOVES} == set(State)
    assert {move[1] for move in MOVES} == set(State)


def test_a_run_that_completed_can_not_be_resumed_and_every_other_can() -> None:
    assert not may_resume(State.FINISHED, Outcome.COMPLETED)
    assert all(may_resume(State.FINISHED, outcome) for outcome in Outcome if outcome is not Outcome.COMPLETED)
    assert may_resume(State.PAUSED, None)
    assert not may_resume(State.RUNNING, None)


def test_a_finished_run_never_runs_without_being_queued_again() -> None:
    assert [move for move in MOVES if move[0] is State.FINISHED] == [(State.FINISHED, State.QUEUED)]
    assert not is_legal(State.HELD, State.STARTING)


@pytest.mark.parametrize("name", ["../../x", "/etc", "a\0b", "x" * 300, "-rf", "~", "CON", "", "ABCDEFGH", "0000000\n"])
def test_nothing_that_a_person_typed_becomes_a_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a run id"):
        Workspace(tmp_path).run(name)


def test_made_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    folder = make_private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (units.format_bytes(0), "0 B"),
        (units.format_bytes(1536), "1.5 KiB"),
        (units.format_bytes(3 * 1024**3), "3.0 GiB"),
        (units.format_bytes(None), "—"),
        (units.format_duration(7), "0:07"),
        (units.format_duration(3 * 3600 + 5 * 60 + 9), "3:05:09"),
        (units.format_duration(float("inf")), "—"),
        (units.format_value(1.23456), "1.235"),
        (units.format_value(float("nan")), "nan"),
        (units.format_value(float("-inf")), "-inf"),
        (units.format_value(2e-4), "0.0002"),
        (units.format_percent(0.1234), "12.3 %"),
        (units.format_count(3100), "3.1k"),
    ],
)
def test_numbers_read_as_people_write_them(shown: str, expected: str) -> None:
    assert shown == expected


def test_an_error_is_sentences_and_a_recipe_error_lists_every_problem() -> None:
    error = FinetuiError("the disk is full", why="3 MiB are left", try_this="free some space.")
    assert str(error) == "the disk is full. 3 MiB are left. free some space"
    problems = [
        Problem("a.yaml", 3, "train.x", "unknown key", "did you mean y?"),
        Problem("a.yaml", None, "name", "bad"),
    ]
    assert str(RecipeError(problems)) == "a.yaml:3: train.x: unknown key (did you mean y?)\na.yaml: name: bad"
