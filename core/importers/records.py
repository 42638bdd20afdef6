"""The two record formats in which trackers append messages to a file: TFRecord and LevelDB's log.

TFRecord (tensorflow.org/tutorials/load_data/tfrecord): length u64, its masked CRC-32C, data, its masked CRC-32C.
W&B's log (LevelDB's doc/log_format.md with CRC-32 and a header of 7 bytes): blocks of 32 KiB, records split over them.
Both are read up to the first damage: what stands before it is whole. This module must not know what a record means.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

_LENGTH, _CRC = struct.Struct("<Q"), struct.Struct("<I")
MAX_RECORD_BYTES = 256 * 1024 * 1024
WANDB_HEADER = b":W&B\xe1\xbe"
_WANDB_HEADER_BYTES = 7
_BLOCK_BYTES = 32 * 1024
_CHUNK = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def _table() -> tuple[int, ...]:
    polynomial = 0x82F63B78  # Castagnoli, reflected (RFC 3720, appendix B.4)
    rows = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        rows.append(value)
    return tuple(rows)


_TABLE = _table()


def masked_crc32c(data: bytes) -> int:
    """CRC-32C, rotated and shifted so that a CRC of data that holds CRCs stays strong (LevelDB's and TensorFlow's)."""
    table = _TABLE
    value = 0xFFFF_FFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    value ^= 0xFFFF_FFFF
    return (value >> 15 | value << 17) + 0xA282_EAD8 & 0xFFFF_FFFF


@dataclass(slots=True)
class Damage:
    """Where reading stopped before the end, and why; empty where the file is whole."""

    why: str = ""


def read_tfrecords(file: BinaryIO, damage: Damage, is_wanted: Callable[[bytes], bool]) -> Iterator[bytes]:
    """The records of a TFRecord file up to the first damaged one, which `damage` then describes.

    Only records that `is_wanted` are checked against their CRC and handed out: a picture of 100 MB would take minutes.
    """
    position = 0
    while header := file.read(12):
        if len(header) < 12:
            damage.why = f"the last record is cut off at byte {position}"
            return
        (length,) = _LENGTH.unpack_from(header)
        if masked_crc32c(header[:8]) != _CRC.unpack_from(header, 8)[0] or length > MAX_RECORD_BYTES:
            damage.why = f"the record at byte {position} is damaged"
            return
        data = file.read(length)
        checksum = file.read(4)
        if len(checksum) < 4:
            damage.why = f"the last record is cut off at byte {position}"
            return
        if is_wanted(data):
            if masked_crc32c(data) != _CRC.unpack(checksum)[0]:
                damage.why = f"the record at byte {position} is damaged"
                return
            yield data
        position += 16 + length


def write_tfrecord(data: bytes) -> bytes:
    """One record."""
    length = _LENGTH.pack(len(data))
    return length + _CRC.pack(masked_crc32c(length)) + data + _CRC.pack(masked_crc32c(data))


def read_wandb_log(file: BinaryIO, damage: Damage) -> Iterator[bytes]:
    """The records of a W&B log up to the first damaged one, which `damage` then describes.

    The file begins with `WANDB_HEADER` and a version byte, which count into the first block.
    """
    file.seek(_WANDB_HEADER_BYTES)
    position = _WANDB_HEADER_BYTES
    parts: list[bytes] = []
    while True:
        left = _BLOCK_BYTES - position % _BLOCK_BYTES
        if left < _CHUNK.size:  # too small for a header: filled with zeros
            file.read(left)
            position += left
        header = file.read(_CHUNK.size)
        if not header:
            break
        if len(header) < _CHUNK.size:
            damage.why = f"the last record is cut off at byte {position}"
            return
        checksum, length, kind = _CHUNK.unpack(header)
        data = file.read(length)
        if len(data) < length:
            damage.why = f"the last record is cut off at byte {position}"
            return
        fits = kind in (_WHOLE, _FIRST) if not parts else kind in (_MIDDLE, _LAST)
        too_long = sum(map(len, parts)) + length > MAX_RECORD_BYTES
        if zlib.crc32(data, zlib.crc32(bytes([kind]))) != checksum or not fits or too_long:
            damage.why = f"the record at byte {position} is damaged"
            return
        position += _CHUNK.size + length
        parts.append(data)
        if kind in (_WHOLE, _LAST):
            yield b"".join(parts)
            parts = []
    if parts:
        damage.why = f"the last record is cut off at byte {position}"
