"""What is exported is what was logged, in files that other programs read and that overwrite nothing."""

from __future__ import annotations

import csv as csv_reader
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RunError, UsageError, WorkspaceError
from core.exporters import csv, parquet, tensorboard
from core.exporters.points import COLUMNS, RunPoints
from core.importers.foreign import ForeignEvaluation, ForeignRun, ForeignStep
from core.importers.sources import find_sources, read_source
from core.paths import Workspace
from core.runs.imports import import_runs
from core.states import Outcome
from core.store.reader import open_reader

FORMULA = '=cmd|" /C calc"!A0'
BEGAN = 1_790_000_000.0


def a_run(steps: int = 20) -> ForeignRun:
    rows = tuple(
        ForeignStep(
            step=step,
            at=BEGAN + step,
            values={"loss": math.nan if step == 3 else -1 / step, "grad_norm": math.inf if step == 4 else 1.0,
                    FORMULA: 2.0, "a,b\n\"c\"": 1e-300},
            epoch=step / 10,
            tokens=step * 100,
        )
        for step in range(1, steps + 1)
    )  # fmt: skip
    evaluation = ForeignEvaluation(
        step=10, at=BEGAN + 10, set_name="task", role="validation", metrics={"loss": 0.1, "exact_match": 0.9}
    )
    return ForeignRun(
        tracker="test", source="s", source_run="", name="a run", created_at=BEGAN, ended_at=BEGAN + 99,
        outcome=Outcome.COMPLETED, steps=rows if steps else (), evaluations=(evaluation,) if steps else (),
    )  # fmt: skip


@pytest.fixture
def points(workspace: Workspace) -> Iterator[RunPoints]:
    (imported,) = import_runs(workspace, [a_run()])
    with open_reader(workspace) as reader:
        yield RunPoints(reader, imported.run_id)


def expected(points: RunPoints) -> dict[tuple[str, int], float]:
    return {(row.key, row.step): row.value for _, rows in points.by_key() for row in rows}


def same(left: dict[tuple[str, int], float], right: dict[tuple[str, int], float]) -> bool:
    return left.keys() == right.keys() and all(
        left[key] == right[key] or (math.isnan(left[key]) and math.isnan(right[key])) for key in left
    )


def test_csv_holds_every_value_exactly_and_no_formula(points: RunPoints, tmp_path: Path) -> None:
    target = tmp_path / "run.csv"
    assert csv.write(points, target) == len(expected(points)) == 82
    with target.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv_reader.reader(file))
    assert tuple(header) == COLUMNS
    assert len(rows) == 82
    assert {row[1] for row in rows if row[1].startswith("'")} == {f"'{FORMULA}"}
    found = {(row[1].removeprefix("'"), int(row[0])): float(row[2]) for row in rows}
    assert same(found, expected(points))
    cells = [cell for row in rows for cell in row]
    starts = [cell for cell in cells if cell[:1] in "=+@\t\r" and cell]
    assert starts == []
    negative = [cell for cell in cells if cell.startswith("-")]
    assert negative
    assert all(math.isfinite(float(cell)) for cell in negative)
    at_ten = next(row for row in rows if row[:2] == ["10", "loss"])
    assert at_ten[3:] == ["1.0", "1000", "10.0"]
    assert target.stat().st_mode & 0o077 == 0


@given(st.text(max_size=40))
@settings(max_examples=500, deadline=None)
def test_no_cell_is_a_formula(text: str) -> None:
    cell = csv.safe_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) or math.isfinite(float(cell))
    assert cell.removeprefix("'") == text.replace("\x00", "␀").removeprefix("'")


CELLS = [
    ("=1+1", "'=1+1"), ("-1.5e-3", "-1.5e-3"), ("+7", "+7"), ("-x", "'-x"), ("@SUM(A1)", "'@SUM(A1)"),
    ("loss", "loss"), ("\t=1", "'\t=1"), ("-\n1", "'-\n1"), ("\r-1", "'\r-1"), ("-1_0", "'-1_0"), ("-inf", "'-inf"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "cell"), CELLS)
def test_cells(text: str, cell: str) -> None:
    assert csv.safe_cell(text) == cell


def test_parquet_is_read_back_by_pyarrow(points: RunPoints, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    target = tmp_path / "run.parquet"
    assert parquet.write(points, target) == 82
    table = pq.read_table(target)
    assert tuple(table.column_names) == COLUMNS
    found = {(row["key"], row["step"]): row["value"] for row in table.to_pylist()}
    assert same(found, expected(points))
    row = next(row for row in table.to_pylist() if (row["key"], row["step"]) == ("loss", 10))
    assert (row["epoch"], row["tokens"], row["seconds"]) == (1.0, 1000, 10.0)


def test_event_files_are_read_by_the_other_librarys_messages(points: RunPoints, tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event

    assert tensorboard.write(points, tmp_path / "logs", created_at=BEGAN) == 82
    (path,) = (tmp_path / "logs").iterdir()
    data = path.read_bytes()
    events, position = [], 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 8], "little")
        event = Event()
        event.ParseFromString(data[position + 12 : position + 12 + length])
        events.append(event)
        position += 16 + length
    assert events[0].file_version == "brain.Event:2"
    found = {(value.tag, event.step): value.simple_value for event in events for value in event.summary.value}
    assert len(found) == 82
    assert found["loss", 10] == pytest.approx(-0.1)
    assert math.isnan(found["loss", 3])
    assert next(event.wall_time for event in events if event.step == 10) == BEGAN + 10


def test_records_are_those_that_tensorboardx_writes(tmp_path: Path) -> None:
    from tensorboardX.record_writer import RecordWriter

    from core.importers.records import write_tfrecord

    writer = RecordWriter(str(tmp_path / "records"))
    for size in (0, 1, 7, 300):
        writer.write(bytes(range(256)) * 2 if size == 300 else b"x" * size)
    writer.close()
    ours = b"".join(write_tfrecord(bytes(range(256)) * 2 if n == 300 else b"x" * n) for n in (0, 1, 7, 300))
    assert (tmp_path / "records").read_bytes() == ours


def test_what_was_exported_is_imported_again(points: RunPoints, tmp_path: Path) -> None:
    tensorboard.write(points, tmp_path / "logs", created_at=BEGAN)
    (run,) = read_source(find_sources(tmp_path / "logs")[0])
    steps = {step.step: step for step in run.steps}
    assert len(steps) == 20
    assert steps[10].values["loss"] == pytest.approx(-0.1)
    assert math.isnan(steps[3].values["loss"])
    assert steps[4].values["grad_norm"] == math.inf
    assert steps[7].at == BEGAN + 7
    (evaluation,) = run.evaluations
    assert (evaluation.set_name, evaluation.step) == ("task", 10)
    assert evaluation.metrics == {"loss": pytest.approx(0.1), "exact_match": pytest.approx(0.9)}


@pytest.mark.parametrize("write", [csv.write, parquet.write])
def test_a_file_is_replaced_only_by_force(write, points: RunPoints, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    target = tmp_path / "out"
    target.write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        write(points, target)
    assert target.read_text() == "precious"
    write(points, target, force=True)
    assert target.read_bytes() != b"precious"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        write(points, tmp_path / "folder", force=True)
    with pytest.raises(WorkspaceError, match="can't write"):
        write(points, tmp_path / "absent" / "out")


def test_a_dangling_link_is_not_followed(points: RunPoints, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="exists already"):
        csv.write(points, tmp_path / "link")
    csv.write(points, tmp_path / "link", force=True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_with_other_files_keeps_them(points: RunPoints, tmp_path: Path) -> None:
    target = tmp_path / "logs"
    target.mkdir()
    (target / "events.out.tfevents.1.theirs").write_text("precious")
    with pytest.raises(UsageError, match="is not empty"):
        tensorboard.write(points, target, created_at=BEGAN)
    tensorboard.write(points, target, created_at=BEGAN, force=True)
    tensorboard.write(points, target, created_at=BEGAN + 5, force=True)
    assert len(list(target.iterdir())) == 2
    assert (target / "events.out.tfevents.1.theirs").read_text() == "precious"


def test_a_run_without_points_is_refused_before_a_file_is_made(workspace: Workspace, tmp_path: Path) -> None:
    (imported,) = import_runs(workspace, [a_run(steps=0)])
    out = tmp_path / "out"
    out.mkdir()
    with open_reader(workspace) as reader:
        points = RunPoints(reader, imported.run_id)
        for write in (csv.write, parquet.write):
            with pytest.raises(RunError, match="nothing yet"):
                write(points, out / "file")
        with pytest.raises(RunError, match="nothing yet"):
            tensorboard.write(points, out / "logs", created_at=BEGAN)
    assert list(out.iterdir()) == []
