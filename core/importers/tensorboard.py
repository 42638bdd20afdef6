"""TensorBoard event files: scalars of both generations (`simple_value`, and tensors of one number), with their times.

Messages: tensorflow/core/util/event.proto and framework/summary.proto. One folder is one run, as TensorBoard shows it;
several event files in it are read in the order of their names. Pictures, graphs and audio are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from core.errors import ForeignFileError
from core.importers.foreign import ForeignRun, Json
from core.importers.gather import Gatherer, as_time, clean_config, max_steps_of, model_of, parse_json
from core.importers.records import Damage, read_tfrecords
from core.importers.wire import Value, fields, floating, message, signed, text
from core.states import Outcome

TRACKER = "TensorBoard"
NAME_PART = "tfevents"
_SUMMARY_KEY = b"\x2a"  # field 5, a message
_FLOAT32, _FLOAT64, _INT32, _STRING, _INT64 = 1, 2, 3, 7, 9
_ARGUMENTS, _MODEL = "args/text_summary", "model_config/text_summary"
_MAX_EVENT_BYTES = 16 * 1024 * 1024


def is_event_file(path: Path) -> bool:
    """Whether a file begins with TensorBoard's version record."""
    try:
        with path.open("rb") as file:
            return b"brain.Event:" in file.read(64)
    except OSError:
        return False


def read(files: list[Path]) -> list[ForeignRun]:
    """The one run of a folder's event files; none where they hold no scalar (some writers put settings in one alone).

    Raises:
        ForeignFileError: they are damaged before the first scalar.
    """
    source = str(files[0].parent if len(files) > 1 else files[0])
    reader = _Reader(source)
    for path in sorted(files):
        reader.read(path)
    gathered = reader.gatherer.gathered()
    if not gathered.steps and not gathered.evaluations:
        if reader.remarks:
            raise ForeignFileError(f"{source} is damaged", why="; ".join(reader.remarks))
        return []
    config, remarks = clean_config(reader.config)
    began = reader.began if reader.began is not None else files[0].stat().st_mtime
    first = gathered.first_at if gathered.first_at is not None else began
    return [
        ForeignRun(
            tracker=TRACKER,
            source=source,
            source_run="",
            name=files[0].resolve().parent.name,
            created_at=min(began, first),
            ended_at=gathered.last_at if gathered.last_at is not None else began,
            outcome=Outcome.COMPLETED,
            message="event files do not say how a run ended",
            steps=gathered.steps,
            evaluations=gathered.evaluations,
            config=config,
            totals=gathered.totals,
            model=reader.model or model_of(config),
            max_steps=max_steps_of(config),
            remarks=(*gathered.remarks, *reader.remarks, *remarks),
        )
    ]


class _Reader:
    def __init__(self, source: str) -> None:
        self.gatherer = Gatherer(source)
        self.config: dict[str, Json] = {}
        self.model: str | None = None
        self.began: float | None = None
        self.remarks: list[str] = []

    def read(self, path: Path) -> None:
        damage = Damage()
        with path.open("rb") as file:
            for record in read_tfrecords(file, damage, _may_matter):
                try:
                    self._event(record)
                except (ValueError, struct.error):
                    self.gatherer.refuse()
        if damage.why:
            self.remarks.append(f"{path.name}: {damage.why}; what stands before it was kept")

    def _event(self, record: bytes) -> None:
        at, step = None, 0
        summary: bytes | None = None
        for number, _, value in fields(record):
            if number == 1:
                at = as_time(floating(value))
            elif number == 2:
                step = signed(value)
            elif number == 5:
                summary = message(value)
        if at is not None and (self.began is None or at < self.began):
            self.began = at
        if summary is not None:
            for number, _, value in fields(summary):
                if number == 1:
                    self._value(step, at, message(value))

    def _value(self, step: int, at: float | None, data: bytes) -> None:
        tag = ""
        number: float | None = None
        tensor: bytes | None = None
        for field, _, value in fields(data):
            if field == 1:
                tag = text(value)
            elif field == 2:
                number = floating(value)
            elif field == 8:
                tensor = message(value)
        if tensor is not None and tag in (_ARGUMENTS, _MODEL):
            self._text(tag, tensor)
        elif tensor is not None:
            number = _scalar(tensor)
        if number is not None:
            self.gatherer.add(step, tag, number, at)

    def _text(self, tag: str, tensor: bytes) -> None:
        """What transformers' callback writes once: its arguments and the model's configuration, as JSON."""
        for number, _, value in fields(tensor):
            found = parse_json(text(value)) if number == 8 else None
            if isinstance(found, dict) and tag == _ARGUMENTS:
                self.config = clean_config(found)[0]
            elif isinstance(found, dict):
                self.model = model_of(clean_config(found)[0])


def _may_matter(record: bytes) -> bool:
    """Whether an event can hold a scalar or a configuration; a huge one is a picture or a graph."""
    return len(record) <= _MAX_EVENT_BYTES and (_SUMMARY_KEY in record[:24] or b"brain.Event:" in record[:64])


def _scalar(tensor: bytes) -> float | None:
    """The number of a TensorProto of one number; None where it is a text or has several."""
    kind, content = 0, b""
    numbers: list[float] = []
    for number, _, value in fields(tensor):
        if number == 1:
            kind = signed(value)
        elif number == 4:
            content = message(value)
        elif number in (5, 6, 7, 10):
            numbers.extend(_numbers(number, value))
        if len(numbers) > 1:
            return None
    if content:
        shape = {_FLOAT32: "<f", _FLOAT64: "<d", _INT32: "<i", _INT64: "<q"}.get(kind)
        if shape is None or struct.calcsize(shape) != len(content):
            return None
        return float(struct.unpack(shape, content)[0])
    return numbers[0] if numbers and kind != _STRING else None


def _numbers(field: int, value: Value) -> Iterator[float]:
    """float_val, double_val, int_val or int64_val: packed or single."""
    if isinstance(value, int):
        yield float(signed(value))
    elif field in (5, 6):
        size = 4 if field == 5 else 8
        for start in range(0, min(len(value), 4 * size), size):
            yield floating(value[start : start + size])
    else:
        position = 0
        while position < min(len(value), 40):
            shift = result = 0
            while position < len(value):
                byte = value[position]
                position += 1
                result |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            yield float(result)
