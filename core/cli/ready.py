"""Where the ready recipes are: beside the source in a checkout, in the installation's shared data otherwise.

It must not read a recipe.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

import core
from core.errors import UsageError


def ready_recipes() -> Path:
    """The folder of the ready recipes; it may be missing where the installation is damaged."""
    beside_the_source = Path(core.__file__).resolve().parent.parent / "recipes"
    if beside_the_source.is_dir():
        return beside_the_source
    return Path(sysconfig.get_path("data")) / "share" / "finetui" / "recipes"


def ready_recipe(name: str) -> Path:
    """The ready recipe of that file name.

    Raises:
        UsageError: the installation has no such file.
    """
    path = ready_recipes() / name
    if not path.is_file():
        raise UsageError(f"there is no ready recipe {name} in {path.parent}", try_this="install finetui again")
    return path


def recipe_path(words: str) -> Path:
    """The recipe that a person named: a file, or the bare name of a ready recipe where no such file exists."""
    path = Path(words).expanduser()
    if path.exists() or path.name != words:
        return path
    for name in (words, f"{words}.yaml"):
        ready = ready_recipes() / name
        if ready.is_file():
            return ready
    return path
