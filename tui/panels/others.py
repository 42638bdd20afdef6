"""Other runs beside the one on the page: an overlay's curves, and what differs between two recipes.

Each function opens the store or a file for a moment and is for a thread; none may touch a widget.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import RunError
from core.paths import Workspace
from core.store.reader import open_reader
from tui.format import plain

Points = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Overlay:
    """Another run's curves by metric."""

    run_id: str
    name: str
    curves: dict[str, Points]


def read_overlay(workspace: Workspace, wanted: str, keys: tuple[str, ...], not_this: str) -> Overlay:
    """The curves of the run that a person named by id, start of an id, or name.

    Raises:
        RunError: no run or several fit, or it is the run itself.
        StoreError: the store can't be read.
    """
    with open_reader(workspace) as reader:
        run_id = reader.find(wanted)
        if run_id == not_this:
            raise RunError("that is the run on this page", try_this="name another one")
        curves: dict[str, Points] = {}
        for key in keys:
            series = reader.series(run_id, key)
            curves[key] = tuple(zip(series.steps, series.values, strict=True))
        return Overlay(run_id, reader.run(run_id).name, curves)


def recipe_lines(workspace: Workspace, run_id: str, other: str | None, *, whole: bool) -> tuple[str, list[str]]:
    """A title and lines: what differs from `other` (None: the run it was resumed from, else the one before it), and
    with `whole` the recipe itself.

    Raises:
        RunError: there is nothing to compare with and `whole` is not asked.
        RecipeError: a recipe can't be read.
    """
    from core.recipe.diff import diff_recipes
    from core.recipe.load import dump_recipe, load_resolved

    compared = other if other is not None else _before(workspace, run_id)
    mine = load_resolved(workspace.run(run_id).recipe)
    lines: list[str] = []
    if compared is not None:
        changes = diff_recipes(load_resolved(workspace.run(compared).recipe), mine)
        lines += [f"{change.key:<36} {_value(change.before)} → {_value(change.after)}" for change in changes]
        lines = lines or ["the recipes are the same"]
    elif not whole:
        raise RunError("there is no earlier run to compare the recipe with", try_this="o chooses another run")
    title = f"recipe of {run_id}" + (f": what differs from {compared}" if compared else "")
    if whole:
        lines += ["", *dump_recipe(mine).splitlines()]
    return title, [plain(line) for line in lines]


def _before(workspace: Workspace, run_id: str) -> str | None:
    with open_reader(workspace) as reader:
        row = reader.run(run_id)
        if row.resumed_from is not None:
            return row.resumed_from.partition("@")[0]
        earlier = reader.runs(kind=row.kind, limit=1, before=row)
    return earlier[0].run_id if earlier else None


def _value(value: object) -> str:
    return "—" if value is None else str(value)
