"""Whether a line file (spool or journal) is whole: every line readable, no number missing, no torn end.

This module reads only, and judges lines, not what they say about a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.events import Record, decode_line
from core.runs.manifests import open_without_links


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesChecked:
    """What a line file holds. `damaged` are 1-based line numbers; `gaps` are first and last missing `seq`.

    `torn_bytes` is the length of an unfinished last line: normal while a writer lives.
    """

    records: tuple[Record, ...]
    damaged: tuple[int, ...]
    gaps: tuple[tuple[int, int], ...]
    torn_bytes: int

    @property
    def last_seq(self) -> int:
        """The number of the last readable line, 0 where there is none."""
        return self.records[-1].seq if self.records else 0

    def problem(self, *, is_live: bool) -> str | None:
        """What is wrong, as one sentence part, or None."""
        parts = []
        if self.damaged:
            parts.append(f"{_count(len(self.damaged), 'damaged line')} ({_numbers(self.damaged)})")
        for first, last in self.gaps:
            what = f"{first}" if first == last else f"{first} to {last}"
            parts.append(f"no line with number {what}")
        if self.torn_bytes and not is_live:
            parts.append(f"an unfinished last line of {self.torn_bytes} bytes")
        return "; ".join(parts) or None


def check_lines(path: Path) -> LinesChecked:
    """Read a whole line file.

    Raises:
        OSError: it is missing, a link, or can't be read.
    """
    with open_without_links(path) as stream:
        content = stream.read()
    lines = content.split(b"\n")
    torn = lines.pop()
    records: list[Record] = []
    damaged: list[int] = []
    gaps: list[tuple[int, int]] = []
    damaged_since_last = 0
    for number, line in enumerate(lines, start=1):
        if not line:  # a torn line before it was closed by a newline
            continue
        try:
            record = decode_line(line)
        except ValueError:
            damaged.append(number)
            damaged_since_last += 1
            continue
        expected = (records[-1].seq if records else 0) + 1
        if record.seq - expected > damaged_since_last:  # a damaged line accounts for one missing number
            gaps.append((expected, record.seq - 1))
        damaged_since_last = 0
        records.append(record)
    return LinesChecked(records=tuple(records), damaged=tuple(damaged), gaps=tuple(gaps), torn_bytes=len(torn))


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _numbers(numbers: tuple[int, ...]) -> str:
    shown = ", ".join(str(number) for number in numbers[:5])
    return shown + (f", and {len(numbers) - 5} more" if len(numbers) > 5 else "")
