"""What a person does to runs in a list: tag, note, rename, remove. The wishes go to `core.runs`, in a thread.

A mixin of pages that show runs; `chosen_rows` and `table` are the page's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from core.errors import FinetuiError
from core.states import State
from core.store.rows import RunRow
from core.text import safe_line
from tui.format import bytes_text

if TYPE_CHECKING:
    from core.runs.remove import RemovePlan
    from tui.app import FinetuiApp
    from tui.columns import Cells
    from tui.widgets.table import VirtualTable

_SHOWN_NAMES = 5


class RunLabels:
    """Labels on the run under the cursor, or on all that are marked."""

    table: VirtualTable[Cells]

    def chosen_rows(self) -> list[RunRow]:
        """The run under the cursor."""
        raise RuntimeError("the page names its rows")  # the page comes first in the order of resolution

    @property
    def _app(self) -> FinetuiApp:
        return cast("FinetuiApp", self.app)  # type: ignore[attr-defined]

    def _ids(self) -> list[str]:
        """The marked runs; where none is marked, the one under the cursor."""
        return sorted(self.table.marked) or [row.run_id for row in self.chosen_rows()]

    def why_not_remove(self) -> str | None:
        """Why the run under the cursor can't be removed; marked ones are looked at when the plan is made."""
        rows = [] if self.table.marked else self.chosen_rows()
        if rows and rows[0].state not in (State.FINISHED, State.PAUSED, State.HELD):
            return f"run {rows[0].run_id} is {rows[0].state}; stop or cancel it first"
        return None

    def action_tag(self) -> None:
        """Ask for a tag."""
        ids = self._ids()
        tags = " ".join(self.chosen_rows()[0].tags) if len(ids) == 1 and self.chosen_rows() else ""
        known = f"; it has: {tags}" if tags else ""
        self._app.ask(f"tag for {_named(ids)} (-tag takes it away{known})", "", None, lambda text: self._tag(ids, text))

    def _tag(self, ids: list[str], text: str) -> None:
        words = text.split()
        if not words:
            return

        def write() -> str:
            from core.runs.labels import tag, untag

            for run_id in ids:
                for word in words:
                    if word.startswith("-"):
                        untag(self._app.workspace, run_id, word[1:])
                    else:
                        tag(self._app.workspace, run_id, word)
            return f"{_named(ids)}: {' '.join(words)}"

        self._app.act(write)

    def action_note(self) -> None:
        """Ask for the note of one run."""
        row = self.chosen_rows()[0]

        def write(text: str) -> str:
            from core.runs.labels import note

            note(self._app.workspace, row.run_id, text)
            return f"note on {row.run_id} {'written' if text else 'taken away'}"

        self._app.ask(f"note on {row.run_id}", row.note, None, lambda text: self._app.act(lambda: write(text)))

    def action_rename(self) -> None:
        """Ask for the name of one run."""
        row = self.chosen_rows()[0]

        def write(text: str) -> str:
            from core.runs.labels import rename

            rename(self._app.workspace, row.run_id, text)
            return f"{row.run_id} is now {text}"

        self._app.ask(f"name of {row.run_id}", row.name, None, lambda text: self._app.act(lambda: write(text)))

    def action_remove(self) -> None:
        """Say what would go, and remove it when the person says yes."""
        ids = self._ids()

        def plan() -> None:
            from core.runs.remove import remove_plan

            try:
                found = remove_plan(self._app.workspace, ids)
            except FinetuiError as error:
                self._app.tell(str(error), "error")
                return
            self._app.from_thread(lambda: self._confirm_remove(found))

        self._app.in_background(plan)

    def _confirm_remove(self, plan: RemovePlan) -> None:
        details = [f"{item.run_id} {safe_line(item.name, 60)}  {bytes_text(item.bytes)}" for item in plan.runs]
        if len(details) > _SHOWN_NAMES:
            details = [*details[: _SHOWN_NAMES - 1], f"and {len(details) - _SHOWN_NAMES + 1} more"]
        noun = "run" if len(plan.runs) == 1 else "runs"

        def remove() -> str:
            from core.runs.remove import remove as remove_runs

            freed = remove_runs(self._app.workspace, plan)
            return f"{len(plan.runs)} {noun} removed, {bytes_text(freed)} free again"

        def answered() -> None:
            self.table.marked.clear()
            self._app.act(remove)

        question = (
            f"Remove {len(plan.runs)} {noun} with all checkpoints, {bytes_text(plan.bytes)}? This can't be undone."
        )
        self._app.confirm(question, tuple(details), answered)


def _named(ids: list[str]) -> str:
    return ids[0] if len(ids) == 1 else f"{len(ids)} runs"
