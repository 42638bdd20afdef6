"""Protocol buffers as far as trackers' files need them: fields by number, read and written without a schema compiler.

Format: https://protobuf.dev/programming-guides/encoding. It must not know what a message means.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias

Value: TypeAlias = "int | bytes"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_DOUBLE, _FLOAT = struct.Struct("<d"), struct.Struct("<f")


def fields(data: bytes) -> Iterator[tuple[int, int, Value]]:
    """(number, wire type, value) of every field; numbers as unsigned integers, everything else as bytes.

    Raises:
        ValueError: the bytes are not a message.
    """
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, position = _varint(data, position)
            yield number, kind, value
            continue
        if kind == BYTES:
            length, position = _varint(data, position)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if position + length > end:
            raise ValueError("a field is longer than its message")
        yield number, kind, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ValueError("a number is cut off")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFF_FFFF_FFFF_FFFF, position
    raise ValueError("a number is longer than 64 bits")


def text(value: Value) -> str:
    """A string field; a field of another type reads as empty."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def message(value: Value) -> bytes:
    """An embedded message.

    Raises:
        ValueError: the field is a number.
    """
    if not isinstance(value, bytes):
        raise ValueError("a number stands where a message belongs")
    return value


def signed(value: Value) -> int:
    """An int32 or int64 field.

    Raises:
        ValueError: the field is not a number.
    """
    if not isinstance(value, int):
        raise ValueError("a message stands where a number belongs")
    return value - (1 << 64) if value >= 1 << 63 else value


def zigzag(value: Value) -> int:
    """A sint32 or sint64 field."""
    number = signed(value) & 0xFFFF_FFFF_FFFF_FFFF
    return (number >> 1) ^ -(number & 1)


def floating(value: Value) -> float:
    """A float or double field, by its length.

    Raises:
        ValueError: it has neither length.
    """
    if isinstance(value, bytes) and len(value) in (4, 8):
        return float((_DOUBLE if len(value) == 8 else _FLOAT).unpack(value)[0])
    raise ValueError("not a floating-point number")


def write_varint(value: int) -> bytes:
    """A number of at most 64 bits; a negative one takes ten bytes."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_number(number: int, value: int) -> bytes:
    """A varint field."""
    return write_varint(number << 3 | VARINT) + write_varint(value)


def write_bytes(number: int, value: bytes) -> bytes:
    """A string, bytes or message field."""
    return write_varint(number << 3 | BYTES) + write_varint(len(value)) + value


def write_double(number: int, value: float) -> bytes:
    """A double field."""
    return write_varint(number << 3 | FIXED64) + _DOUBLE.pack(value)


def write_float(number: int, value: float) -> bytes:
    """A float field; a value too large for it becomes infinite."""
    try:
        packed = _FLOAT.pack(value)
    except OverflowError:
        packed = _FLOAT.pack(float("inf") if value > 0 else float("-inf"))
    return write_varint(number << 3 | FIXED32) + packed
