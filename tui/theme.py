"""The three themes: dark, light, and the terminal's own colours. Series colours are told apart by the colour-blind too.

Series: Okabe and Ito, "Color Universal Design" (2008). This module must not know a screen.
"""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

NAMES = ("finetui-dark", "finetui-light", "finetui-ansi")
SHORT_NAMES = {"dark": NAMES[0], "light": NAMES[1], "ansi": NAMES[2]}

SERIES_DARK = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#0072b2")
SERIES_LIGHT = ("#0072b2", "#b35900", "#00735a", "#994d7a", "#7a6f00", "#a33f00", "#00527f")
SERIES_ANSI = (
    "ansi_bright_blue", "ansi_yellow", "ansi_green", "ansi_magenta", "ansi_bright_yellow", "ansi_red", "ansi_cyan",
)  # fmt: skip


def _series(colours: tuple[str, ...]) -> dict[str, str]:
    return {f"series-{index}": colour for index, colour in enumerate(colours)}


THEMES = (
    Theme(
        name=NAMES[0],
        primary="#56b4e9",
        secondary="#9aa7b5",
        warning="#e69f00",
        error="#ff6f59",
        success="#4cc38a",
        accent="#56b4e9",
        foreground="#d8dee6",
        background="#10141a",
        surface="#171d26",
        panel="#222b37",
        dark=True,
        variables={**_series(SERIES_DARK), "cursor-background": "#2b3a4d", "quiet": "#8593a3"},
    ),
    Theme(
        name=NAMES[1],
        primary="#0a5c9e",
        secondary="#55616e",
        warning="#8f5400",
        error="#b3261e",
        success="#00664b",
        accent="#0a5c9e",
        foreground="#1b232c",
        background="#fbfbf8",
        surface="#f1f1ec",
        panel="#e2e4e0",
        dark=False,
        variables={**_series(SERIES_LIGHT), "cursor-background": "#cfe0ee", "quiet": "#5c6873"},
    ),
    Theme(
        name=NAMES[2],
        ansi=True,
        primary="ansi_blue",
        secondary="ansi_cyan",
        warning="ansi_yellow",
        error="ansi_red",
        success="ansi_green",
        accent="ansi_cyan",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        dark=True,
        variables={
            **BUILTIN_THEMES["ansi-dark"].variables,
            **_series(SERIES_ANSI),
            "cursor-background": "ansi_default",
            "quiet": "ansi_default",
        },
    ),
)
