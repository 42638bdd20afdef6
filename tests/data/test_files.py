"""Rows come out of every kind of file, and what is damaged is reported: exactly that, with its line."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.files import RawRow, read_rows
from core.data.json_array import CHUNK_BYTES
from core.errors import DatasetError

ROWS = [{"question": f"q{index} 東京", "answer": f'a "{index}"\n, ok'} for index in range(5)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


def data_of(path: Path) -> list[object]:
    rows = list(read_rows(path))
    assert [row.error for row in rows] == [None] * len(rows)
    return [row.data for row in rows]


def csv_text(delimiter: str) -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    head = delimiter.join(["question", "answer"])
    return "\n".join([head, *(delimiter.join([cell(row["question"]), cell(row["answer"])]) for row in ROWS)])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.jsonl", LINES),
        ("rows.ndjson", LINES.replace("\n", "\r\n")),
        ("rows.jsonl.gz", LINES),
        ("blank.jsonl", "\n\n" + LINES.replace("\n", "\n\n")),
        ("bom.jsonl", b"\xef\xbb\xbf" + LINES.encode()),
        ("rows.json", json.dumps(ROWS)),
        ("pretty.json", json.dumps(ROWS, indent=2, ensure_ascii=False)),
        ("rows.json.gz", json.dumps(ROWS, indent=1)),
        ("in_truth_lines.json", LINES),
        ("rows.csv", csv_text(",")),
        ("semicolons.csv", csv_text(";")),
        ("bom.csv", b"\xef\xbb\xbf" + csv_text(",").encode()),
        ("rows.tsv", csv_text("\t")),
        ("rows.csv.gz", csv_text(",")),
        ("rows.tsv.gz", csv_text("\t")),
    ],
)
def test_each_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert data_of(write(tmp_path, name, content)) == ROWS


def test_parquet_gives_the_same_rows(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    assert data_of(tmp_path / "rows.parquet") == ROWS
    write(tmp_path, "broken.parquet", b"PAR1 and then nothing")
    with pytest.raises(DatasetError, match="not a sound Parquet file"):
        list(read_rows(tmp_path / "broken.parquet"))


def test_plain_text_gives_paragraphs_or_lines(tmp_path: Path) -> None:
    verse = write(tmp_path, "verse.txt", "First:\nhear me\n\n\nAll:\nSpeak\n")
    assert [(row.line, row.data) for row in read_rows(verse)] == [(1, "First:\nhear me"), (5, "All:\nSpeak")]
    lines = write(tmp_path, "lines.txt.gz", "one\ntwo\nthree\n\n")
    assert [(row.line, row.data) for row in read_rows(lines)] == [(1, "one"), (2, "two"), (3, "three")]


def test_an_array_larger_than_the_window_is_read_whole(tmp_path: Path) -> None:
    rows = [{"text": "ü" * (CHUNK_BYTES // 3), "number": index} for index in range(7)]
    assert data_of(write(tmp_path, "large.json", json.dumps(rows, ensure_ascii=False))) == rows


def test_rows_are_streamed(tmp_path: Path) -> None:
    """The first row is there although the file breaks off later."""
    packed = gzip.compress(LINES.encode() * 2000)
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(packed[: len(packed) // 2])
    rows = read_rows(path)
    assert next(rows).data == ROWS[0]
    with pytest.raises(DatasetError, match=r"broken archive after line \d+"):
        list(rows)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "broken JSON"),
        (b"[1, 2]", "not an object but a list"),
        (b"7", "not an object but a number"),
        (b"null", "not an object but null"),
        (b'{"a": "\xff"}', "invalid UTF-8 at byte 8"),
        (b'{"a": "\\ud83d"}', "half a surrogate pair"),
        (b'{"a": ' + b"9" * 5000 + b"}", "broken JSON"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply|broken JSON"),
    ],
)
def test_a_bad_line_is_named_and_the_others_stay(tmp_path: Path, line: bytes, reason: str) -> None:
    path = write(tmp_path, "rows.jsonl", b'{"a": 0}\n' + line + b'\n{"a": "\\ud83d\\ude00"}\n')
    first, bad, last = read_rows(path)
    assert (first.data, last.data) == ({"a": 0}, {"a": "😀"})
    assert (bad.line, bad.data) == (2, None)
    assert re.search(reason, bad.error or "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("splits.json", '{"train": [{"text": "a"}], "test": []}', "one object with the keys test, train"),
        ("pretty.json", '{\n  "train": [\n    {"text": "a"}\n  ]\n}', "not a list of rows"),
        ("broken.json", '[{"a": 1},\n{"a": 2,}\n, {"a": 3}]', r"broken.json:2: broken JSON"),
        ("cut.json", '[{"a": 1},\n{"a": 2}', r"cut.json:2: broken JSON. the file ends|cut.json:2"),
        ("tail.json", '[{"a": 1}] x', "text after the end"),
        ("header.csv", "question,question\na,b\n", "doubled column name"),
        ("quote.csv", 'question,answer\na,b\n"c,d\ne,f\n', "quote.csv:3: a quote that opens here never closes"),
        ("wide.jsonl", b"\xff\xfe{\x00}\x00", "UTF-16"),
        ("rows.xlsx", "x", "ending that finetui does not read"),
        ("rows", "x", "ending that finetui does not read"),
        ("rows.parquet.gz", "x", "ending that finetui does not read"),
    ],
)
def test_a_file_that_can_not_be_trusted_is_refused(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(DatasetError, match=message):
        list(read_rows(path))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no file .*none\.jsonl"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(DatasetError, match="is a folder"):
        read_rows(tmp_path)


def test_bad_rows_of_tables_and_arrays_are_named(tmp_path: Path) -> None:
    table = list(read_rows(write(tmp_path, "rows.csv", b'a,b\n1,2\n3\n"x\ny",5\n\xff,6\n7,8,9\n')))
    assert [(row.line, row.error) for row in table] == [
        (2, None),
        (3, "1 columns where the header has 2"),
        (4, None),
        (6, "invalid UTF-8"),
        (7, "3 columns where the header has 2"),
    ]
    array = list(read_rows(write(tmp_path, "rows.json", b'[\n{"a": 1},\n7,\n{"a": "\xff"},\n{"a": 2}]')))
    assert array == [
        RawRow(2, {"a": 1}),
        RawRow(3, None, "not an object but a number"),
        RawRow(4, None, "invalid UTF-8"),
        RawRow(5, {"a": 2}),
    ]


DAMAGES = {
    "cut": lambda line, at: line[: 1 + at % (len(line) - 1)],
    "byte": lambda line, at: line[: at % (len(line) + 1)] + b"\xff" + line[at % (len(line) + 1) :],
    "unwrapped": lambda line, _: b"[" + line + b"]",
    "doubled": lambda line, _: line + b" " + line,
    "scalar": lambda _, at: str(at).encode(),
    "control": lambda line, at: line[:-1] + b"\x00" + line[-1:],
}

row_values = st.dictionaries(
    st.text(min_size=1, max_size=5), st.one_of(st.none(), st.booleans(), st.integers(), st.text()), max_size=4
)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(row_values, min_size=1, max_size=12),
    damages=st.lists(st.tuples(st.integers(0, 11), st.sampled_from(sorted(DAMAGES)), st.integers(0, 500)), max_size=5),
    packed=st.booleans(),
)
def test_the_reported_bad_rows_are_the_damaged_ones(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, object]],
    damages: list[tuple[int, str, int]],
    packed: bool,
) -> None:
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
    damaged = {}
    for index, kind, at in damages:
        if index < len(lines):
            damaged[index] = DAMAGES[kind](lines[index], at)
    content = b"\n".join(damaged.get(index, line) for index, line in enumerate(lines))
    path = write(tmp_path_factory.mktemp("rows"), "rows.jsonl.gz" if packed else "rows.jsonl", content)
    seen = list(read_rows(path))
    assert [row.line for row in seen] == list(range(1, len(rows) + 1))
    assert {row.line - 1 for row in seen if row.error} == set(damaged)
    assert all((row.data is None) == (row.error is not None) for row in seen)
    assert [row.data for row in seen if not row.error] == [row for i, row in enumerate(rows) if i not in damaged]


def test_foreign_text_in_errors_can_not_steer_a_terminal(tmp_path: Path) -> None:
    for name, content in (("a.json", '{"train\\u001b[2J": [], "x": {\n}}'), ("b.json", '{"data": [], "test": []}')):
        with pytest.raises(DatasetError) as caught:
            list(read_rows(write(tmp_path, name, content)))
        assert "\x1b" not in str(caught.value)
    with pytest.raises(DatasetError) as caught:
        list(read_rows(write(tmp_path, "c.csv", "a\x1b[2J,a\x1b[2J\n1,2\n")))
    assert "\x1b" not in str(caught.value)
