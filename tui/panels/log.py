"""The log of a run's page: what its worker printed and what happened to it, in the order in which it is learned.

It reads the end of one file and must not block on a large one.
"""

from __future__ import annotations

from pathlib import Path

from core.cli.log_lines import LineReader
from tui.format import plain
from tui.messages import RunView
from tui.panels.stories import event_entries
from tui.widgets.log_view import KEPT_LINES, Entry

TAIL_BYTES = 256 * 1024
LINE_CHARACTERS = 1000
LEVELS = ("all", "events", "output")
_WORRIES = ("error", "traceback", "exception", "failed", "warning", "killed")


class LogTail:
    """Follows one worker.log from near its end; for one thread."""

    def __init__(self, path: Path) -> None:
        size = path.stat().st_size if path.exists() else 0
        self._lines = LineReader(path, offset=max(0, size - TAIL_BYTES))
        self._is_cut = size > TAIL_BYTES

    def read(self) -> list[Entry]:
        """Lines that were added since the last call, harmless and of bounded length."""
        lines = list(self._lines.read(to_the_end=False))
        if self._is_cut and lines:
            self._is_cut = False
            lines = lines[1:]  # begins in the middle
        return [(plain(line[:LINE_CHARACTERS]), _tone(line)) for line in lines[-KEPT_LINES:]]


def _tone(line: str) -> str:
    lowered = line[:200].lower()
    worry = next((word for word in _WORRIES if word in lowered), None)
    return "" if worry is None else "warn" if worry == "warning" else "bad"


class RunLog:
    """Both kinds of lines, and which of them are shown."""

    def __init__(self) -> None:
        self.level = LEVELS[0]
        self._entries: list[tuple[str, Entry]] = []
        self._known: set[str] = set()

    def events(self, view: RunView) -> list[Entry]:
        """New events to show now."""
        new = [(key, entry) for _, key, entry in event_entries(view) if key not in self._known]
        self._known.update(key for key, _ in new)
        return self._add("events", [entry for _, entry in new])

    def output(self, entries: list[Entry]) -> list[Entry]:
        """New lines of the worker to show now."""
        return self._add("output", entries)

    def earlier_output(self, entries: list[Entry]) -> list[Entry]:
        """What the worker had printed before the page was opened; all lines to show now."""
        self._entries = [*(("output", entry) for entry in entries), *self._entries]
        return self.shown()

    def _add(self, kind: str, entries: list[Entry]) -> list[Entry]:
        self._entries += [(kind, entry) for entry in entries]
        del self._entries[:-KEPT_LINES]
        return entries if self.level in ("all", kind) else []

    def next_level(self) -> list[Entry]:
        """Show the next kind of lines; all that are to be seen then."""
        self.level = LEVELS[(LEVELS.index(self.level) + 1) % len(LEVELS)]
        return self.shown()

    def shown(self) -> list[Entry]:
        """All lines of the kind that is shown."""
        return [entry for kind, entry in self._entries if self.level in ("all", kind)]
