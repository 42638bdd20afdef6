"""What can't be done is refused in a sentence that names it and says what to do; the store stays whole."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from core.cli.main import main
from core.paths import Workspace
from core.recipe.load import load_recipe
from core.runs.queue import submit
from tests.process.conftest import write_recipe


@pytest.fixture
def run_id(workspace: Workspace, tmp_path: Path) -> str:
    """A held run: it keeps no supervisor, so nothing but the test writes here."""
    return submit(workspace, load_recipe(write_recipe(tmp_path / "recipe")), held=True, name="waiting")


def _finetui(workspace: Workspace, *words: str) -> int:
    return main([*words, "--workspace", str(workspace.root)])


def test_a_newer_database_is_shown_and_never_written(
    workspace: Workspace, run_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(workspace.database) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = workspace.database.read_bytes()
    assert _finetui(workspace, "ls") == 0
    said = capsys.readouterr()
    assert run_id in said.out and "newer" in said.err
    assert _finetui(workspace, "rebuild") == 1
    assert "newer" in capsys.readouterr().err
    assert workspace.database.read_bytes() == before


def test_a_damaged_database_says_how_to_mend_it(
    workspace: Workspace, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.database.write_bytes(b"this is no database, " * 1000)
    assert _finetui(workspace, "ls") == 1
    assert "finetui rebuild" in capsys.readouterr().err
    assert _finetui(workspace, "rebuild", "--json") == 0
    capsys.readouterr()
    assert _finetui(workspace, "ls") == 0 and run_id in capsys.readouterr().out


def test_a_journal_that_can_not_be_written_stops_the_decision(
    workspace: Workspace, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.journal.rename(workspace.root / "kept")
    workspace.journal.mkdir()
    assert _finetui(workspace, "note", run_id, "text") == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "journal.jsonl" in said and "mistake" not in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["stop", "00000000"], "no run '00000000'"),
        (["show", ""], "no run ''"),
        (["metrics", "waiting", "loss"], "it has logged nothing yet"),
        (["plot", "waiting", "loss"], "it has logged nothing yet"),
        (["logs", "waiting"], "its worker has printed nothing yet"),
        (["eval", "waiting", "--on", "test"], "has no checkpoint yet"),
        (["pause", "waiting"], "it is held"),
        (["resume", "waiting"], "it is held"),
        (["pin", "waiting@5"], "has no checkpoint"),
    ],
)
def test_what_a_run_can_not_do_is_said(
    words: list[str], expected: str, workspace: Workspace, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _finetui(workspace, *words) == 1
    said = capsys.readouterr()
    assert said.out == "" and expected in said.err and "mistake" not in said.err
    assert not list(workspace.state.glob("crash-*"))


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["run", "r.yaml", "--hold", "--wait"],
        ["eval", "x"],
        ["queue", "move", "x"],
        ["ls", "--kind", "tarin"],
        ["plot", "x", "loss", "--width", "-3"],
        ["run", "absent.yaml"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_2(words: list[str], workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert _finetui(workspace, *words) == 2
    said = capsys.readouterr()
    assert said.out == "" and "error: " in said.err
