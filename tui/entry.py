"""The console script `finetui`: a private umask, the guard against a foreign `core`, then the command, or the app.

`core` and `tui` are import names that another distribution may also provide; finding its files in place of ours would
end in an error that nobody could read. This module must import nothing of `core` before the guard has looked.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

APP_OPTIONS = ("--no-mouse", "--ascii")
TERMINAL_SETTINGS = {"TEXTUAL_ANIMATIONS": "none", "TEXTUAL_SMOOTH_SCROLL": "0"}
"""What Textual reads from the environment while it is imported; nothing moves by itself over a slow line."""


def main() -> int:
    """Run `finetui`; the exit status."""
    os.umask(0o077)
    complaint = foreign_core()
    if complaint is not None:
        sys.stderr.write(f"error: {complaint}\n")
        return 1
    if opens_app(sys.argv[1:]) and sys.stdin.isatty() and sys.stdout.isatty():
        return open_app(sys.argv[1:])
    from core.cli.main import main as run_command

    return run_command()


def opens_app(words: list[str]) -> bool:
    """Whether these words hold no command, only options of the app."""
    rest = [word for word in words if word not in APP_OPTIONS and not word.startswith("--workspace=")]
    while "--workspace" in rest:
        at = rest.index("--workspace")
        del rest[at : at + 2]
    return not rest


def open_app(words: list[str]) -> int:
    """Open the app on the workspace that the words name; the exit status."""
    for name, value in TERMINAL_SETTINGS.items():
        os.environ.setdefault(name, value)
    if "SSH_CONNECTION" in os.environ:
        os.environ.setdefault("TEXTUAL_FPS", "15")
    gc.disable()  # nothing of what is imported now is garbage; the app turns it on after its first frame
    from core.paths import find_workspace

    chosen = None
    for at, word in enumerate(words):
        if word == "--workspace":
            chosen = words[at + 1] if at + 1 < len(words) else ""
        elif word.startswith("--workspace="):
            chosen = word.partition("=")[2]
    workspace = find_workspace(chosen)
    if not workspace.root.is_dir():
        sys.stderr.write(f"error: the workspace {workspace.root} is not a folder\n")
        return 1
    from tui.app import run_app

    return run_app(workspace, mouse=False if "--no-mouse" in words else None, ascii_only="--ascii" in words)


def foreign_core() -> str | None:
    """What is wrong where `import core` would not find the folder beside `tui`; None where it would."""
    ours = Path(__file__).resolve().parent.parent / "core"
    spec = PathFinder.find_spec("core", sys.path)
    places = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
    if spec is not None and not places and spec.origin:
        places = [Path(spec.origin)]
    if not places:
        return f"finetui's package `core` is missing from {ours.parent}; install finetui again"
    if places[0].resolve() != ours:
        return f"another installed package provides `core` ({places[0]}); install finetui in its own environment"
    return None


if __name__ == "__main__":
    raise SystemExit(main())
