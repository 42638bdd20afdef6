"""One line of the reliability table: what was done how often, what was found, whether that is what we promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`wrong` names everything that broke the promise; empty means the line holds."""

    subject: str
    measured: str
    wrong: tuple[str, ...]
    seconds: float

    @property
    def holds(self) -> bool:
        return not self.wrong


def render(lines: Sequence[Line]) -> str:
    """The table, and under it the first findings of each line that fails."""
    width = max(len(line.subject) for line in lines)
    rows = [
        f"{'holds' if line.holds else 'FAILS'}  {line.subject:<{width}}  {line.seconds:6.0f} s  {line.measured}"
        for line in lines
    ]
    for line in lines:
        rows.extend(f"FAILS  {line.subject}: {finding}" for finding in line.wrong[:5])
    return "\n".join(rows)
