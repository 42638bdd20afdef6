"""The console script `finetui`: a private umask, the guard against a foreign `core`, then the command.

`core` and `tui` are import names that another distribution may also provide; finding its files in place of ours would
end in an error that nobody could read. This module must import nothing of `core` before the guard has looked.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path


def main() -> int:
    """Run `finetui`; the exit status."""
    os.umask(0o077)
    complaint = foreign_core()
    if complaint is not None:
        sys.stderr.write(f"error: {complaint}\n")
        return 1
    from core.cli.main import main as run_command

    return run_command()


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
