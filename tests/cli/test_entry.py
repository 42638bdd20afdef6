"""The console script: wrong use, a foreign `core`, a closed pipe, a mistake of ours; all end in words and a status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from core.cli.command import SUMMARIES
from core.cli.main import main
from core.paths import Workspace
from tests.cli.conftest import Finetui

ROOT = Path(__file__).resolve().parents[2]


def test_without_words_it_shows_help_and_calls_it_wrong_use() -> None:
    result = subprocess.run([sys.executable, "-P", "-m", "tui.entry"], capture_output=True, text=True, check=False)
    assert result.returncode == 2 and result.stdout == ""
    assert all(f"    {name} " in result.stderr for name in SUMMARIES)
    assert len(SUMMARIES) >= 22


def test_without_words_in_a_terminal_it_opens_the_app_and_q_closes_it(workspace: Workspace) -> None:
    command = ["-P", "-m", "tui.entry", "--workspace", str(workspace.root), "--no-mouse"]
    screen = pexpect.spawn(sys.executable, command, dimensions=(24, 80), encoding="utf-8", timeout=30)
    try:
        screen.expect_exact("No training runs in this workspace yet.")
        screen.expect_exact("Start the demo")
        assert "\x1b[?1003h" not in screen.before  # any-motion mouse reports were not asked for
        screen.send("q")
        screen.expect(pexpect.EOF)
    finally:
        screen.close(force=True)
    assert screen.exitstatus == 0
    assert list(workspace.root.iterdir()) == []


def test_a_hang_up_ends_the_app_at_once(workspace: Workspace) -> None:
    screen = pexpect.spawn(
        sys.executable, ["-P", "-m", "tui.entry", "--workspace", str(workspace.root)], dimensions=(24, 80), timeout=30
    )
    screen.expect_exact("No training runs")
    screen.kill(signal.SIGHUP)
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.signalstatus == signal.SIGHUP or screen.exitstatus is not None


@pytest.mark.parametrize("command", sorted(SUMMARIES))
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    help_text = capsys.readouterr().out
    assert f"finetui {command}" in help_text and "--workspace" in help_text and "--json" in help_text


def test_an_unknown_command_names_the_nearest(finetui: Finetui) -> None:
    said = finetui("metrcis")
    assert said.status == 2 and said.stdout == ""
    assert said.stderr == "error: there is no command 'metrcis'\n  try: did you mean metrics?\n"


def test_an_unknown_option_is_wrong_use(finetui: Finetui) -> None:
    said = finetui("ls", "--jsn")
    assert said.status == 2 and "unrecognized arguments: --jsn" in said.stderr


@pytest.mark.parametrize("words", [["--json", "ls"], ["ls", "--json"]])
def test_global_options_stand_before_or_after_the_command(words: list[str], workspace: Workspace) -> None:
    for named in (["--workspace", str(workspace.root), *words], [*words, f"--workspace={workspace.root}"]):
        result = subprocess.run(
            [sys.executable, "-P", "-m", "tui.entry", *named], capture_output=True, text=True, check=False
        )
        assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr


def test_looking_at_an_empty_workspace_makes_nothing(finetui: Finetui, workspace: Workspace) -> None:
    assert finetui("ls").status == 0
    assert list(workspace.root.iterdir()) == []


def test_a_workspace_that_is_no_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "--workspace", str(tmp_path / "absent")]) == 1
    assert f"{tmp_path / 'absent'} is not a folder" in capsys.readouterr().err


def test_a_closed_pipe_is_quiet(workspace: Workspace) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-P", "-m", "tui.entry", "--workspace", str(workspace.root), "ls", "--json"]
    result = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert result.stderr == "" and result.returncode == 1


def test_a_foreign_core_stops_with_its_path(tmp_path: Path) -> None:
    foreign = tmp_path / "core"
    foreign.mkdir()
    (foreign / "__init__.py").write_text("raise SystemExit('the foreign core ran')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-P", "-m", "tui.entry", "ls"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 1 and result.stdout == ""
    assert f"another installed package provides `core` ({foreign}); install finetui in its own" in result.stderr


def test_a_mistake_of_ours_is_one_sentence_and_a_report_without_secrets(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "hf_" + "q" * 30

    def fail(_: object) -> None:
        raise ZeroDivisionError(f"token {secret}")

    monkeypatch.setattr("core.cli.listing.open_store", fail)
    assert main(["ls", "--workspace", str(workspace.root)]) == 1
    said = capsys.readouterr()
    (report,) = workspace.state.glob("crash-*.log")
    assert said.out == "" and str(report) in said.err and "Traceback" not in said.err
    text = report.read_text()
    assert "Traceback" in text and "ZeroDivisionError" in text
    assert secret not in text + said.err
    assert report.stat().st_mode & 0o077 == 0
