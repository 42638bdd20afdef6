"""The app: one window over a workspace. It shows what the feed says and passes on what a person wants; it owns nothing.

Closing it, losing the connection or killing it changes no run. Screens are imported when they are first opened; no part
of the app imports torch, and only the feed opens the store.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import App
from textual.filter import LineFilter
from textual.screen import Screen

from core.errors import FinetuiError
from core.paths import Workspace
from core.store.rows import RunRow
from core.text import safe_line
from tui.actions import Action
from tui.feed import Feed
from tui.format import state_words, use_ascii
from tui.keymap import Preferences, read_preferences
from tui.messages import FeedMessage, RunsChanged
from tui.safety import SafeFilter
from tui.screens.page import Page
from tui.theme import NAMES, SHORT_NAMES, THEMES

DEMO_RECIPE = "starter-qlora.yaml"
CATCH_UP_SECONDS = 5.0
FIRST_FRAME_SECONDS = 0.3
"""What the first frame does not need begins after so long."""
_CLIPBOARD_BYTES = 75_000
"""Terminals drop larger OSC 52 sequences without a word."""


def _runs() -> Screen[None]:
    from tui.screens.runs import RunsScreen

    return RunsScreen()


def _recipes() -> Screen[None]:
    from tui.screens.recipes import RecipesScreen

    return RecipesScreen()


def _queue() -> Screen[None]:
    from tui.screens.queue import QueueScreen

    return QueueScreen()


class FinetuiApp(App[None]):
    """The app over one workspace."""

    TITLE = "finetui"
    ENABLE_COMMAND_PALETTE = False
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {"runs": _runs, "recipes": _recipes, "queue": _queue}
    DEFAULT_MODE = "runs"
    BINDINGS: ClassVar[list[Any]] = []
    CSS = """
    Toast { width: 60; max-width: 100%; }
    """

    def __init__(self, workspace: Workspace, preferences: Preferences | None = None) -> None:
        self.preferences = read_preferences() if preferences is None else preferences
        colourless = bool(os.environ.get("NO_COLOR"))
        super().__init__(ansi_color=True if colourless else None)
        self.workspace = workspace
        self.feed = Feed(workspace, self.post_message)
        self._safe_filter = SafeFilter()
        use_ascii(self.preferences.ascii)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = NAMES[2] if colourless else SHORT_NAMES[self.preferences.theme]
        self.set_keymap(self.preferences.keys)
        self._ended_work = threading.Event()
        self._ended: set[tuple[str, int]] = set()
        self.crash_words = ""

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._safe_filter]

    # --- life

    def on_load(self) -> None:
        self.feed.start()

    def on_mount(self) -> None:
        self.set_timer(FIRST_FRAME_SECONDS, self._after_first_frame)

    def _after_first_frame(self) -> None:
        gc.freeze()
        gc.enable()
        self.in_background(self._keep_up)
        if self.preferences.problems:
            self.flash(self.preferences.problems[0], "warning")

    def on_unmount(self) -> None:
        self._ended_work.set()
        self.feed.stop()

    def _keep_up(self) -> None:
        """Where no supervisor lives, take in what was written and start one if work was left behind."""
        from tui.upkeep import catch_up

        while not self._ended_work.is_set():
            trouble = catch_up(self.workspace)
            if trouble:
                self.tell(trouble, "warning")
            self._ended_work.wait(CATCH_UP_SECONDS if not trouble else 60.0)

    # --- the feed

    @on(FeedMessage)
    def hand_on(self, message: FeedMessage) -> None:
        """What the feed says goes to the page in front, and to the questions before it.

        Not to pages behind: Textual repaints the whole terminal whenever a screen below the front one changes, which
        would cost a slow link 25 kB each time. They are told anew when they come to the front.
        """
        for screen in reversed(self.screen_stack):
            screen.post_message(message)
            if isinstance(screen, Page):
                break

    def on_runs_changed(self, message: RunsChanged) -> None:
        for row in message.summary.ended:
            if (row.run_id, row.attempt) not in self._ended:
                self._ended.add((row.run_id, row.attempt))
                self._tell_end(row)

    def _tell_end(self, row: RunRow) -> None:
        words, tone = state_words(row)
        self.bell()
        line = f"{words}: {row.run_id} {safe_line(row.name, 60)}"
        self.flash(line, "error" if tone == "bad" else "info")

        def notify() -> None:
            from tui.upkeep import notify_end

            trouble = notify_end(self.workspace, row, words)
            if trouble:
                self.tell(trouble, "warning")

        self.in_background(notify)

    # --- telling

    def flash(self, message: str, level: str = "info") -> None:
        """One line at the foot of the page for a few seconds; `level` is info, warning or error."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, Page):
                screen.flash(message, level)
                return

    def tell(self, message: str, level: str = "info") -> None:
        """`flash` from any thread."""
        self.from_thread(lambda: self.flash(message, level))

    def from_thread(self, function: Callable[[], object]) -> None:
        """Do something in the app's own thread, soon; nothing where the app has closed meanwhile."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):  # closed between the two looks
                loop.call_soon_threadsafe(self.call_later, function)

    def in_background(self, function: Callable[[], object]) -> None:
        """Do something in a thread that does not hold up the end of the app."""
        threading.Thread(target=function, daemon=True).start()

    def act(self, function: Callable[[], str]) -> None:
        """Do something of `core` in a thread; what it says, or why it failed, is shown in one line."""

        def run() -> None:
            try:
                said = function()
            except FinetuiError as error:
                self.tell(str(error), "error")
            else:
                if said:
                    self.tell(said)

        self.in_background(run)

    # --- asking

    def ask(
        self, question: str, value: str, complaint: Callable[[str], str] | None, answered: Callable[[str], object]
    ) -> None:
        """Ask for a line; `answered` gets it unless the person leaves."""
        from tui.screens.ask import AskLine

        def done(text: str | None) -> None:
            if text is not None:
                answered(text)

        self.push_screen(AskLine(question, value, complaint), done)

    def confirm(self, question: str, details: tuple[str, ...], answered: Callable[[], object]) -> None:
        """Ask yes or no; `answered` is called for yes."""
        from tui.screens.ask import Confirm

        def done(yes: bool | None) -> None:
            if yes:
                answered()

        self.push_screen(Confirm(question, details), done)

    # --- actions

    def key_of(self, action: Action) -> str:
        """The first key of an action, the person's own where they chose one."""
        return self.preferences.keys.get(action.id, action.key).split(",")[0]

    def why_not(self, action_id: str) -> str | None:
        """Why an action of everywhere can't be done now."""
        if action_id == "copy":
            screen = self.screen
            return None if isinstance(screen, Page) and screen.copy_text() else "there is nothing to copy here"
        return None

    def _go(self, mode: str) -> None:
        if self.current_mode == mode:
            while len(self.screen_stack) > 1:
                self.pop_screen()
        else:
            self.switch_mode(mode)

    def action_show_runs(self) -> None:
        """The list of runs."""
        self._go("runs")

    def action_show_recipes(self) -> None:
        """The recipes."""
        self._go("recipes")

    def action_show_queue(self) -> None:
        """The queue."""
        self._go("queue")

    def open_run(self, run_id: str) -> None:
        """Look at one run; a run that is open already is brought to the front."""
        from importlib.util import find_spec

        if find_spec("tui.screens.run") is None:
            self.flash("this installation has no screen for a single run", "warning")
            return
        from tui.screens.run import RunScreen

        self.push_screen(RunScreen(run_id))

    def start_demo(self) -> None:
        """Queue the starter recipe and open its run."""
        self.flash("queueing the demo…")

        def submit() -> str:
            from core.cli.ready import ready_recipe
            from core.recipe.load import load_recipe
            from core.runs.queue import submit as submit_run

            run_id = submit_run(self.workspace, load_recipe(ready_recipe(DEMO_RECIPE)))
            self.from_thread(lambda: self.open_run(run_id))
            return f"run {run_id} is queued; it goes on if you close this window"

        self.act(submit)

    def action_help(self) -> None:
        """All keys of this page."""
        from tui.screens.help import HelpScreen

        if isinstance(self.screen, Page):
            self.push_screen(HelpScreen(self.screen))

    def action_palette(self) -> None:
        """Every action of this page by name."""
        from tui.screens.help import HelpScreen

        page = self.screen
        if isinstance(page, Page):
            self.push_screen(HelpScreen(page, only_possible=True))

    def action_jump(self) -> None:
        """Letters on the parts of the page."""
        from tui.screens.jump import JumpScreen

        self.push_screen(JumpScreen(self.screen))

    def action_next_theme(self) -> None:
        """The next of the three themes."""
        index = NAMES.index(self.theme) if self.theme in NAMES else -1
        self.theme = NAMES[(index + 1) % len(NAMES)]
        short = next(name for name, full in SHORT_NAMES.items() if full == self.theme)
        self.flash(f'theme {short}; to keep it, write theme = "{short}" into app.toml of your configuration folder')

    def action_copy(self) -> None:
        """Send what is under the cursor to the terminal's clipboard; only ever on the person's own key."""
        page = self.screen
        text = page.copy_text() if isinstance(page, Page) else None
        if not text:
            return
        if len(text.encode()) > _CLIPBOARD_BYTES:
            self.flash("this is too long for a terminal's clipboard", "warning")
            return
        self.copy_to_clipboard(text)
        self.flash(f"sent to the terminal's clipboard: {safe_line(text, 60)}")

    def action_quit_or_back(self) -> None:
        """Back where there is something to go back to, else close the app; runs go on."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
        else:
            self.exit()

    # --- the last net

    def _handle_exception(self, error: Exception) -> None:
        """A mistake of ours: a report without secrets in a file, one sentence for the person, no traceback."""
        if self.is_headless:  # a test wants the error itself
            super()._handle_exception(error)
            return
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
            from core.cli import crash
            from core.cli.main import version

            path = crash.write_crash_log(self.workspace, error, version())
            place = f"The report is in {path}." if path else "The report could not be written: is the disk full?"
            self._exit_renderables.clear()
            self.crash_words = (
                f"finetui made a mistake: {crash.describe(error)}\n{place}\n"
                "Runs are not touched by this; `finetui` opens the app again."
            )
        self._close_messages_no_wait()


def run_app(workspace: Workspace, *, mouse: bool | None = None, ascii_only: bool = False) -> int:
    """Open the app; the exit status, 0 unless it broke."""
    import sys
    from dataclasses import replace

    preferences = read_preferences()
    if ascii_only:
        preferences = replace(preferences, ascii=True)
    app = FinetuiApp(workspace, preferences)
    app.run(mouse=preferences.mouse if mouse is None else mouse)
    if app.crash_words:
        sys.stderr.write(f"{app.crash_words}\n")
        return 1
    return app.return_code or 0
