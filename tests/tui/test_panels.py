"""What the panels of a run's page say, without a screen."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from core.store.rows import AnswerRow, SampleRow
from tui.panels import machine
from tui.panels.curves import Curves
from tui.panels.log import LogTail
from tui.panels.numbers import Pace
from tui.panels.others import Overlay
from tui.panels.samples import sample_lines
from tui.widgets.lines import Part


def words(lines: list[list[Part]]) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in lines]


def reading(**values: float) -> SampleRow:
    measured: dict[str, float | None] = dict.fromkeys(SampleRow.__dataclass_fields__)
    return SampleRow(**{**measured, "at": 1.0, "attempt": 1, **values})  # type: ignore[arg-type]


def test_evaluations_behind_a_resume_are_gone_with_the_points() -> None:
    curves = Curves()
    curves.grow_axis([(step, float(step), None, None) for step in range(1, 41)], reset=True)
    assert curves.grow("loss", [(step, 1.0) for step in range(1, 41)], reset=True) == "loss"
    assert curves.grow("eval/task/loss", [(40, 1.0)], reset=True) == "loss"
    assert curves.grow("eval/task/exact_match", [(40, 1.0)], reset=True) is None
    curves.set_planned_rates([(1, 1e-4), (100, 0.0)], "linear")
    curves.set_overlay(Overlay("00000002", "other", {"loss": ((1, 2.0),)}))
    curves.grow_axis([(step, float(step), None, None) for step in range(1, 21)], reset=True)
    curves.grow("loss", [(step, 1.0) for step in range(1, 21)], reset=True)
    tracks = curves.models["loss"].tracks
    assert {name: len(track.curve) for name, track in tracks.items()} == {"done": 20, "task": 0, "overlay": 1}
    assert len(curves.models["learning_rate"].tracks["planned"].curve) == 2


def test_the_axis_is_drawn_anew_only_where_its_estimate_has_moved() -> None:
    curves = Curves()
    curves.set_run(1000, [], None)
    curves.grow_axis([(step, 100.0 + step, step * 10, step / 100) for step in range(1, 101)], reset=True)
    assert curves.next_mode() == "epoch"
    assert curves.next_mode() == "time"
    assert not curves.grow_axis([(101, 201.0, 1010, 1.01)], reset=False)
    assert curves.grow_axis([(102, 500.0, 1020, 1.02)], reset=False)  # a long pause
    assert curves.next_mode() == "tokens"
    assert curves.next_mode() == "step"


def test_a_run_that_logs_steps_alone_has_no_other_axis() -> None:
    curves = Curves()
    assert curves.next_mode() is None


def test_the_pace_is_that_of_the_last_steps() -> None:
    pace = Pace()
    assert pace.remaining_seconds(0, 100) is None
    pace.add([(step, step * 10.0, None, None) for step in range(1, 100)])
    pace.add([(step, 990.0 + (step - 99) * 2.0, step * 100, None) for step in range(100, 200)])
    assert pace.seconds_per_step == pytest.approx(2.0)
    assert pace.tokens_per_second == pytest.approx(50.0)
    assert pace.remaining_seconds(199, 300) == pytest.approx(202.0)
    assert pace.elapsed_seconds == pytest.approx(1180.0)


def test_gauges_show_what_was_measured_and_nothing_else() -> None:
    assert machine.lines([], 40) == []
    cpu_only = words(machine.lines([reading(cpu_percent=50.0), reading(cpu_percent=100.0)], 30))
    assert cpu_only == ["cpu  ▅█                   100%"]
    gpu = machine.lines([reading(gpu_memory_used_bytes=23 << 30, gpu_memory_total_bytes=24 << 30)], 40)
    assert words(gpu)[0].split() == ["vram", "█", "23.0G/24.0G"]
    assert gpu[0][-1][1] == "warn"


def test_base_stands_beside_the_newest_answer_or_above_it() -> None:
    answers = ((0, "no " * 30), (20, "so"), (40, "because"))
    rows = [AnswerRow(step=step, prompt_index=0, prompt="Why?", answer=text, tokens=1) for step, text in answers]
    beside = words(sample_lines(rows, 80))
    assert beside[0] == "Q Why?"
    assert beside[1].startswith("  base no no")
    assert "@40 because" in beside[1]
    assert beside[-1].strip() == "@20 so"
    under = words(sample_lines(rows, 40))
    assert [line.split()[0] for line in under if line.strip().startswith(("base", "@"))] == ["base", "@40", "@20"]
    assert "evaluate.prompts" in words(sample_lines([], 80))[0]


def test_a_log_is_followed_from_near_its_end(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    path.write_bytes(b"x" * 400_000 + b"\nfirst whole line\n50%\r100%\nhalf")
    tail = LogTail(path)
    assert [text for text, _ in tail.read()] == ["first whole line", "100%"]
    with path.open("ab") as file:
        file.write(b" and whole\nTraceback (most recent call last):\n")
    assert tail.read() == [("half and whole", ""), ("Traceback (most recent call last):", "bad")]


def test_a_value_that_is_no_number_reaches_the_last_values() -> None:
    curves = Curves()
    curves.grow("loss", [(1, 1.0), (2, math.nan)], reset=True)
    assert math.isnan(curves.last_values()["loss"])
