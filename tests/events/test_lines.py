"""The line format: what is written is read back, a torn tail waits, a damaged line costs only itself."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import (
    Choice,
    Event,
    ExampleScore,
    ExamplesScored,
    Finished,
    Job,
    Moved,
    Record,
    Resolved,
    RunQueued,
    StepLogged,
    decode_line,
    encode_line,
    scan,
)

EXAMPLES: list[Event] = [
    StepLogged(step=4, values={"loss": 1.25, "grad_norm": 0.5}, epoch=0.1, tokens=9, elapsed_seconds=2.5),
    Resolved(choices=(Choice("train.learning_rate", 2e-4, "preset", "LoRA wants ten times full's"),)),
    ExamplesScored(step=7, set_name="task", metric="exact_match", examples=(ExampleScore(0, "{}", 1.0, 0.25, 3),)),
    Moved(from_state="queued", to_state="starting", journal_seq=12, why="its turn"),
    Finished(outcome="completed", message="all steps done", step=7, advice=("one", "two"), totals={"seconds": 1.5}),
    RunQueued(run_id="0000000a", name="träume\u202e", kind="train", recipe_sha256="00"),
]


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_an_event_survives_its_line(event: Event) -> None:
    record = Record(seq=3, attempt=2, ts=1763650000.125, event=event)
    line = encode_line(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_line(line) == record


def test_every_kind_of_number_survives_and_the_line_stays_json() -> None:
    values = {"loss": math.nan, "up": math.inf, "down": -math.inf, "tiny": 5e-324, "third": 1 / 3}
    line = encode_line(Record(1, 1, 0.0, StepLogged(step=1, values=values)))

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    json.loads(line.split(b" ", 1)[1], parse_constant=refuse)
    event = decode_line(line).event
    assert isinstance(event, StepLogged)
    assert math.isnan(event.values.pop("loss"))
    values.pop("loss")
    assert event.values == values


@given(
    values=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=False), max_size=12),
    epoch=st.none() | st.floats(0, 1e6),
    tokens=st.none() | st.integers(0, 2**60),
)
def test_a_step_of_any_names_and_numbers_comes_back_exactly(
    values: dict[str, float], epoch: float | None, tokens: int | None
) -> None:
    """Steps have a way of their own through the encoder: it must say the same as the general one."""
    event = StepLogged(step=7, values=values, epoch=epoch, tokens=tokens, elapsed_seconds=0.1)
    line = encode_line(Record(1, 1, 1763650000.125, event))
    assert decode_line(line) == Record(1, 1, 1763650000.125, event)
    assert json.loads(line.split(b" ", 1)[1])["type"] == "StepLogged"


def test_an_event_of_a_newer_version_is_kept_as_unknown() -> None:
    line = encode_line(Record(1, 1, 0.0, StepLogged(step=1, values={})))
    body = line.split(b" ", 1)[1].replace(b'"StepLogged"', b'"FromTheFuture"').rstrip()
    import zlib

    assert decode_line(b"%08x %s\n" % (zlib.crc32(body), body)).event is None


@given(cut=st.integers(min_value=0))
def test_a_torn_tail_waits_and_is_read_when_it_is_whole(cut: int) -> None:
    first = encode_line(Record(1, 1, 0.0, StepLogged(step=1, values={"loss": 1.0})))
    second = encode_line(Record(2, 1, 0.0, StepLogged(step=2, values={"loss": 2.0})))
    data = first + second[: cut % len(second)]
    found = scan(data)
    assert [record.seq for _, record in found.records] == [1]
    assert found.offset == len(first)
    assert found.damaged_lines == 0
    rest = scan((first + second)[found.offset :], found.offset)
    assert [record.seq for _, record in rest.records] == [2]
    assert rest.offset == len(first + second)


@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_flipped_bit_never_changes_a_value_unseen(position: int, bit: int) -> None:
    lines = [encode_line(Record(seq, 1, 0.0, StepLogged(step=seq, values={"loss": seq / 3}))) for seq in (1, 2, 3)]
    damaged = bytearray(b"".join(lines))
    damaged[position % len(damaged)] ^= 1 << bit
    for _, record in scan(bytes(damaged)).records:
        assert isinstance(record.event, StepLogged)
        assert record.event.values == {"loss": record.event.step / 3}


def test_job_json_says_what_was_queued() -> None:
    queued = RunQueued(run_id="0000000a", name="x", kind="evaluate", recipe_sha256="00", model="builtin:starter")
    job = Job(queued=queued, created_at=12.5, arguments={"targets": ["0000000b@120"], "sets": ["test"]})
    assert Job.from_text(job.to_text()) == job
    with pytest.raises(ValueError, match=r"job\.json"):
        Job.from_text('{"run_id": "0000000a"}')
