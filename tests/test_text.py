"""The gate for foreign text lets no steering character through, and leaves ordinary text alone."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text import display_width, safe_line, safe_text

HOSTILE = {
    "clipboard write (OSC 52)": "\x1b]52;c;cm0gLXJm\x07",
    "title (OSC 0)": "\x1b]0;pwned\x07",
    "hyperlink (OSC 8)": "\x1b]8;;http://x\x1b\\click\x1b]8;;\x1b\\",
    "8-bit CSI": "\x9b2J",
    "clear screen": "\x1b[2J",
    "device query": "\x1b[6n",
    "DCS": "\x1bP1$r\x1b\\",
    "right-to-left override": "abc\u202etxt.exe",
    "zero-width space": "a\u200bb",
    "tag characters": "a\U000e0041b",
    "carriage return": "real\rfake",
    "lone surrogate": "a\ud800b",
    "unterminated": "\x1b]52;c;",
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_known_attack_reaches_the_terminal(payload: str) -> None:
    for gate in (safe_text, safe_line):
        shown = gate(payload)
        assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in shown)
        assert shown != payload
        shown.encode("utf-8")


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs", "M"])))
def test_ordinary_text_is_unchanged(text: str) -> None:
    if not any(0xE0000 <= ord(character) <= 0xE0080 for character in text):
        assert safe_text(text) == text


@given(st.text(alphabet=st.characters(codec=None)))
def test_whatever_comes_no_control_character_is_left(text: str) -> None:
    left = {character for character in safe_text(text) if unicodedata.category(character) in ("Cc", "Cs")}
    assert left <= {"\t", "\n"}
    assert "\n" not in safe_line(text)


def test_a_long_line_is_cut_with_an_ellipsis() -> None:
    assert safe_line("x" * 1_000_000, 5) == "xxxx…"
    assert safe_line("12345", 5) == "12345"


def test_width_counts_cells_and_not_characters() -> None:
    assert display_width("abc") == 3
    assert display_width("日本") == 4
    assert display_width("e\u0301") == 1
