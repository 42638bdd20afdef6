"""What home says where it has nothing to list: the next step, with its key. Pure text."""

from __future__ import annotations

from textual.content import Content

from tui.format import fit, glyphs


def no_run_fits() -> Content:
    """A filter that leaves nothing."""
    return Content("No run fits the filter. / changes it, esc takes it away.")


def nothing_yet(training_only: bool) -> Content:
    """A workspace without runs, and the keys that change that."""
    what = "training runs" if training_only else "jobs"
    return Content("\n").join(
        [
            Content.styled(f"No {what} in this workspace yet.", "bold"),
            Content(""),
            Content.assemble(
                (fit(glyphs().cursor, 2), "$primary"), ("enter", "bold"), "  start the demo: the packaged"
            ),
            Content("         starter model learns its task, about two minutes on a CPU"),
            Content.assemble("  ", ("3", "bold"), "      the ready recipes: their problems, and launching one"),
            Content("         or from the shell: finetui run RECIPE"),
            Content(""),
            Content("Runs live outside this window: closing it or losing the connection stops nothing."),
        ]
    )
