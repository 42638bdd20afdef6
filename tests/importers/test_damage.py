"""A truncated, altered or hostile file gives what came before the damage, or a sentence; never anything else."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ForeignFileError
from core.importers import records, wire
from core.importers.foreign import ForeignRun
from core.importers.sources import find_sources, read_source
from tests.importers.conftest import FIXTURES
from tests.importers.test_trackers import runs_of


def tried(path: Path) -> list[ForeignRun]:
    """The runs, or none where it was refused by a sentence."""
    try:
        return runs_of(path)
    except ForeignFileError as error:
        assert error.what
        return []


def damaged_copies(source: Path, target: Path, count: int) -> list[Path]:
    """Copies that are cut off, have bytes flipped, or have a stretch of zeros, at random places."""
    chance = random.Random(11)
    content = source.read_bytes()
    paths = []
    for number in range(count):
        data = bytearray(content)
        place = chance.randrange(len(data))
        if number % 3 == 0:
            del data[place:]
        elif number % 3 == 1:
            data[place] ^= 1 << chance.randrange(8)
        else:
            data[place : place + 512] = bytes(len(data[place : place + 512]))
        path = target / f"{number}-{source.name}"
        path.write_bytes(bytes(data))
        paths.append(path)
    return paths


@pytest.mark.parametrize("name", ["run-fixture1.wandb", "mlflow.db", "trainer_state.json"])
def test_damaged_files_are_refused_or_read_in_part(name: str, tmp_path: Path) -> None:
    whole = sum(len(run.steps) for run in runs_of(FIXTURES / name))
    counts = [sum(len(run.steps) for run in tried(path)) for path in damaged_copies(FIXTURES / name, tmp_path, 120)]
    assert len(counts) == 120
    assert max(counts) <= whole
    assert min(counts) < whole


def test_damaged_event_files_keep_what_stands_before(event_folder: Path, tmp_path: Path) -> None:
    (source,) = event_folder.iterdir()
    counts = []
    for path in damaged_copies(source, tmp_path, 60):
        runs = tried(path)
        assert all(run.remarks for run in runs if len(run.steps) < 30)
        counts.append(sum(len(run.steps) for run in runs))
    assert len(counts) == 60
    assert len(set(counts)) > 5


def test_damaged_trackio_projects(trackio_project: Path, tmp_path: Path) -> None:
    assert sum(bool(tried(path)) for path in damaged_copies(trackio_project, tmp_path, 30)) < 30


def test_a_wandb_run_that_was_killed_says_so(tmp_path: Path) -> None:
    content = (FIXTURES / "run-fixture1.wandb").read_bytes()
    (tmp_path / "run-x.wandb").write_bytes(content[: len(content) // 2])
    (run,) = runs_of(tmp_path / "run-x.wandb")
    assert run.outcome == "lost"
    assert 10 < len(run.steps) < 80
    assert "cut off" in " ".join(run.remarks)


def test_a_damaged_file_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.wandb").write_bytes(b"\x00" * 100)
    (tmp_path / "b.db").write_bytes(b"SQLite format 3\x00" + b"\xff" * 2000)
    shutil.copy(FIXTURES / "run-fixture1.wandb", tmp_path / "c.wandb")
    sources = find_sources(tmp_path)
    assert len(sources) == 3
    outcomes: list[int | str] = []
    for source in sources:
        try:
            outcomes.append(len(read_source(source)))
        except ForeignFileError as error:
            outcomes.append(str(error))
    assert outcomes[2] == 1
    assert all("is damaged" in str(text) for text in outcomes[:2])


HOSTILE = {
    "a recursion": "[" * 100_000,
    "a bomb of digits": '{"log_history": [{"step": 1, "loss": ' + "9" * 10_000 + "}]}",
    "no object": "[1, 2]",
    "a history of nonsense": '{"log_history": [1, null, {"step": "x", "loss": 1}, {"step": -1, "loss": 1}]}',
    "steps beyond all bounds": '{"log_history": [{"step": 1e400, "loss": 1}, {"step": 9007199254740993, "loss": 1}]}',
    "surrogates": '{"log_history": [{"step": 1, "lo\\ud800ss": 1, "loss": NaN}], "trial_name": "\\udfff"}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_json(text: str, tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_text(text)
    for run in tried(path):
        assert all(step.step == 1 for step in run.steps)


def test_a_hostile_database_runs_nothing(tmp_path: Path) -> None:
    """A view or virtual table in place of a table is not read; wrong types are left out, and nothing is changed."""
    path = tmp_path / "evil.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE VIEW metrics AS SELECT 'r' AS run_name, 1 AS step, '{}' AS metrics, 0 AS timestamp,"
            " (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n) AS id"
        )
    with pytest.raises(ForeignFileError):
        find_sources(path)
    path = tmp_path / "types.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE metrics (id, run_name, timestamp, step, metrics)")
        rows = [
            (1, b"\xff", "never", 1, '{"loss": 1.5}'), (2, "n\x1b]52;c;AAAA\x07", 1e300, "x", '{"loss": 2}'),
            (3, None, None, 2**62, '{"loss": 3}'), (4, "d", "2026-01-01", 4, "{" * 5000), (5, "d", b"", 5, 7),
        ]  # fmt: skip
        connection.executemany("INSERT INTO metrics VALUES (?,?,?,?,?)", rows)
    before = path.read_bytes()
    runs = runs_of(path)
    assert sum(len(run.steps) for run in runs) == 1
    assert all(run.remarks for run in runs if not run.steps)
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["evil.db", "types.db"]


def test_a_record_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    length = struct.pack("<Q", 2**62)
    path = tmp_path / "events.out.tfevents.1"
    first = records.write_tfrecord(wire.write_bytes(3, b"brain.Event:2"))
    path.write_bytes(first + length + struct.pack("<I", records.masked_crc32c(length)) + b"\x00" * 100)
    with pytest.raises(ForeignFileError, match="is damaged") as raised:
        runs_of(path)
    assert "damaged" in raised.value.why


@given(st.binary(max_size=300))
@settings(max_examples=1500, deadline=None)
def test_any_bytes_as_a_message(data: bytes) -> None:
    try:
        found = list(wire.fields(data))
    except ValueError:
        return
    assert all(number >= 0 for number, _, _ in found)


MESSAGES: dict[str, Callable[[bytes], bytes]] = {
    "tensorboard": lambda data: records.write_tfrecord(wire.write_bytes(5, wire.write_bytes(1, data))),
    "wandb": lambda data: _wandb_record(wire.write_bytes(2, wire.write_bytes(1, data))),
}


def _wandb_record(data: bytes) -> bytes:
    import zlib

    return struct.pack("<IHB", zlib.crc32(data, zlib.crc32(b"\x01")), len(data), 1) + data


@pytest.mark.parametrize("tracker", MESSAGES)
@given(messages=st.lists(st.binary(max_size=80), max_size=5))
@settings(max_examples=300, deadline=None)
def test_whole_records_of_any_bytes(
    tracker: str, messages: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    body = b"".join(MESSAGES[tracker](each) for each in messages)
    if tracker == "wandb":
        path = folder / "any.wandb"
        path.write_bytes(records.WANDB_HEADER + b"\x00" + body)
    else:
        path = folder / "events.out.tfevents.any"
        path.write_bytes(body)
    for run in tried(path):
        json.dumps(run.config, allow_nan=False)
