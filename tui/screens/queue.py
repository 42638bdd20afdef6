"""The queue: what runs, what waits in which order and for what, what ended lately; order, hold, release, cancel.

It shows the feed's rows and hands wishes to `core.runs.queue`; a thread asks `core.gpu` who else is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from core.states import State
from core.store.rows import RunRow
from tui.format import bytes_text, fit, glyphs, live_words, number, plain, state_words
from tui.messages import HardwareChanged, QueueChanged, StoreAvailable, StoreUnavailable
from tui.screens.list_moves import ListMoves
from tui.screens.page import LIST, Page
from tui.widgets.bar import TONES, Bar
from tui.widgets.table import PAGE_ROWS, VirtualTable

if TYPE_CHECKING:
    from core.gpu.nvml import Gpu, GpuProcess

GPU_LOOK_SECONDS = 10.0
_SHOWN_ENDED = 4


class QueueScreen(ListMoves, Page):
    """What waits."""

    MODE = "show_queue"
    OFFERS: ClassVar[tuple[str, ...]] = ("open", "move_down", "move_up", "hold", "cancel", *LIST)
    FOOTER = ("move_down", "move_up", "open", "hold", "cancel")
    DEFAULT_CSS = """
    QueueScreen .rule { color: $quiet; }
    QueueScreen #now { height: auto; max-height: 3; }
    QueueScreen #table { height: 1fr; }
    QueueScreen #none { display: none; height: 1fr; padding: 0 2; }
    QueueScreen.-empty #none { display: block; }
    QueueScreen.-empty #table, QueueScreen.-empty #columns { display: none; }
    QueueScreen #ended { height: auto; max-height: 4; }
    QueueScreen #others { height: auto; max-height: 3; color: $warning; }
    QueueScreen.-tiny-height .spare, QueueScreen.-tiny-width .spare { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._live: tuple[RunRow, ...] = ()
        self._waiting: tuple[RunRow, ...] = ()
        self._others = ""
        self._gpu_timer: Timer | None = None

    def body(self) -> Iterator[Widget]:
        self.table: VirtualTable[RunRow] = VirtualTable(lambda row: row.run_id, self._draw, id="table")
        yield Bar(id="now-title", classes="rule spare")
        yield Static(Content(""), id="now", classes="spare")
        yield Bar(id="title", classes="rule")
        yield Bar(id="columns", classes="rule spare")
        yield self.table
        yield Static(Content("Nothing waits. 3 shows recipes to launch."), id="none")
        yield Bar(id="ended-title", classes="rule spare")
        yield Static(Content(""), id="ended", classes="spare")
        yield Static(Content(""), id="others", classes="spare")

    def on_mount(self) -> None:
        self.table.focus(scroll_visible=False)
        self.query_one("#now-title", Bar).show([("now", "bold", None)])
        self.query_one("#ended-title", Bar).show([("ended lately", "bold", None)])
        self._gpu_timer = self.set_interval(GPU_LOOK_SECONDS, self._look_at_gpu, pause=True)

    def on_screen_resume(self) -> None:
        self.shell.feed.watch_queue(True)
        self._look_at_gpu()
        if self._gpu_timer is not None:
            self._gpu_timer.resume()

    def on_screen_suspend(self) -> None:
        self.shell.feed.watch_queue(False)
        if self._gpu_timer is not None:
            self._gpu_timer.pause()

    # --- what is shown

    def on_queue_changed(self, message: QueueChanged) -> None:
        key = self.table.cursor_key
        self._live, self._waiting = message.live, message.waiting
        places = {row.run_id: index for index, row in enumerate(message.waiting)}
        self.set_class(not message.waiting, "-empty")
        self.table.set_count(len(message.waiting), places.get(key) if key is not None else None)
        for start in range(0, len(message.waiting), PAGE_ROWS):
            self.table.put(start, message.waiting[start : start + PAGE_ROWS])
        held = sum(row.state is State.HELD for row in message.waiting)
        words = f"{len(message.waiting) - held} waiting" + (f", {held} held" if held else "")
        self.query_one("#title", Bar).show(
            [(words, "bold", None), (f"  {glyphs().dot} one at a time on each device", "dim", None)]
        )
        width = self.size.width
        now = [Content.styled(fit(live_words(row, width), width), TONES["live"]) for row in message.live]
        self.query_one("#now", Static).update(Content("\n").join(now or [Content("nothing runs")]))
        self.query_one("#ended", Static).update(Content("\n").join([_ended(row, width) for row in message.ended]))
        self._show_columns()
        self.show_footer()

    def on_virtual_table_page_wanted(self, message: VirtualTable.PageWanted) -> None:
        self.table.put(message.start, self._waiting[message.start : message.start + PAGE_ROWS])

    def on_virtual_table_cursor_moved(self) -> None:
        self.show_footer()

    async def on_virtual_table_opened(self) -> None:
        await self.action_do("open")

    def on_hardware_changed(self, message: HardwareChanged) -> None:
        if message.sample is not None and message.sample.gpu_memory_used_bytes is not None:
            used, total = message.sample.gpu_memory_used_bytes, message.sample.gpu_memory_total_bytes
            memory = f"  {glyphs().dot} GPU memory {bytes_text(used)}/{bytes_text(total)}"
            self.query_one("#now-title", Bar).show([("now", "bold", None), (memory, "dim", None)])

    def on_store_unavailable(self, message: StoreUnavailable) -> None:
        self.query_one("#title", Bar).show([(plain(message.reason), "warn", None)])

    def on_store_available(self, message: StoreAvailable) -> None:
        if message.warning:
            self.flash(message.warning, "warning")

    def _show_columns(self) -> None:
        text = "  " + "".join(fit(title, width) for title, width in zip(_TITLES, self._widths(), strict=True))
        self.query_one("#columns", Bar).show([(text, "", None)])

    def _widths(self) -> tuple[int, ...]:
        width = max(30, self.table.scrollable_content_region.width or self.size.width)
        method, device, state = (0, 0, 10) if width < 60 else (9, 7, 10)
        name = max(16, min(44, (width - 6 - method - device - state) // 2))
        return (4, name, method, device, state, max(8, width - 6 - name - method - device - state))

    def _draw(self, row: RunRow, width: int) -> Sequence[tuple[str, str]]:
        place = next((index for index, each in enumerate(self._waiting) if each.run_id == row.run_id), 0)
        state, tone = state_words(row)
        cells = (
            str(place + 1),
            f"{row.run_id} {plain(row.name)}",
            row.method or row.kind,
            row.device,
            state,
            self._blocks(row),
        )
        tones = ("dim", "", "dim", "dim", tone, "dim")
        return [
            (fit(text, cell_width - 1) + " " if cell_width else "", cell_tone)
            for text, cell_width, cell_tone in zip(cells, self._widths(), tones, strict=True)
        ]

    def _blocks(self, row: RunRow) -> str:
        """What the run waits for."""
        if row.state is State.HELD:
            return "held until you release it (h)"
        before = next((live for live in self._live if live.device == row.device or row.device == "none"), None)
        ahead = [each for each in self._waiting if each.state is State.QUEUED and each.device == row.device]
        first = ahead[0] if ahead else row
        if first.run_id != row.run_id:
            index = next(index for index, each in enumerate(ahead) if each.run_id == row.run_id)
            return f"after {ahead[index - 1].run_id}"
        if before is not None:
            return f"after {before.run_id}"
        return "next"

    # --- the GPU's other users

    def _look_at_gpu(self) -> None:
        def look() -> None:
            from core.gpu.nvml import has_driver, read_gpus

            if has_driver():
                words = other_users(read_gpus())
                self.shell.from_thread(lambda: self._show_others(words))

        self.shell.in_background(look)

    def _show_others(self, words: str) -> None:
        if words != self._others and self.is_attached:
            self._others = words
            self.query_one("#others", Static).update(Content(words))

    # --- actions

    def why_not(self, action_id: str) -> str | None:
        row = self.table.current
        if action_id in ("open", "hold", "cancel", "move_down", "move_up") and row is None:
            return "nothing waits"
        if action_id == "move_up" and self.table.cursor == 0:
            return "it is the first already"
        if action_id == "move_down" and self.table.cursor >= len(self._waiting) - 1:
            return "it is the last already"
        return super().why_not(action_id)

    def action_open(self) -> None:
        """Look at the run."""
        if (row := self.table.current) is not None:
            self.shell.open_run(row.run_id)

    def action_hold(self) -> None:
        """Hold, or release what is held."""
        row = self.table.current
        if row is None:
            return

        def change() -> str:
            from core.runs.queue import hold, release

            if row.state is State.HELD:
                release(self.shell.workspace, row.run_id)
                return f"{row.run_id} may start again"
            hold(self.shell.workspace, row.run_id)
            return f"{row.run_id} waits until you release it (h)"

        self.shell.act(change)

    def action_cancel(self) -> None:
        """Take the run out of the queue, after one question."""
        row = self.table.current
        if row is None:
            return

        def cancel() -> str:
            from core.runs.queue import cancel as cancel_run

            cancel_run(self.shell.workspace, row.run_id)
            return f"{row.run_id} is cancelled; its recipe and folder stay"

        kept = "its checkpoints stay" if row.step else "it has not begun, so no step is lost"
        self.shell.confirm(f"Cancel {row.run_id} {plain(row.name)}? {kept}.", (), lambda: self.shell.act(cancel))

    def action_move_down(self) -> None:
        """One place later."""
        index = self.table.cursor
        after = self._waiting[index + 2].run_id if index + 2 < len(self._waiting) else None
        self._move(index, after)

    def action_move_up(self) -> None:
        """One place sooner."""
        self._move(self.table.cursor, self._waiting[self.table.cursor - 1].run_id)

    def _move(self, index: int, before: str | None) -> None:
        row = self._waiting[index]

        def move() -> str:
            from core.runs.queue import move as move_run

            move_run(self.shell.workspace, row.run_id, before=before)
            return ""

        self.shell.act(move)

    def copy_text(self) -> str | None:
        row = self.table.current
        return None if row is None else row.run_id


_TITLES = ("#", "RUN", "METHOD", "DEVICE", "STATE", "STARTS")


def _ended(row: RunRow, width: int) -> Content:
    words, tone = state_words(row)
    rest = f"  {row.run_id} {plain(row.name)}  eval {number(row.eval_loss)}  {plain(row.message)}"
    return Content.assemble((words, TONES[tone]), fit(rest, max(0, width - len(words))))


def _user(process: GpuProcess) -> str:
    command, user = plain(process.command or "?"), plain(process.user or "?")
    return f"pid {process.pid} {command} {bytes_text(process.memory_used_bytes)} ({user})"


def other_users(gpus: Sequence[Gpu]) -> str:
    """Who else has memory on the GPUs, in a sentence; empty where nobody has."""
    users = [_user(process) for gpu in gpus for process in gpu.processes if not process.is_ours]
    return f"other users of the GPU: {', '.join(users)}; they are waited for, never stopped" if users else ""
