"""Recipes: those of the workspace and the ready ones, their text, their problems, and launching one.

A read view: it changes no recipe. Reading and checking happen in a thread: they import much.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from core.errors import FinetuiError, Problem
from core.text import safe_text
from tui.format import fit, glyphs, plain
from tui.screens.list_moves import ListMoves
from tui.screens.page import LIST, Page
from tui.widgets.bar import TONES, Bar
from tui.widgets.table import PAGE_ROWS, VirtualTable

MAX_RECIPE_BYTES = 200_000
_MAX_FILES = 1000


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """A recipe that can be looked at; `ready` ones come with finetui."""

    path: Path
    ready: bool


class RecipesScreen(ListMoves, Page):
    """Recipes with their problems."""

    MODE = "show_recipes"
    OFFERS: ClassVar[tuple[str, ...]] = ("launch", "check", *LIST)
    FOOTER = ("launch", "check", "cursor_down", "cursor_up", "copy")
    DEFAULT_CSS = """
    RecipesScreen #split { layout: vertical; height: 1fr; }
    RecipesScreen #table { height: 7; }
    RecipesScreen #paper { height: 1fr; border-top: solid $panel; padding: 0 1; }
    RecipesScreen #text { width: auto; text-wrap: nowrap; }
    RecipesScreen #verdict { height: auto; max-height: 6; padding: 0 1; background: $surface; }
    RecipesScreen.-middle #split, RecipesScreen.-wide #split { layout: horizontal; }
    RecipesScreen.-middle #table, RecipesScreen.-wide #table { width: 36; height: 1fr; }
    RecipesScreen.-middle #paper, RecipesScreen.-wide #paper { border-top: none; border-left: solid $panel; }
    RecipesScreen.-tiny-height #paper, RecipesScreen.-tiny-width #paper { display: none; }
    RecipesScreen.-tiny-height #table, RecipesScreen.-tiny-width #table { height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._files: tuple[RecipeFile, ...] = ()
        self._problems: dict[Path, tuple[Problem, ...]] = {}
        self._launching = False

    def body(self) -> Iterator[Widget]:
        self.table: VirtualTable[RecipeFile] = VirtualTable(lambda file: str(file.path), self._draw, id="table")
        yield Bar(id="title")
        yield Container(self.table, VerticalScroll(Static(Content(""), id="text"), id="paper"), id="split")
        yield Static(Content(""), id="verdict")

    def on_mount(self) -> None:
        self.table.focus(scroll_visible=False)

    def on_screen_resume(self) -> None:
        self.shell.in_background(self._find)

    def _find(self) -> None:
        files = find_recipes(self.shell.workspace.root)
        self.shell.from_thread(lambda: self._show_files(files))

    def _show_files(self, files: tuple[RecipeFile, ...]) -> None:
        self._files = files
        self.table.set_count(len(files))
        for start in range(0, len(files), PAGE_ROWS):
            self.table.put(start, files[start : start + PAGE_ROWS])
        own = sum(not file.ready for file in files)
        self.query_one("#title", Bar).show(
            [
                (f"Recipes {len(files)}", "bold", None),
                (f"  {glyphs().dot} {own} of yours, {len(files) - own} ready", "dim", None),
            ]
        )
        self.show_footer()

    def _draw(self, file: RecipeFile, width: int) -> Sequence[tuple[str, str]]:
        origin = "ready" if file.ready else ""
        return [(fit(file.path.name, max(8, width - 8)), ""), (fit(origin, 8, right=True), "dim")]

    def on_virtual_table_page_wanted(self, message: VirtualTable.PageWanted) -> None:
        self.table.put(message.start, self._files[message.start : message.start + PAGE_ROWS])

    def on_virtual_table_cursor_moved(self) -> None:
        self._read_current()

    async def on_virtual_table_opened(self) -> None:
        self._read_current()

    def _read_current(self) -> None:
        file = self.table.current
        if file is None:
            return
        self.query_one("#verdict", Static).update(Content(f"checking{glyphs().ellipsis}"))

        def read() -> None:
            from core.recipe.load import check_recipe

            try:
                with file.path.open("rb") as stream:
                    text = stream.read(MAX_RECIPE_BYTES).decode("utf-8", "replace")
            except OSError as error:
                text = f"can't be read: {error.strerror}"
            try:
                problems = check_recipe(file.path)
            except FinetuiError as error:
                problems = (Problem(str(file.path), None, "", str(error)),)
            self.shell.from_thread(lambda: self._show(file, text, problems))

        self.shell.in_background(read)

    def _show(self, file: RecipeFile, text: str, problems: tuple[Problem, ...]) -> None:
        self._problems[file.path] = problems
        current = self.table.current
        if current is None or current.path != file.path or not self.is_attached:
            return
        lines = {problem.line: problem.level for problem in problems}
        self.query_one("#text", Static).update(_numbered(text, lines))
        self.query_one("#verdict", Static).update(_verdict(problems))
        self.show_footer()

    def why_not(self, action_id: str) -> str | None:
        file = self.table.current
        if action_id in ("launch", "check") and file is None:
            return "there is no recipe"
        if action_id == "launch" and file is not None:
            if self._launching:
                return "it is being queued"
            problems = self._problems.get(file.path)
            if problems is None:
                return "it is being checked"
            errors = sum(problem.level == "error" for problem in problems)
            if errors:
                return f"the recipe has {errors} problem{'s' if errors != 1 else ''}"
        return super().why_not(action_id)

    def action_check(self) -> None:
        """Look again."""
        self._read_current()

    def action_launch(self) -> None:
        """Queue the recipe as it stands in its file, and look at its run."""
        file = self.table.current
        if file is None:
            return
        self._launching = True

        def submit() -> str:
            from core.recipe.load import load_recipe
            from core.runs.queue import submit as submit_run

            try:
                run_id = submit_run(self.shell.workspace, load_recipe(file.path))
            finally:
                self._launching = False
            self.shell.from_thread(lambda: self.shell.open_run(run_id))
            return f"run {run_id} is queued"

        self.shell.act(submit)

    def copy_text(self) -> str | None:
        file = self.table.current
        return None if file is None else f"finetui run {file.path}"

    def action_page_down(self) -> None:
        """Further down the recipe's text."""
        self.query_one("#paper", VerticalScroll).scroll_page_down(animate=False)

    def action_page_up(self) -> None:
        """Further up the recipe's text."""
        self.query_one("#paper", VerticalScroll).scroll_page_up(animate=False)


def find_recipes(root: Path) -> tuple[RecipeFile, ...]:
    """The workspace's own recipes (its folder and `recipes/` in it), then the ready ones."""
    from core.cli.ready import ready_recipes

    ready = ready_recipes()
    own = sorted({*root.glob("*.yaml"), *(root / "recipes").glob("*.yaml")} - {root / "settings.yaml"})
    mine = [RecipeFile(path, False) for path in own if path.is_file() and path.parent.resolve() != ready.resolve()]
    given = [RecipeFile(path, True) for path in sorted(ready.glob("*.yaml"))]
    return tuple([*mine, *given][:_MAX_FILES])


def _numbered(text: str, lines: dict[int | None, str]) -> Content:
    shown: list[Content] = []
    for number, line in enumerate(safe_text(text).splitlines(), start=1):
        level = lines.get(number)
        sign = {"error": glyphs().failed, "warning": "!"}.get(level or "", " ")
        tone = {"error": "bad", "warning": "warn"}.get(level or "", "")
        body = (line, TONES["dim"]) if line.lstrip().startswith("#") else (line, TONES[tone])
        shown.append(Content.assemble((f"{number:>3}{sign}", TONES[tone or "dim"]), body))
    return Content("\n").join(shown)


def _verdict(problems: tuple[Problem, ...]) -> Content:
    errors = [problem for problem in problems if problem.level == "error"]
    warnings = [problem for problem in problems if problem.level != "error"]
    if not errors:
        words = "F6 launches it" + (f"; {len(warnings)} warning{'s' if len(warnings) != 1 else ''}" if warnings else "")
        head = Content.assemble((f"{glyphs().done} valid", TONES["good"]), f"  {words}")
    else:
        head = Content.styled(f"{glyphs().failed} {len(errors)} problem{'s' if len(errors) != 1 else ''}", TONES["bad"])
    lines = [_problem(problem) for problem in (*errors, *warnings)]
    return Content("\n").join([head, *lines[:5]])


def _problem(problem: Problem) -> Content:
    place = f"line {problem.line} " if problem.line is not None else ""
    hint = f" ({problem.try_this})" if problem.try_this else ""
    tone = "bad" if problem.level == "error" else "warn"
    return Content.assemble((plain(f"{place}{problem.key}"), TONES[tone]), plain(f" {problem.what}{hint}"))
