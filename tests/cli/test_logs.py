"""A worker's log is shown as it would have looked, within bounds, and harmless."""

from __future__ import annotations

from pathlib import Path

from core.cli.log_lines import LINE_LIMIT_BYTES, LineReader, clean_line


def test_overwritten_lines_show_their_last_writing() -> None:
    assert clean_line(b"  0%|   \r 50%|##  \r100%|####\r") == "100%|####"
    assert clean_line(b"plain\r") == "plain"
    assert clean_line(b"caf\xc3\xa9 \xff") == "café \N{REPLACEMENT CHARACTER}"


def test_a_growing_file_is_read_once_and_a_torn_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    reader = LineReader(path)
    assert list(reader.read(to_the_end=False)) == []
    path.write_bytes(b"one\ntw")
    assert list(reader.read(to_the_end=False)) == ["one"]
    with path.open("ab") as file:
        file.write(b"o\nthree")
    assert list(reader.read(to_the_end=False)) == ["two"]
    assert list(reader.read(to_the_end=True)) == ["three"]
    assert list(reader.read(to_the_end=True)) == []


def test_an_endless_line_is_capped(tmp_path: Path) -> None:
    path = tmp_path / "worker.log"
    path.write_bytes(b"x" * (5 * 1024 * 1024) + b"\nnext\n" + b"old\r" * 400_000 + b"new\n")
    long, following, collapsed = LineReader(path).read(to_the_end=True)
    assert len(long) == LINE_LIMIT_BYTES + 1 and long.endswith("…")
    assert following == "next"
    assert collapsed == "new"
