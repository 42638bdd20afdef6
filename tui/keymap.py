"""What a person chose for the app: keys by action id, theme, signs. In `app.toml` of the user's configuration folder.

The file is the person's: it is read, never written. A mistake in it is told on the screen and the rest holds.

    theme = "dark"            # dark, light or ansi
    ascii = false
    mouse = true
    [keys]
    open = "o"
    filter = "f"
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tui.actions import ACTIONS

THEMES = ("dark", "light", "ansi")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Choices with their defaults; `problems` are sentences about what the file has wrong."""

    theme: str = "dark"
    ascii: bool = False
    mouse: bool = True
    keys: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def preferences_file() -> Path:
    """`$XDG_CONFIG_HOME/finetui/app.toml`, else below ~/.config."""
    base = os.environ.get("XDG_CONFIG_HOME")
    folder = Path(base) if base and Path(base).is_absolute() else Path.home() / ".config"
    return folder / "finetui" / "app.toml"


def read_preferences(path: Path | None = None) -> Preferences:
    """The person's choices; a missing file means the defaults, a wrong one its right parts."""
    place = preferences_file() if path is None else path
    try:
        text = place.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Preferences()
    except (OSError, UnicodeDecodeError) as error:
        return Preferences(problems=(f"can't be read: {error} ({place})",))
    import tomllib  # 10 ms that a person without the file must not pay

    try:
        body = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Preferences(problems=(f"{error} ({place})",))
    return _checked(body, place)


def _checked(body: dict[str, object], place: Path) -> Preferences:
    problems = [f"unknown key {key} in {place}" for key in body if key not in ("theme", "ascii", "mouse", "keys")]
    theme = body.get("theme", "dark")
    if theme not in THEMES:
        problems.append(f"theme must be one of {', '.join(THEMES)} in {place}")
        theme = "dark"
    keys: dict[str, str] = {}
    chosen = body.get("keys", {})
    for action, key in chosen.items() if isinstance(chosen, dict) else ():
        if action not in ACTIONS:
            problems.append(f"there is no action {action!r} (keys in {place})")
        elif not isinstance(key, str) or not key.strip():
            problems.append(f"the key of {action} must be a text such as f or ctrl+f (in {place})")
        else:
            keys[action] = ",".join(_textual_name(part.strip()) for part in key.split(","))
    return Preferences(
        theme=str(theme),
        ascii=body.get("ascii") is True,
        mouse=body.get("mouse", True) is not False,
        keys=keys,
        problems=tuple(problems),
    )


_NAMES = {
    "?": "question_mark",
    ":": "colon",
    "/": "slash",
    "esc": "escape",
    "return": "enter",
    " ": "space",
    "+": "plus",
}


def _textual_name(key: str) -> str:
    return _NAMES.get(key, key.lower() if len(key) > 1 else key)
