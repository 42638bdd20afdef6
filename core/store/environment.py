"""`environment.json` of a run, kept as text beside its rows so that listings need not open run folders.

The worker writes it anew at each attempt; the newest one counts. This module must not interpret it beyond the versions
of data sets.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from core.store.numbers import bound

MAX_BYTES = 4 * 1024 * 1024
_FINGERPRINTS = ("fingerprint", "sha256_or_xxh3", "sha256", "xxh3")


class EnvironmentFiles:
    """Which environment.json files were read, by size and mtime."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._signatures: dict[str, tuple[int, int]] = {}

    def forget(self) -> None:
        """Read every watched file again, after a transaction was rolled back."""
        self._signatures = dict.fromkeys(self._signatures, (0, 0))

    def watch(self, run_id: str) -> None:
        """The run said something: its file is looked at from now on."""
        self._signatures.setdefault(run_id, (0, 0))

    def has_changed(self, run_id: str, path: Path) -> bool:
        """Whether the file of a watched run is new or has changed since it was read."""
        known = self._signatures.get(run_id)
        return known is not None and _signature(path) not in ((0, 0), known)

    def read(self, run_id: str, run_key: int, path: Path) -> None:
        """Store the file inside the caller's transaction; one that is not (yet) JSON is left for the next poll."""
        signature = _signature(path)
        try:
            text = path.read_text("utf-8") if signature[1] <= MAX_BYTES else "null"
            content = json.loads(text)
        except (OSError, ValueError, RecursionError):
            return
        self._signatures[run_id] = signature
        if not isinstance(content, dict):
            return
        self._connection.execute(
            "INSERT INTO environments (run_key, text) VALUES (?, ?)"
            " ON CONFLICT (run_key) DO UPDATE SET text = excluded.text",
            bound(run_key, text),
        )
        self._connection.execute("DELETE FROM dataset_versions WHERE run_key = ?", (run_key,))
        self._connection.executemany(
            "INSERT INTO dataset_versions (run_key, position, path, fingerprint, rows, bytes) VALUES (?,?,?,?,?,?)",
            _versions(run_key, content),
        )


def _signature(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _versions(run_key: int, content: dict[str, object]) -> list[tuple[str | int | float | None, ...]]:
    found = content.get("datasets", content.get("dataset_versions"))
    rows: list[tuple[str | int | float | None, ...]] = []
    for version in found if isinstance(found, list) else []:
        if not isinstance(version, dict) or not isinstance(version.get("path"), str):
            continue
        fingerprint = next((version[key] for key in _FINGERPRINTS if isinstance(version.get(key), str)), "")
        counts = [value if type(value) is int else None for value in (version.get("rows"), version.get("bytes"))]
        rows.append(bound(run_key, len(rows), version["path"], fingerprint, *counts))
    return rows
