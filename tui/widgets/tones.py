"""Tones (dim, good, bad, series-0 …) as the styles of the theme, for widgets that draw their lines themselves.

Not component classes: Textual makes a node of each for every widget and styles them all again at every change of class,
which cost a page of sixteen small widgets 0.2 s.
"""

from __future__ import annotations

from rich.style import Style as RichStyle
from textual.style import Style
from textual.widget import Widget

SERIES = tuple(f"series-{index}" for index in range(7))
TONES = {
    "bold": "bold",
    "dim": "$quiet",
    "good": "$success",
    "bad": "bold $error",
    "warn": "$warning",
    "mark": "bold $warning",
    "live": "bold $primary",
    "key": "bold $accent",
    **{name: f"${name}" for name in SERIES},
    **{f"faint-{name}": f"dim ${name}" for name in SERIES},
}


class ToneStyles:
    """The styles of one widget's tones, over its own background; made once for each theme."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._styles: dict[str, RichStyle] = {}
        self._theme = ""

    def __getitem__(self, tone: str) -> RichStyle:
        theme = self._widget.app.theme
        if theme != self._theme:
            self._styles.clear()
            self._theme = theme
        if tone not in self._styles:
            style = self._widget.visual_style
            self._styles[tone] = (style + Style.parse(TONES[tone]) if tone else style).rich_style
        return self._styles[tone]

    def clear(self) -> None:
        """The widget's own style has changed."""
        self._styles.clear()
