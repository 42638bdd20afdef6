"""The line format of every spool and of the journal: a CRC, then one JSON object, then a newline.

    8 hex digits of CRC-32 (of the JSON's UTF-8 bytes) · space · compact JSON · newline
    {"v":1,"seq":17,"attempt":1,"ts":1763650000.123,"type":"StepLogged",…the event's fields}

Why a CRC on the line: after a power cut a file can end in, or hold, bytes that were never written. A torn last line is
kept for later; a damaged line is counted and skipped. JSON has no NaN: a non-finite number is written as null, its kind
(`nan`, `inf`, `-inf`) stands under "nonfinite" by the path of the field. This module must not write to a file.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from typing import ClassVar, Self, TypeAlias, cast
from urllib.parse import unquote

FORMAT_VERSION = 1

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events: fields are JSON values, dictionaries of numbers, or tuples of small dataclasses.

    A field that is added later needs a default, so that lines of every older version still decode; a field that a newer
    version added is ignored.
    """

    registry: ClassVar[dict[str, type[Event]]] = {}

    def __init_subclass__(cls) -> None:
        # slots=True makes each class twice: the second one wins, and a bare super() here would refer to the first
        Event.registry[cls.__name__] = cls

    def as_json(self, seq: int, attempt: int, ts: float) -> str | None:
        """The whole JSON text of its line, for an event that is written at each training step.

        None, here and wherever a value is not a finite number, leaves it to the general encoder.
        """
        return None

    @classmethod
    def from_json(cls, data: dict[str, Json]) -> Self:
        """The event of decoded fields; events with nested dataclasses override this.

        Raises:
            KeyError: a field without a default is missing.
        """
        values: dict[str, object] = {}
        for field in fields(cls):
            if field.name in data:
                value = data[field.name]
                values[field.name] = tuple(value) if isinstance(value, list) else value
            elif field.default is MISSING and field.default_factory is MISSING:
                raise KeyError(field.name)
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Record:
    """One decoded line. `event` is None where this version does not know the event's type.

    `seq` is contiguous per file from 1; `attempt` is 1 for a run's first worker, 0 in the journal; `ts` is the wall
    clock in seconds since 1970 and informs only: order is by `seq`.
    """

    seq: int
    attempt: int
    ts: float
    event: Event | None


@dataclass(frozen=True, slots=True)
class Scan:
    """What `scan` found: records with the byte offset just behind each, and how many damaged lines it skipped.

    `offset` is where the next scan starts: behind the last whole line, so a torn tail is read again later.
    """

    records: tuple[tuple[int, Record], ...]
    offset: int
    damaged_lines: int


_field_names: dict[type[Event], tuple[str, ...]] = {}
"""The fields of each event type in order; kept, since `fields()` walks a dictionary at each logged step."""


def encode_line(record: Record) -> bytes:
    """The line of `record`, newline included, ready for one `write()`.

    Raises:
        ValueError: the record has no event, or holds a value that JSON can't carry.
    """
    if record.event is None:
        raise ValueError("a record without an event can't be written")
    return encode_event(record.event, seq=record.seq, attempt=record.attempt, ts=record.ts)


def encode_event(event: Event, *, seq: int, attempt: int, ts: float) -> bytes:
    """The line of one event; see `Record` for its numbers.

    On the trainer's path: after a training step nothing of this is in the processor's caches any more, and what counts
    is how little code and memory it touches.

    Raises:
        ValueError: it holds a value that JSON can't carry.
    """
    event_type = type(event)
    known = event.as_json(seq, attempt, ts)
    if known is not None:
        return _line(known)
    names = _field_names.get(event_type)
    if names is None:
        names = _field_names[event_type] = tuple(field.name for field in fields(event))
    body: dict[str, object] = {
        "v": FORMAT_VERSION,
        "seq": seq,
        "attempt": attempt,
        "ts": round(ts, 3),
        "type": event_type.__name__,
    }
    for name in names:
        body[name] = getattr(event, name)
    try:
        text = _ENCODER.encode(body)
    except ValueError:
        nonfinite: dict[str, str] = {}
        finite = {name: _finite(value, name, nonfinite) for name, value in body.items()}
        text = _ENCODER.encode({**finite, "nonfinite": nonfinite})
    return _line(text)


def _line(text: str) -> bytes:
    payload = text.encode("utf-8", "backslashreplace")
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def _as_dictionary(value: object) -> dict[str, object]:
    """What the encoder does with a small dataclass of ours inside an event."""
    return {field.name: getattr(value, field.name) for field in fields(value)}  # type: ignore[arg-type]


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False, default=_as_dictionary)


def _finite(value: object, path: str, nonfinite: dict[str, str]) -> object:
    """`value` with every non-finite number as None, its kind noted under its path."""
    if isinstance(value, float) and not math.isfinite(value):
        nonfinite[path] = "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item, f"{path}\t{_quoted(str(key))}", nonfinite) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_finite(item, f"{path}\t{index}", nonfinite) for index, item in enumerate(value)]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return _finite(_as_dictionary(value), path, nonfinite)


def _quoted(key: str) -> str:
    """A key as part of a path whose parts are separated by tabs."""
    return key.replace("%", "%25").replace("\t", "%09")


def decode_line(line: bytes) -> Record:
    """The record of one line (with or without its newline).

    Raises:
        ValueError: the CRC does not match, or the line is not an event of this format.
    """
    line = line.rstrip(b"\n")
    checksum, _, payload = line.partition(b" ")
    if len(checksum) != 8 or f"{zlib.crc32(payload):08x}".encode() != checksum:
        raise ValueError("checksum does not match")
    body = cast(dict[str, Json], json.loads(payload))
    for path, kind in cast(dict[str, str], body.get("nonfinite", {})).items():
        _restore(body, [unquote(part) for part in path.split("\t")], float(kind))
    event_type = Event.registry.get(str(body["type"]))
    try:
        event = event_type.from_json(body) if event_type else None
    except (KeyError, TypeError) as error:
        raise ValueError(f"{body['type']}: field {error} is missing or wrong") from error
    return Record(
        seq=int(cast(int, body["seq"])),
        attempt=int(cast(int, body["attempt"])),
        ts=float(cast(float, body["ts"])),
        event=event,
    )


def _restore(body: Json, path: list[str], value: float) -> None:
    for part in path[:-1]:
        body = body[int(part)] if isinstance(body, list) else cast(dict[str, Json], body)[part]
    if isinstance(body, list):
        body[int(path[-1])] = value
    else:
        cast(dict[str, Json], body)[path[-1]] = value


def scan(data: bytes, start_offset: int = 0) -> Scan:
    """Decode all whole lines of `data`, which begins at byte `start_offset` of its file."""
    records: list[tuple[int, Record]] = []
    damaged = 0
    offset = 0
    for line in _whole_lines(data):
        offset += len(line)
        if line == b"\n":  # written in front of new lines when a torn tail is mended
            continue
        try:
            records.append((start_offset + offset, decode_line(line)))
        except ValueError:
            damaged += 1
    return Scan(tuple(records), start_offset + offset, damaged)


def _whole_lines(data: bytes) -> Iterator[bytes]:
    begin = 0
    while (end := data.find(b"\n", begin)) >= 0:
        yield data[begin : end + 1]
        begin = end + 1
