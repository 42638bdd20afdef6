"""From a recipe file (and `--set` overrides) to a checked, resolved recipe, or to all of its problems at once.

The steps, each in its own module: text → values (document), overrides, presets (resolve), paths (locate), types and
ranges (schema), keys against each other (checks). It opens no data file and no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from core.errors import Problem, RecipeError
from core.recipe.checks import Sections, cross_checks
from core.recipe.document import KeyPath, Value, read_document
from core.recipe.dump import dump_recipe, recipe_sha256
from core.recipe.locate import Bases, locate
from core.recipe.names import SECTIONS, hint_for_key
from core.recipe.overrides import apply_overrides, remove
from core.recipe.problems import Places, as_section, explain, key_path, known_keys
from core.recipe.resolve import Choice, fill
from core.recipe.schema import (
    CheckpointSection,
    DataSection,
    EvaluateSection,
    FullMethod,
    LowRankMethod,
    Method,
    ModelSection,
    ObjectiveSection,
    Recipe,
    TrainSection,
)

__all__ = ["LoadedRecipe", "check_recipe", "dump_recipe", "load_recipe", "load_resolved", "recipe_sha256"]

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


@dataclass(frozen=True, slots=True)
class LoadedRecipe:
    """A resolved recipe: paths absolute, presets filled in; what finetui chose in it, and what looks doubtful."""

    recipe: Recipe
    choices: tuple[Choice, ...]
    warnings: tuple[Problem, ...]


def load_recipe(path: Path, overrides: Sequence[str] = (), working_folder: Path | None = None) -> LoadedRecipe:
    """Read, override, resolve and check a recipe.

    `overrides` are `key=value` texts; paths in them are relative to `working_folder` (default: the current folder).

    Raises:
        RecipeError: with every problem of level error, in the order of the file.
    """
    loaded, problems = _load(path, overrides, working_folder)
    errors = [problem for problem in problems if problem.level == "error"]
    if errors or loaded is None:
        raise RecipeError(errors)
    return loaded


def check_recipe(path: Path, overrides: Sequence[str] = (), working_folder: Path | None = None) -> tuple[Problem, ...]:
    """Errors and warnings of a recipe, in the order of the file; empty when all is well."""
    try:
        return _load(path, overrides, working_folder)[1]
    except RecipeError as error:
        return error.problems


def load_resolved(path: Path) -> Recipe:
    """The recipe that a run folder keeps: complete, so nothing is filled in or looked up, and nothing must exist.

    Raises:
        RecipeError: the file can't be read or is not a complete recipe.
    """
    document = read_document(path, str(path))
    places = Places(str(path), document.lines)
    problems = list(document.problems)
    try:
        recipe = Recipe.model_validate(document.value)
    except ValidationError as error:
        problems += [explain(one, places) for one in error.errors()]
    if problems:
        raise RecipeError(_in_order(problems))
    return recipe


def _load(
    path: Path, overrides: Sequence[str], working_folder: Path | None
) -> tuple[LoadedRecipe | None, tuple[Problem, ...]]:
    document = read_document(path, str(path))
    overridden = apply_overrides(document.value, overrides)
    places = Places(str(path), document.lines, frozenset(overridden.paths))
    problems = [*document.problems, *overridden.problems]
    raw = overridden.value
    if not isinstance(raw, dict):
        what = "is empty" if raw is None else "must be a mapping of sections"
        raise RecipeError([*problems, Problem(str(path), None, "", what, f"sections: {', '.join(SECTIONS)}")])
    filled = fill(raw, stem=path.stem, set_keys=frozenset(overridden.paths))
    bases = Bases(path.absolute().parent, (working_folder or Path.cwd()).absolute())
    located = locate(filled.value, places, bases)
    problems += located.problems
    recipe, found = _validate(located.value, places)
    problems += found
    ordered = tuple(_in_order(problems))
    if recipe is None:
        return None, ordered
    choices = (*filled.choices, *located.choices)
    warnings = tuple(problem for problem in ordered if problem.level == "warning")
    return LoadedRecipe(recipe, choices, warnings), ordered


_Model = TypeVar("_Model", bound=BaseModel)


class _Validator:
    """Validates each section alone, so that one wrong section hides nothing in another."""

    def __init__(self, raw: dict[str, Value], places: Places) -> None:
        self.raw, self.places = raw, places
        self.problems: list[Problem] = []
        self.partial: set[str] = set()

    def section(self, name: str, class_: type[_Model]) -> _Model | None:
        return self.value(name, TypeAdapter(class_))

    def value(self, name: str, adapter: TypeAdapter[_Model]) -> _Model | None:
        if name not in self.raw or self.raw[name] is None:
            self.problems.append(self.places.problem((name,), "is missing"))
            return None
        try:
            return adapter.validate_python(self.raw[name])
        except ValidationError as error:
            errors: list[ErrorDetails] = [{**one, "loc": (name, *one["loc"])} for one in _distinct(error)]
            self.problems += [explain(one, self.places) for one in errors]
            self.partial.add(name)
            return self._without(name, [key_path(one["loc"]) for one in errors], adapter)

    def _without(self, name: str, wrong: list[KeyPath], adapter: TypeAdapter[_Model]) -> _Model | None:
        """The section without its wrong keys, if that is valid; a set with a wrong source of rows goes whole."""
        rest: Value = self.raw[name]
        for path in wrong:
            is_source = path[:2] == ("evaluate", "sets") and path[3:] in (("path",), ("from_train",))
            if len(path) > 1:
                rest = remove(rest, path[1:3] if is_source else path[1:])
        try:
            return adapter.validate_python(rest)
        except ValidationError:
            return None


def _distinct(error: ValidationError) -> list[ErrorDetails]:
    """Without pydantic's second error on a list whose items are wrong: that the right ones are too few."""
    errors = error.errors()
    locations = [one["loc"] for one in errors]
    return [
        one
        for one in errors
        if one["type"] != "too_short"
        or not any(loc != one["loc"] and loc[: len(one["loc"])] == one["loc"] for loc in locations)
    ]


def _validate(raw: dict[str, Value], places: Places) -> tuple[Recipe | None, list[Problem]]:
    check = _Validator(raw, places)
    for key in raw:
        if key not in Recipe.model_fields:
            hint = hint_for_key(key, known_keys(()), "")
            check.problems.append(places.problem((key,), "unknown key", hint))
    method_adapter: TypeAdapter[FullMethod | LowRankMethod] = TypeAdapter(Method)
    sections = Sections(
        model=check.section("model", ModelSection),
        data=check.section("data", DataSection),
        method=check.value("method", method_adapter),
        train=check.section("train", TrainSection),
        evaluate=check.section("evaluate", EvaluateSection),
        checkpoints=check.section("checkpoints", CheckpointSection),
        partial=frozenset(check.partial),
        set_names=tuple(as_section(as_section(raw.get("evaluate")).get("sets"))),
    )
    check.section("objective", ObjectiveSection)
    check.problems += cross_checks(sections, places)
    known = {key: value for key, value in raw.items() if key in Recipe.model_fields}
    try:
        return Recipe.model_validate(known), check.problems
    except ValidationError as error:
        names = [one for one in error.errors() if one["loc"][:1] == ("name",)]
        return None, [*check.problems, *(explain(one, places) for one in names)]


def _in_order(problems: list[Problem]) -> list[Problem]:
    """By line; what has none (overrides, a missing section of an empty file) comes last. Repetitions are dropped."""
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line is None, problem.line or 0))
