"""Cells of braille dots with one style each, and the text that is put over them; knows no curve and no widget.

A cell is 2 × 4 dots, the character U+2800 plus a bit for each dot (Unicode 15, section 21.1). It has one style: what
is drawn last takes the whole of it, because two colours can't share one.
"""

from __future__ import annotations

from dataclasses import dataclass

BRAILLE = 0x2800
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_SPANS = [
    [[sum(bits[top : bottom + 1]) for bottom in range(4)] for top in range(4)] for bits in _BITS
]  # [side][top][bottom] → all dots between


@dataclass(frozen=True, slots=True)
class Line:
    """One row as it is shown: its characters, all one cell wide, and a style number for each."""

    text: str
    styles: bytes

    def changed(self, other: Line) -> tuple[int, int] | None:
        """The cells [start, stop) in which two rows of one width differ; None where they are the same."""
        if self == other:
            return None
        width = len(self.text)
        if width != len(other.text):
            return 0, max(width, len(other.text))
        differs = [
            self.text[x] != other.text[x] or self.styles[x] != other.styles[x] for x in range(width)
        ]  # at most a few hundred cells
        start = differs.index(True)
        return start, width - differs[::-1].index(True)


class Canvas:
    """`width` × `height` cells; dots count from the top left."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._masks = [bytearray(width) for _ in range(height)]
        self._styles = [bytearray(width) for _ in range(height)]
        self._glyphs: list[dict[int, str]] = [{} for _ in range(height)]

    def span(self, column: int, top: int, bottom: int, style: int) -> None:
        """Dots from `top` to `bottom` (both inside) of one dot column."""
        x, spans = column >> 1, _SPANS[column & 1]
        for y in range(top >> 2, (bottom >> 2) + 1):
            offset = y << 2
            bits = spans[max(0, top - offset)][min(3, bottom - offset)]
            if self._styles[y][x] == style:
                self._masks[y][x] |= bits
            else:
                self._masks[y][x], self._styles[y][x] = bits, style

    def put(self, x: int, y: int, text: str, style: int) -> None:
        """Characters over the dots; what does not fit is left out."""
        if 0 <= y < self.height:
            for offset, glyph in enumerate(text):
                if 0 <= x + offset < self.width:
                    self._glyphs[y][x + offset] = glyph
                    self._styles[y][x + offset] = style

    def is_empty(self, x: int, y: int) -> bool:
        """Whether nothing was drawn in a cell."""
        return not self._masks[y][x] and x not in self._glyphs[y]

    def line(self, y: int) -> Line:
        """One row as text."""
        characters = [chr(BRAILLE + mask) if mask else " " for mask in self._masks[y]]
        for x, glyph in self._glyphs[y].items():
            characters[x] = glyph
        return Line("".join(characters), bytes(self._styles[y]))
