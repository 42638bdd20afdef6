"""Which bytes a run was trained on: the identity of a data file, so that two runs can be told to have seen the same.

xxh3-128 is for quick identity; SHA-256 is kept beside it for exchange with the outside.  Nothing here parses a row.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from core.errors import DatasetError

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A data file at the moment it was read; hashes in hexadecimal, over the bytes as they lie on disk."""

    path: str
    xxh3_128: str
    sha256: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Size and time of last change, to notice that a file changed while it was being read."""

    size_bytes: int
    modified_ns: int


def stamp(path: Path) -> FileStamp:
    """The file's stamp now.

    Raises:
        DatasetError: it can't be looked at.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DatasetError(f"there is no file {path}", why=error.strerror or "", try_this="check the path") from error
    return FileStamp(status.st_size, status.st_mtime_ns)


def version_of(path: Path, rows: int, *, before: FileStamp) -> DatasetVersion:
    """The version of a file that was just read, whose stamp was `before` then.

    Raises:
        DatasetError: the file has changed since, so its rows and its hash would not belong together.
    """
    import xxhash

    quick, strong = xxhash.xxh3_128(), hashlib.sha256()
    try:
        with path.open("rb") as handle:
            while block := handle.read(BLOCK_BYTES):
                quick.update(block)
                strong.update(block)
    except OSError as error:
        raise DatasetError(f"{path} can't be read", why=error.strerror or str(error)) from error
    if stamp(path) != before:
        raise DatasetError(f"{path} changed while it was read", try_this="start again when it is written in full")
    return DatasetVersion(str(path), quick.hexdigest(), strong.hexdigest(), rows, before.size_bytes)
