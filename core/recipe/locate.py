"""The paths of a recipe made absolute, and what is missing on the disk, each with its line.

A recipe's own paths are relative to its folder, those of `--set` to the working folder. It opens no data.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import FinetuiError, Problem
from core.recipe.document import KeyPath, Value, dotted
from core.recipe.problems import Places, as_section, quoted_path
from core.recipe.resolve import Choice

BUILTIN = "builtin:"
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


@dataclass(slots=True)
class Located:
    """A raw recipe with absolute paths."""

    value: dict[str, Value]
    problems: list[Problem] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bases:
    """What relative paths are relative to."""

    recipe_folder: Path
    working_folder: Path


def locate(raw: dict[str, Value], places: Places, bases: Bases) -> Located:
    """`raw` with every path absolute, a hub id or `builtin:…`; what can't be found is a problem."""
    result = Located(dict(raw))
    model, data, evaluate = (as_section(raw.get(section)) for section in ("model", "data", "evaluate"))
    if isinstance(model.get("path"), str):
        result.value["model"] = _with_path(model, ("model",), result, places, bases, _model_path)
    sources = data.get("train")
    if isinstance(sources, tuple):
        located = (
            _with_path(source, ("data", "train", index), result, places, bases, _data_path)
            for index, source in enumerate(sources)
        )
        result.value["data"] = {**data, "train": tuple(located)}
    sets = evaluate.get("sets")
    if isinstance(sets, dict):
        located_sets: dict[str, Value] = {
            name: _with_path(one, ("evaluate", "sets", name), result, places, bases, _data_path)
            for name, one in sets.items()
        }
        result.value["evaluate"] = {**evaluate, "sets": located_sets}
    return result


class _NotFound(Exception):
    def __init__(self, what: str, try_this: str = "") -> None:
        super().__init__(what)
        self.what, self.try_this = what, try_this


def _with_path(
    holder: Value,
    place: KeyPath,
    result: Located,
    places: Places,
    bases: Bases,
    find: Callable[[str, Path], str],
) -> Value:
    if not isinstance(holder, dict) or not isinstance(holder.get("path"), str) or not holder["path"]:
        return holder
    key, written = (*place, "path"), str(holder["path"])
    base = bases.working_folder if places.is_overridden(key) else bases.recipe_folder
    try:
        found = _builtin(written, is_model=place == ("model",)) if written.startswith(BUILTIN) else find(written, base)
    except _NotFound as problem:
        hint = problem.try_this or ("" if places.is_overridden(key) else f"mend it here, or --set {dotted(key)}=…")
        result.problems.append(places.problem(key, problem.what, hint))
        return holder
    if place == ("model",) and found == written and not written.startswith(BUILTIN) and not Path(written).is_absolute():
        reason = f"there is no folder {quoted_path(written)} in {base}"
        result.choices.append(Choice("model.path", found, "hub id", reason))
    return {**holder, "path": found}


def _builtin(written: str, *, is_model: bool) -> str:
    from core.starter import resolve

    try:
        found = resolve(written.removeprefix(BUILTIN))
    except FinetuiError as error:
        raise _NotFound(error.what, error.try_this) from error
    if found.is_dir() and not is_model:
        raise _NotFound(f"{written} is a model, not a file of rows", f"{written}/train")
    if is_model and not found.is_dir():
        raise _NotFound(f"{written} is a file of rows, not a model", "builtin:starter")
    return written


def _absolute(written: str, base: Path) -> Path:
    try:
        return Path(os.path.normpath(base / Path(written).expanduser()))
    except RuntimeError as error:  # ~nobody
        raise _NotFound(f"no home folder is known for {quoted_path(written)}") from error


def _model_path(written: str, base: Path) -> str:
    path = _absolute(written, base)
    try:
        if path.is_dir():
            return _checked_model_folder(path, written)
        if path.exists():
            raise _NotFound(f"{quoted_path(path)} is a file", "name the folder that holds config.json")
    except (OSError, ValueError) as error:
        raise _NotFound(f"{quoted_path(written)} can't be looked up: {error}") from error
    if written.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(written):
        hint = "a folder, a hub id like owner/name, or builtin:starter"
        raise _NotFound(f"there is no model folder {quoted_path(path)}", hint)
    return written


def _checked_model_folder(path: Path, written: str) -> str:
    if not os.access(path, os.R_OK | os.X_OK):
        raise _NotFound(f"the folder {quoted_path(written)} may not be read", "see its permissions")
    if not (path / "config.json").is_file():
        raise _NotFound(f"the folder {quoted_path(path)} holds no config.json, so it is no model")
    return str(path)


def _data_path(written: str, base: Path) -> str:
    path = _absolute(written, base)
    try:
        if not path.exists():
            is_hub_id = _HUB_ID.fullmatch(written) and not path.suffix
            hint = "download it first: finetui reads local files" if is_hub_id else ""
            raise _NotFound(f"there is no file {quoted_path(path)}", hint)
        if not path.is_file():
            raise _NotFound(f"{quoted_path(path)} is not a file", "name one data file, or several items in the list")
        if path.stat().st_size == 0:
            raise _NotFound(f"the file {quoted_path(path)} is empty")
        if not os.access(path, os.R_OK):
            raise _NotFound(f"the file {quoted_path(written)} may not be read", "see its permissions")
    except (OSError, ValueError) as error:
        raise _NotFound(f"{quoted_path(written)} can't be looked up: {error}") from error
    return str(path)
