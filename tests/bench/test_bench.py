"""The benchmarks still measure what they say, on inputs that are too small to take time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import log_cost, store
from bench.figures import Figure, finish


def test_a_broken_limit_is_named_and_makes_the_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = Figure(what="fine", value=1.0, unit="s", limit=2.0)
    peer = Figure(what="a peer", value=99.0, unit="s")
    bad = Figure(what="slow", value=2.5, unit="s", limit=2.0)
    assert finish([good, peer], None) == 0
    assert finish([good, peer, bad], tmp_path / "figures.json") == 1
    lines = capsys.readouterr().out.splitlines()
    assert ["FAIL" in line for line in lines[-4:]] == [False, False, False, True]
    saved = json.loads((tmp_path / "figures.json").read_text())
    assert [figure["passes"] for figure in saved["figures"]] == [True, None, False]


def test_the_cost_of_logging_is_that_of_the_reporter_and_the_spool(tmp_path: Path) -> None:
    opened = log_cost._open("finetui", tmp_path)
    assert opened is not None
    costs = log_cost._back_to_back(opened, 20)
    assert len(costs) == 20
    assert min(costs) > 0
    lines = (tmp_path / "runs" / "00000000" / "events.jsonl").read_bytes().splitlines()
    assert len(lines) == 20
    assert len(json.loads(lines[-1].split(b" ", 1)[1])["values"]) == log_cost.SCALARS


def test_curves_and_lists_are_read_back_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "STEPS", 30)
    monkeypatch.setattr(store, "RUNS", 60)
    monkeypatch.setattr(store, "REPETITIONS", 1)
    figures = {figure.what: figure for figure in store.measure()}
    assert len(figures) == 6
    assert "read back all 10 series of 30 points" in figures
    assert figures["ls of 60 runs, whole command"].passes is not None
