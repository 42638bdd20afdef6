"""A block of short styled lines that repaints only the lines that changed; must not know what they say.

Texts given here must be harmless already (`tui.format.plain`, `core.text.safe_line`): nothing is parsed as markup.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from core.text import display_width
from tui.format import fit
from tui.widgets.tones import ToneStyles

Part = tuple[str, str]
"""Text and tone (`tui.widgets.tones`); an empty tone is the ordinary one."""


class Lines(Widget):
    """As many lines as there is height; the rest is not shown."""

    DEFAULT_CSS = "Lines { height: 1fr; width: 1fr; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: tuple[tuple[Part, ...], ...] = ()
        self._styles = ToneStyles(self)

    def notify_style_update(self) -> None:
        self._styles.clear()
        super().notify_style_update()

    @property
    def text(self) -> str:
        """What was given, without colour."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    def show(self, lines: Sequence[Sequence[Part]]) -> None:
        """Show these lines from the top."""
        before, self._lines = self._lines, tuple(tuple(line) for line in lines)
        width, height = self.size
        for y in range(min(height, max(len(before), len(self._lines)))):
            old = before[y] if y < len(before) else ()
            new = self._lines[y] if y < len(self._lines) else ()
            if old != new:
                start, stop = _changed(old, new, width)
                self.refresh(Region(start, y, stop - start, 1))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        line = self._lines[y] if y < len(self._lines) else ()
        segments, used = [], 0
        for text, tone in line:
            if used >= width:
                break
            cells = Strip([Segment(text)]).cell_length
            if used + cells > width:
                text, cells = fit(text, width - used), width - used
            segments.append(Segment(text, self._styles[tone]))
            used += cells
        segments.append(Segment(" " * (width - used), self._styles[""]))
        return Strip(segments, width)


def _changed(old: tuple[Part, ...], new: tuple[Part, ...], width: int) -> tuple[int, int]:
    """The cells [start, stop) in which two lines may differ; all of them where a character is not one cell wide."""
    before = [(character, tone) for text, tone in old for character in text]
    after = [(character, tone) for text, tone in new for character in text]
    is_cut = max(len(before), len(after)) > width
    if is_cut or any(display_width(text) != len(text) for text, _ in (*old, *new)):
        return 0, width
    blank = (" ", "")
    before += [blank] * (width - len(before))
    after += [blank] * (width - len(after))
    differs = [one != other for one, other in zip(before, after, strict=True)]
    if True not in differs:  # the same cells, cut into other parts
        return 0, 1
    return differs.index(True), width - differs[::-1].index(True)
