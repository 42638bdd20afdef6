"""The one gate for foreign text (dataset rows, model output, logs, names) on its way to a terminal or a message.

It makes every character that could steer a terminal visible instead; it must not know about any widget or markup.
Threats: ECMA-48 control sequences (OSC 52 writes the clipboard), 8-bit C1 forms of them, and the bidirectional and
zero-width characters of Unicode TR 36 and 39 that make text read differently from what it is.
"""

from __future__ import annotations

import unicodedata


def _escape(code: int) -> str:
    if code == 0x1B:
        return "␛"
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


_BIDI_AND_INVISIBLE = (
    *range(0x200B, 0x2010),  # zero-width space to right-to-left mark
    *range(0x2028, 0x202F),  # line and paragraph separators, embeddings and overrides
    *range(0x2060, 0x2070),  # word joiner, isolates, deprecated format characters
    0x061C,  # Arabic letter mark
    0x180E,  # Mongolian vowel separator
    0xFEFF,  # byte order mark
    *range(0xFFF9, 0xFFFC),  # interlinear annotations
    *range(0xE0000, 0xE0080),  # tags: invisible copies of ASCII
    *range(0xD800, 0xE000),  # lone surrogates can't be encoded and would raise at the print
)
_CONTROL = (*range(0x20), *range(0x7F, 0xA0))
_BLOCK = {code: _escape(code) for code in (*_CONTROL, *_BIDI_AND_INVISIBLE) if code not in (0x09, 0x0A)}
_LINE = {**_BLOCK, 0x09: " ", 0x0A: "⏎"}


def safe_text(text: str) -> str:
    """Foreign text with every steering character made visible; tabs and newlines stay."""
    return text.translate(_BLOCK)


def safe_line(text: str, max_characters: int | None = None) -> str:
    """Foreign text as one line, cut with an ellipsis where it is longer than `max_characters`."""
    line = text if max_characters is None else text[: max_characters + 1]  # a 200 MB line must not be translated whole
    line = line.translate(_LINE)
    if max_characters is not None and len(line) > max_characters:
        line = line[: max(0, max_characters - 1)] + "…"
    return line


def display_width(text: str) -> int:
    """Cells that `text` takes in a terminal: 2 for wide and full-width characters, 0 for combining marks."""
    if text.isascii():
        return len(text)  # most names and all numbers: a table of ten thousand rows is measured cell by cell
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if character.isascii():
        return 1
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
