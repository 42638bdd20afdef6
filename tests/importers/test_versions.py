"""Older and newer spellings of the same: what a library's other versions write, made from the formats' definitions."""

from __future__ import annotations

import math
import os
import sqlite3
import struct
import zlib
from pathlib import Path

import pytest

from core.errors import ForeignFileError
from core.importers import records, wire
from core.importers.sources import find_sources
from core.states import Outcome
from tests.importers.test_trackers import curve, runs_of


def text(number: int, value: str) -> bytes:
    return wire.write_bytes(number, value.encode())


def wandb_file(path: Path, *messages: bytes) -> Path:
    """A log whose records are split over blocks, as LevelDB's writer does it."""
    data = bytearray(records.WANDB_HEADER + b"\x00")
    for body in messages:
        kind_first, rest = True, body
        while True:
            left = 32768 - len(data) % 32768
            if left < 7:
                data += bytes(left)
                left = 32768
            part, rest = rest[: left - 7], rest[left - 7 :]
            kind = (1 if kind_first else 4) if not rest else (2 if kind_first else 3)
            data += struct.pack("<IHB", zlib.crc32(part, zlib.crc32(bytes([kind]))), len(part), kind) + part
            kind_first = False
            if not rest:
                break
    path.write_bytes(bytes(data))
    return path


def item(key: str, value: bytes) -> bytes:
    return wire.write_bytes(1, text(1, key) + value)


def history(step: int, *items: bytes) -> bytes:
    return wire.write_bytes(2, b"".join(items) + wire.write_bytes(2, wire.write_number(1, step)))


def test_wandb_plain_keys_typed_values_and_no_end(tmp_path: Path) -> None:
    padding = text(999, "x" * 70_000)  # a field of a later version, long enough for a record over three blocks
    run = wire.write_bytes(
        17, text(1, "abc") + text(3, "p") + wire.write_bytes(4, item("lr", text(16, "0.5"))) + padding
    )
    nested = wire.write_bytes(1, text(2, "eval") + text(2, "x") + text(16, "1"))
    rows = [
        history(3, item("loss", text(16, "1.5")), item("note", text(16, '"a text"')), item("ok", text(16, "true"))),
        history(4, item("loss", wire.write_double(6, 2.5)), item("count", wire.write_number(5, 7))),  # zigzag of -4
        history(5, item("loss", text(16, "NaN")), item("image", text(16, '{"_type": "image-file"}'))),
        history(6, item("loss", text(16, '"Infinity"')), item("_timestamp", text(16, "1790000000.5")), nested),
    ]
    removed = wire.write_bytes(5, wire.write_bytes(1, text(1, "gone") + text(16, "1")))
    remove = wire.write_bytes(5, wire.write_bytes(2, text(1, "gone")))
    (found,) = runs_of(wandb_file(tmp_path / "run-abc.wandb", run, removed, remove, *rows))
    assert (found.name, found.source_run, found.outcome) == ("abc", "p/abc", Outcome.LOST)
    loss = curve(found, "loss")
    assert (loss[3], loss[4], loss[6]) == (1.5, 2.5, math.inf)
    assert math.isnan(loss[5])
    assert curve(found, "count") == {4: -4.0}
    assert curve(found, "ok") == {3: 1.0}
    assert curve(found, "eval.x") == {6: 1.0}
    assert found.steps[-1].at == 1_790_000_000.5
    assert found.config == {"lr": 0.5}
    assert found.remarks == ()


def test_wandb_says_how_a_failed_run_ended(tmp_path: Path) -> None:
    end = wire.write_bytes(18, wire.write_number(1, 1) + wire.write_number(2, 60))
    (found,) = runs_of(wandb_file(tmp_path / "run-a.wandb", history(1, item("loss", text(16, "1"))), end))
    assert (found.outcome, found.message) == (Outcome.CRASHED, "W&B recorded exit code 1")
    assert found.ended_at - found.created_at == 60


def event(step: int, value: bytes) -> bytes:
    body = wire.write_double(1, 1_790_000_000.0 + step) + wire.write_number(2, step)
    return records.write_tfrecord(body + wire.write_bytes(5, wire.write_bytes(1, value)))


TENSORS = {
    "float content": wire.write_number(1, 1) + wire.write_bytes(4, struct.pack("<f", 1.5)),
    "double content": wire.write_number(1, 2) + wire.write_bytes(4, struct.pack("<d", 1.5)),
    "float_val packed": wire.write_number(1, 1) + wire.write_bytes(5, struct.pack("<f", 1.5)),
    "float_val single": wire.write_number(1, 1) + wire.write_float(5, 1.5),
    "double_val": wire.write_number(1, 2) + wire.write_double(6, 1.5),
}


@pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS.keys())
def test_tensorboard_scalars_as_tensors(tensor: bytes, tmp_path: Path) -> None:
    data = event(1, text(1, "loss") + wire.write_bytes(8, tensor))
    several = wire.write_number(1, 1) + wire.write_bytes(5, struct.pack("<2f", 1, 2))
    words = wire.write_number(1, 7) + text(8, "hello")
    data += event(2, text(1, "loss") + wire.write_bytes(8, several)) + event(
        3, text(1, "t") + wire.write_bytes(8, words)
    )
    (tmp_path / "events.out.tfevents.1").write_bytes(data)
    (run,) = runs_of(tmp_path)
    assert [(step.step, step.values, step.at) for step in run.steps] == [(1, {"loss": 1.5}, 1_790_000_001.0)]


def test_the_later_of_two_event_files_wins_where_they_overlap(tmp_path: Path) -> None:
    """After a restart the steps since the last checkpoint are logged again, into a new file."""
    for name, steps, value in (("1", range(1, 8), 1.0), ("2", range(5, 11), 2.0)):
        data = b"".join(event(step, text(1, "loss") + wire.write_float(2, value)) for step in steps)
        (tmp_path / f"events.out.tfevents.{name}").write_bytes(data)
    (run,) = runs_of(tmp_path)
    assert curve(run, "loss") == {step: 1.0 if step < 5 else 2.0 for step in range(1, 11)}


def test_trackio_before_run_ids(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.execute("CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp, run_name, step, metrics)")
        connection.executemany(
            "INSERT INTO metrics (timestamp, run_name, step, metrics) VALUES (?,?,?,?)",
            [("2026-01-01T00:00:00", name, step, '{"loss": "NaN"}') for name in ("a", "b") for step in (0, 1)],
        )
    first, second = runs_of(tmp_path / "old.db")
    assert (first.name, second.name, first.created_at) == ("a", "b", 1_767_225_600.0)
    assert math.isnan(curve(first, "loss")[0])


def test_a_database_that_is_still_written_is_read_with_its_latest_rows(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "live.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp, run_name, step, metrics)")
    connection.execute("INSERT INTO metrics VALUES (1, '2026-01-01', 'a', 5, '{\"loss\": 1}')")
    connection.commit()
    assert (tmp_path / "live.db-wal").stat().st_size > 0
    (run,) = runs_of(tmp_path / "live.db")
    assert curve(run, "loss") == {5: 1.0}
    connection.close()


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("run-a.wandb", "events.out.tfevents.1", "x.db", "trainer_state.json", "adapter_config.json"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(ForeignFileError, match="nothing in"):
            find_sources(tmp_path / name)
    with pytest.raises(ForeignFileError, match="nothing in"):
        find_sources(tmp_path)
