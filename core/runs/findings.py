"""What a check of the machine, the installation or the workspace has to say: one small type, shared by the checks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact: `level` is ok, warning (works, but read this) or error (something will not work)."""

    level: str
    subject: str
    message: str
    try_this: str = ""
