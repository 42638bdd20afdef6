"""A spool keeps every acknowledged line, whatever happens to the writer or the disk."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.events import StepLogged
from core.runs.spool import Spool, tail


def steps(path: Path) -> list[int]:
    return [record.event.step for _, record in tail(path, 0).records if isinstance(record.event, StepLogged)]


def fill(path: Path, count: int, attempt: int = 1) -> None:
    with Spool.open(path, attempt) as spool:
        for step in range(1, count + 1):
            assert spool.append(StepLogged(step=step, values={"loss": 1.0 / step})) == step


def test_numbers_continue_over_reopening(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    fill(path, 3)
    with Spool.open(path, 2) as spool:
        assert spool.last_seq == 3
        assert spool.append(StepLogged(step=4, values={})) == 4
    records = [record for _, record in tail(path, 0).records]
    assert [(record.seq, record.attempt) for record in records] == [(1, 1), (2, 1), (3, 1), (4, 2)]


def test_file_is_private(tmp_path: Path) -> None:
    os.umask(0)
    fill(tmp_path / "events.jsonl", 1)
    assert (tmp_path / "events.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "events.jsonl").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError):
        Spool.open(tmp_path / "events.jsonl", 1)
    assert (tmp_path / "precious").read_text() == "keep"


@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 5), cut=st.integers(0, 400), junk=st.binary(max_size=40))
def test_any_torn_tail_is_mended(tmp_path_factory: pytest.TempPathFactory, count: int, cut: int, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("torn") / "events.jsonl"
    fill(path, count)
    whole = path.read_bytes()
    torn = whole[: max(0, len(whole) - cut)] + junk.replace(b"\n", b"")
    path.write_bytes(torn)
    survivors = steps(path)
    assert survivors == list(range(1, len(survivors) + 1))
    with Spool.open(path, 2) as spool:
        assert spool.append(StepLogged(step=99, values={})) == len(survivors) + 1
    found = tail(path, 0)
    assert found.damaged_lines == 0
    assert steps(path) == [*survivors, 99]


def test_numbering_skips_damaged_lines_and_reads_back_over_long_ones(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with Spool.open(path, 1) as spool:
        spool.append(StepLogged(step=1, values={}))
        spool.append(StepLogged(step=2, values={f"metric {n}": 1.0 for n in range(20_000)}))
    with path.open("ab") as file:
        file.write(b"00000000 {}\n" + b"\0" * 100_000 + b"\n")
    with Spool.open(path, 1) as spool:
        assert spool.append(StepLogged(step=3, values={})) == 3
    assert tail(path, 0).damaged_lines == 2


def test_a_reader_keeps_a_torn_line_for_later(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    fill(path, 2)
    data = path.read_bytes()
    path.write_bytes(data[:-5])
    first = tail(path, 0)
    path.write_bytes(data)
    second = tail(path, first.offset)
    assert [record.seq for _, record in (*first.records, *second.records)] == [1, 2]


def test_a_full_disk_leaves_a_state_that_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    refused = 0
    acknowledged = []
    try:
        with Spool.open(path, 1) as spool:
            for step in range(1, 31):
                limit = 1500 if step < 20 else 1_000_000
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
                try:
                    spool.append(StepLogged(step=step, values={"loss": 1.0}))
                    acknowledged.append(step)
                except OSError:
                    refused += 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert refused > 3
    assert steps(path) == acknowledged
    records = tail(path, 0)
    assert [record.seq for _, record in records.records] == list(range(1, len(acknowledged) + 1))
    assert records.damaged_lines == 0


WRITER = """
import sys
from pathlib import Path
from core.events import StepLogged
from core.runs.spool import Spool
spool = Spool.open(Path(sys.argv[1]), 1)
step = spool.last_seq
while True:
    step += 1
    spool.append(StepLogged(step=step, values={"loss": 0.5}))
    sys.stdout.write(f"{step}\\n")
    sys.stdout.flush()
"""


def test_a_killed_writer_loses_no_acknowledged_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(200):
            last = int(process.stdout.readline())
        process.kill()
        rest = process.stdout.read().split("\n")
        process.stdout.close()
        process.wait()
        last = max([last, *(int(line) for line in rest[:-1])])
        found = steps(path)
        assert len(found) >= last >= 200
        assert found == list(range(1, len(found) + 1))
