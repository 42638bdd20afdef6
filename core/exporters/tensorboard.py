"""TensorBoard event files: `tensorboard --logdir FOLDER` shows the run's curves. Values are 32-bit there.

Messages as in `core.importers.tensorboard`, records as in `core.importers.records`.
"""

from __future__ import annotations

from pathlib import Path

from core.errors import UsageError, WorkspaceError
from core.exporters.points import Point, RunPoints
from core.exporters.target import FORCE, new_file
from core.importers.records import write_tfrecord
from core.importers.wire import write_bytes, write_double, write_float, write_number

_PATTERN = "events.out.tfevents.*.finetui"


def write(points: RunPoints, target: Path, *, created_at: float, force: bool = False) -> int:
    """Write all points as one event file in the folder `target`; returns how many.

    With `force` an earlier export in the folder is replaced; other files there are never touched.

    Raises:
        UsageError: the folder holds something and `force` is not given, or is a file.
        WorkspaceError: it can't be written.
        RunError: the run has logged nothing.
    """
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file", try_this="name a folder")
    if target.is_dir() and any(target.iterdir()) and not force:
        raise UsageError(f"{target} is not empty", try_this=FORCE)
    points.keys()  # an unknown or empty run is said before a folder is made
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(f"can't make {target}: {error.strerror}") from error
    path = target / f"events.out.tfevents.{int(created_at):010d}.{points.run_id}.finetui"
    count = 0
    with new_file(path, force=force) as staged, staged.open("xb") as file:
        file.write(write_tfrecord(write_double(1, created_at) + write_bytes(3, b"brain.Event:2")))
        for key, rows in points.by_key():
            tag = write_bytes(1, key.encode("utf-8", "backslashreplace"))
            file.writelines(_record(row, tag, created_at) for row in rows)
            count += len(rows)
    for old in target.glob(_PATTERN):
        if force and old != path and old.is_file():
            old.unlink()
    return count


def _record(point: Point, tag: bytes, created_at: float) -> bytes:
    summary = write_bytes(1, tag + write_float(2, point.value))
    at = created_at if point.at is None else point.at
    return write_tfrecord(write_double(1, at) + write_number(2, point.step) + write_bytes(5, summary))
