"""Every action of the app in one table: bindings, footer, help, palette and keymap file come from it.

A screen names the ids that it offers, implements `action_<id>` and answers `why_not(id)`. An id has one key wherever it
is offered; the person's keymap file may give it another. This module must not know any screen, nor import Textual.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done. `keys` are Textual's names, the first one shown; `title` is what the footer says.

    `scope` is where it stands in the help; `costly` actions sit on capitals or function keys.
    """

    id: str
    key: str
    title: str
    help: str
    scope: str
    costly: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys, the one to show first."""
        return tuple(self.key.split(","))


EVERYWHERE, LISTS, RUNS, QUEUE, RECIPES, RUN = "Everywhere", "In lists", "Runs", "Queue", "Recipes", "Run"

_TABLE = (
    Action("show_runs", "1", "Runs", "the list of runs", EVERYWHERE),
    Action("show_recipes", "3", "Recipes", "recipes, their problems, and launching one", EVERYWHERE),
    Action("show_queue", "6", "Queue", "what runs, what waits, and why", EVERYWHERE),
    Action("help", "question_mark", "Keys", "all keys of this screen; type to search", EVERYWHERE),
    Action("palette", "colon,ctrl+p", "Command", "every action by name", EVERYWHERE),
    Action("back", "escape", "Back", "one layer out; never ends the app", EVERYWHERE),
    Action("quit_or_back", "q", "Quit", "back, or close the app; runs go on without it", EVERYWHERE),
    Action("jump", "ctrl+o", "Jump", "a letter on each part of the screen takes you there", EVERYWHERE),
    Action("next_theme", "f8", "Theme", "the next theme: dark, light, the terminal's own colours", EVERYWHERE),
    Action("copy", "y", "Copy", "copy the id, path or command under the cursor (sent to the terminal)", EVERYWHERE),
    Action("cursor_down", "j,down", "Down", "one line down", LISTS),
    Action("cursor_up", "k,up", "Up", "one line up", LISTS),
    Action("page_down", "ctrl+d,pagedown", "Page down", "half a page down", LISTS),
    Action("page_up", "ctrl+u,pageup", "Page up", "half a page up", LISTS),
    Action("first_row", "g,home", "First", "the first line", LISTS),
    Action("last_row", "G,end", "Last", "the last line", LISTS),
    Action("open", "enter", "Open", "open what is under the cursor", LISTS),
    Action("mark", "space", "Mark", "mark for an action on several; again takes the mark away", LISTS),
    Action("filter", "slash", "Filter", "show only what fits: method:qlora eval_loss<1.3 tag:keep lr>=1e-4", LISTS),
    Action("sort", "s", "Sort", "order by a field or metric: eval_loss, loss.min, grad_norm.smooth", RUNS),
    Action("reverse", "S", "Reverse", "turn the order round", RUNS),
    Action("columns", "C", "Columns", "choose the columns, any metric among them", RUNS),
    Action("preview", "p", "Preview", "show or hide the preview of the run under the cursor", RUNS),
    Action("all_kinds", "a", "All kinds", "evaluations and other jobs too, or training runs only", RUNS),
    Action("tag", "t", "Tag", "give the run (or all marked) a tag; -tag takes it away", RUNS),
    Action("note", "n", "Note", "write a note on the run", RUNS),
    Action("rename", "r", "Rename", "give the run another name", RUNS),
    Action("remove", "D", "Remove", "remove the run (or all marked) with its folder; asks, with its size", RUNS, True),
    Action("demo", "enter", "Start the demo", "fine-tune the packaged starter model, about two minutes", RUNS),
    Action("stop", "x", "Stop", "save a checkpoint, then stop; asks once", RUN),
    Action("pause", "P", "Pause", "save a checkpoint, end the worker, free the device", RUN, True),
    Action("resume", "R", "Resume", "go on from the newest valid checkpoint, in front of the queue", RUN, True),
    Action("save", "s", "Save", "save a checkpoint now", RUN),
    Action("evaluate", "E", "Evaluate", "evaluate at the next step", RUN, True),
    Action("zoom", "z", "Zoom", "the pane under the cursor alone, and back", RUN),
    Action("next_pane", "tab", "Next", "the next pane", RUN),
    Action("log_scale", "L", "Log scale", "logarithmic or linear values", RUN),
    Action("smoothing", "m", "Smooth", "how much the curves are smoothed", RUN),
    Action("axis", "X", "x axis", "by step, epoch, time or tokens", RUN),
    Action("crosshair_left", "left", "◂", "the crosshair to the left, on all charts", RUN),
    Action("crosshair_right", "right", "▸", "the crosshair to the right, on all charts", RUN),
    Action("zoom_in", "plus", "Zoom in", "fewer steps over the same width", RUN),
    Action("zoom_out", "minus", "Zoom out", "more steps over the same width", RUN),
    Action("overlay", "o", "Overlay", "another run's curves beneath these", RUN),
    Action("recipe", "e", "Recipe", "the run's recipe, and what differs from its parent's", RUN),
    Action("pan_left", "shift+left", "Earlier", "the zoomed view to the left", RUN),
    Action("pan_right", "shift+right", "Later", "the zoomed view to the right", RUN),
    Action("diff", "d", "Diff", "what the recipe differs in from the overlay's, or the parent's", RUN),
    Action("pin", "K", "Keep", "pin the chosen checkpoint, so that nothing deletes it; again unpins", RUN, True),
    Action("log_level", "l", "Level", "which lines of the log are shown", RUN),
    Action("hold", "h", "Hold", "let the run wait until it is released; again releases it", QUEUE),
    Action("cancel", "x", "Cancel", "take the run out of the queue (stop it where it runs); asks once", QUEUE),
    Action("move_down", "J,shift+down", "Later", "one place later in the queue", QUEUE),
    Action("move_up", "K,shift+up", "Sooner", "one place sooner in the queue", QUEUE),
    Action("launch", "f6", "Launch", "queue this recipe", RECIPES, True),
    Action("check", "c", "Check", "look for problems again", RECIPES),
)

ACTIONS: dict[str, Action] = {action.id: action for action in _TABLE}
SCOPES = (EVERYWHERE, LISTS, RUNS, RUN, QUEUE, RECIPES)

_SHOWN = {
    "question_mark": "?", "colon": ":", "slash": "/", "escape": "esc", "enter": "⏎", "plus": "+", "minus": "-",
    "left": "←", "right": "→", "up": "↑", "down": "↓", "pagedown": "pgdn", "pageup": "pgup", "comma": ",",
}  # fmt: skip
_SHOWN_ASCII = {"enter": "enter", "left": "left", "right": "right", "up": "up", "down": "down"}


def shown_key(key: str, *, ascii_only: bool = False) -> str:
    """A key as the footer and the help write it: ⏎, ?, ctrl+o, F6."""
    if ascii_only and key in _SHOWN_ASCII:
        return _SHOWN_ASCII[key]
    if len(key) in (2, 3) and key[0] == "f" and key[1:].isdigit():
        return key.upper()
    return _SHOWN.get(key, key)


def check_table(actions: tuple[Action, ...] = _TABLE) -> list[str]:
    """What is wrong with a table: ids twice, empty words; the test of the registry prints it."""
    problems = [f"{action.id}: without help" for action in actions if not action.help or not action.title]
    ids = [action.id for action in actions]
    problems += [f"{id_}: twice" for id_ in sorted(set(ids)) if ids.count(id_) > 1]
    return problems
