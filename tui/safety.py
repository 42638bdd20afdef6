"""The second gate before the terminal: whatever a widget was given, no control character leaves the app.

The first gate is `core.text.safe_text` where data enters a view; this one catches what was forgotten, in our widgets
and in Textual's. It must not change what is printable.
"""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from core.text import safe_line


class SafeFilter(LineFilter):
    """Makes what is not printable visible in every segment that is text; control segments are Textual's own."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(text.isprintable() or control for text, _, control in segments):
            return segments
        return [
            segment
            if segment.control or segment.text.isprintable()
            else Segment(safe_line(segment.text), segment.style)
            for segment in segments
        ]
