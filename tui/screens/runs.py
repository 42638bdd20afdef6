"""Home: what runs now, the machine, and every run in one list to filter, order, mark and open.

It draws what the feed says and hands wishes to `core.runs`; it must not read the store itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from textual.containers import Container
from textual.content import Content
from textual.events import Resize
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from core.store.rows import RunRow
from core.store.run_query import RunQuery
from core.text import display_width
from tui.columns import COLUMNS, GAP, USUAL, Cells, Column, column, fitting
from tui.filters import FilterError, is_field, parse_filter
from tui.format import fit, glyphs, hardware_words, live_words, plain
from tui.messages import HardwareChanged, RunChanged, RunsChanged, RunsPage, StoreAvailable, StoreUnavailable, Summary
from tui.screens.list_moves import ListMoves
from tui.screens.page import LIST, Page
from tui.screens.run_labels import RunLabels
from tui.widgets.bar import Bar, Part
from tui.widgets.empty import no_run_fits, nothing_yet
from tui.widgets.preview import preview_content
from tui.widgets.table import PAGE_ROWS, VirtualTable

PREVIEW_DELAY_SECONDS = 0.15
LOW_ROWS = 21
"""Below this height the list takes what the preview would."""


class RunsScreen(RunLabels, ListMoves, Page):
    """The list of runs."""

    MODE = "show_runs"
    OFFERS: ClassVar[tuple[str, ...]] = (
        "open", "filter", "sort", "reverse", "columns", "mark", "tag", "note", "rename", "remove", "preview",
        "all_kinds", *LIST,
    )  # fmt: skip
    FOOTER = ("open", "filter", "sort", "mark", "tag", "preview")
    DEFAULT_CSS = """
    RunsScreen #list-and-preview { layout: vertical; height: 1fr; }
    RunsScreen #list { layout: vertical; height: 1fr; width: 1fr; }
    RunsScreen #title, RunsScreen #columns { color: $quiet; }
    RunsScreen #empty { display: none; height: 1fr; padding: 1 2; }
    RunsScreen.-empty #empty { display: block; }
    RunsScreen.-empty #table, RunsScreen.-empty #columns, RunsScreen.-empty #preview { display: none; }
    RunsScreen #preview { height: 7; padding: 0 1; background: $surface; }
    RunsScreen.-middle #list-and-preview, RunsScreen.-wide #list-and-preview { layout: horizontal; }
    RunsScreen.-middle #preview, RunsScreen.-wide #preview { height: 1fr; width: 38; }
    RunsScreen.-wide #preview { width: 64; }
    RunsScreen.-no-preview #preview, RunsScreen.-narrow.-low #preview { display: none; }
    RunsScreen.-tiny-width .spare, RunsScreen.-tiny-height .spare { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.shown: tuple[Column, ...] = tuple(column(name) for name in USUAL)
        self.run_query = RunQuery(columns=_fields(self.shown))
        self.filter_text = ""
        self._summary: Summary | None = None
        self._count: int | None = None
        self._trouble = ""
        self._layout: list[tuple[Column, int]] = []
        self._preview_on = True
        self._preview_of: str | None = None
        self._timer: Timer | None = None

    def body(self) -> Iterator[Widget]:
        self.table: VirtualTable[Cells] = VirtualTable(lambda cells: cells.row.run_id, self._draw, id="table")
        yield Bar(id="hardware", classes="spare")
        yield Bar(id="live", classes="spare")
        yield Bar(id="title")
        yield Container(
            Container(Bar(id="columns", classes="spare"), self.table, Static(Content(""), id="empty"), id="list"),
            Static(Content(""), id="preview", classes="spare"),
            id="list-and-preview",
        )

    def on_mount(self) -> None:
        self.table.focus(scroll_visible=False)
        self._show_title()

    # --- the feed

    def on_screen_resume(self) -> None:
        self.shell.feed.watch_runs(self.run_query)
        self._preview_of = None
        self._preview_soon()

    def on_screen_suspend(self) -> None:
        self.shell.feed.watch_runs(None)

    def on_runs_changed(self, message: RunsChanged) -> None:
        self._summary = message.summary
        self._trouble = ""
        self._show_live()
        if message.count >= 0 and message.query == self.run_query:
            self._count = message.count
            same = message.cursor_run_id == self.table.cursor_key
            self.table.set_count(message.count, message.cursor if same else None)
            self._show_empty()
        self._show_title()
        self.show_footer()

    def on_runs_page(self, message: RunsPage) -> None:
        if message.query != self.run_query:
            return
        columns = self.run_query.columns
        cells = [
            Cells(
                row,
                dict(zip(columns, message.values.get(row.run_id, ()), strict=False)),
                message.trends.get(row.run_id, ()),
            )
            for row in message.rows
        ]
        self.table.put(message.start, cells)

    def on_hardware_changed(self, message: HardwareChanged) -> None:
        words = [] if message.sample is None else hardware_words(message.sample)
        while len(words) > 1 and display_width("  ".join(words)) > self.size.width:
            words.pop()
        line = "  ".join(words) or "the machine is read while something runs"
        self.query_one("#hardware", Bar).show([(line, "" if words else "dim", None)])

    def on_run_changed(self, message: RunChanged) -> None:
        if message.view.row.run_id == self._preview_of:
            preview = self.query_one("#preview", Static)
            preview.update(preview_content(message.view, self.table_trend(message.view.row.run_id)))

    def on_store_unavailable(self, message: StoreUnavailable) -> None:
        self._trouble = message.reason
        self._show_title()

    def on_store_available(self, message: StoreAvailable) -> None:
        self._trouble = message.warning
        self._show_title()

    def on_virtual_table_page_wanted(self, message: VirtualTable.PageWanted) -> None:
        self.shell.feed.runs_page(self.run_query, message.start, PAGE_ROWS)

    def on_virtual_table_cursor_moved(self, message: VirtualTable.CursorMoved) -> None:
        self.shell.feed.set_cursor(message.key)
        self.show_footer()
        self._preview_soon()

    async def on_virtual_table_opened(self) -> None:
        await self.action_do("open")

    # --- drawing

    def on_resize(self, event: Resize | None = None) -> None:
        self.set_class(self.app.size.height <= LOW_ROWS, "-low")
        self.call_after_refresh(self._show_columns)

    def _show_columns(self) -> None:
        width = self.table.scrollable_content_region.width - 2
        if self.has_class("-tiny-width", "-tiny-height"):
            chosen = [COLUMNS["run"], COLUMNS["eval"], COLUMNS["state"]]
        else:
            chosen = list(self.shown)
        if width > 0:
            self._layout = fitting(chosen, width)
        parts: list[Part] = [("  ", "", None)]
        for each, cells in self._layout:
            title = each.title
            if each.sort is not None and each.sort == self.run_query.sort:
                title += glyphs().down if self.run_query.descending else glyphs().up
            parts.append((fit(title, cells, right=each.right) + " " * GAP, "", f"sort:{each.id}"))
        self.query_one("#columns", Bar).show(parts)
        self.table.refresh()

    def _draw(self, cells: Cells, width: int) -> Sequence[tuple[str, str]]:
        pieces: list[tuple[str, str]] = []
        for each, cell_width in self._layout:
            text, tone = each.draw(cells)
            pieces += [(fit(text, cell_width, right=each.right), tone), (" " * GAP, "")]
        return pieces

    def table_trend(self, run_id: str) -> tuple[float, ...]:
        """The trend of a run that the list shows."""
        cells = self.table.current
        return cells.trend if cells is not None and cells.row.run_id == run_id else ()

    def _show_title(self) -> None:
        count = glyphs().ellipsis if self._count is None else f"{self._count:,}"
        kind = "Runs" if self.run_query.kind else "All jobs"
        parts: list[Part] = [(f"{kind} {count}", "bold", None)]
        if self._trouble:
            parts.append((f"  {plain(self._trouble)}", "warn", None))
        if self.filter_text:
            parts.append((f"  {glyphs().dot} filter: {plain(self.filter_text)}", "live", "filter"))
            parts.append((" (/ edit, esc clear)", "dim", "filter"))
        if self.run_query.sort != "created" or not self.run_query.descending:
            arrow = glyphs().down if self.run_query.descending else glyphs().up
            parts.append((f"  {glyphs().dot} sort {plain(self.run_query.sort)} {arrow}", "live", "sort"))
        if self.table.marked:
            parts.append((f"  {glyphs().dot} {len(self.table.marked)} marked", "live", None))
        right: list[Part] = []
        if self._summary is not None and (self._summary.queued or self._summary.held):
            held = f", {self._summary.held} held" if self._summary.held else ""
            right.append((f"queue {self._summary.queued}{held}", "dim", "show_queue"))
        self.query_one("#title", Bar).show(parts, right)

    def _show_live(self) -> None:
        live = self._summary.live if self._summary is not None else ()
        bar = self.query_one("#live", Bar)
        if live:
            bar.show([(live_words(live[0], self.size.width), "live", "open_live")])
        else:
            bar.show([("nothing runs", "dim", None)])

    def _show_empty(self) -> None:
        empty = self._count == 0
        self.set_class(empty, "-empty")
        if empty:
            self.query_one("#empty", Static).update(self._empty_words())

    def _empty_words(self) -> Content:
        return no_run_fits() if self.filter_text else nothing_yet(training_only=self.run_query.kind is not None)

    # --- preview

    def _preview_soon(self) -> None:
        """After the cursor has rested: a person who runs down the list asks for nothing."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(PREVIEW_DELAY_SECONDS, self._preview)

    def _preview(self) -> None:
        if not self.is_active:  # a page behind the front one counts as current
            return
        key = self.table.cursor_key if self._preview_is_shown() else None
        if key != self._preview_of:
            self._preview_of = key
            self.shell.feed.watch_run(key)
            if key is None:
                self.query_one("#preview", Static).update(Content(""))

    def _preview_is_shown(self) -> bool:
        return bool(self.query_one("#preview", Static).display)

    # --- actions

    @property
    def _is_first_time(self) -> bool:
        return self._count == 0 and not self.filter_text

    def why_not(self, action_id: str) -> str | None:
        if action_id == "open" and self._is_first_time:
            return None
        if action_id in ("open", "mark", "tag", "note", "rename", "remove") and self.table.current is None:
            return "there is no run under the cursor"
        if action_id == "remove":
            return self.why_not_remove()
        return super().why_not(action_id)

    def footer_ids(self) -> tuple[str, ...]:
        return ("demo", "show_recipes") if self._is_first_time else self.FOOTER

    async def choose(self, name: str) -> None:
        if name.startswith("sort:"):
            wanted = column(name.removeprefix("sort:")).sort
            if wanted is not None:
                turned = wanted == self.run_query.sort and not self.run_query.descending
                self._ask_feed(replace(self.run_query, sort=wanted, descending=turned))
        elif name == "open_live":
            if self._summary is not None and self._summary.live:
                self.shell.open_run(self._summary.live[0].run_id)
        else:
            await super().choose(name)

    def action_open(self) -> None:
        """Open the run under the cursor; where there is none, start the demo."""
        if self._is_first_time:
            self.action_demo()
        elif (cells := self.table.current) is not None:
            self.shell.open_run(cells.row.run_id)

    def action_demo(self) -> None:
        """Queue the starter recipe and look at its run."""
        self.shell.start_demo()

    def action_back(self) -> None:
        """Take away the filter, then the marks."""
        if self.filter_text:
            self.set_filter("")
        elif self.table.marked:
            self.table.marked.clear()
            self.table.refresh()
            self._show_title()

    def action_filter(self) -> None:
        """Ask for a filter; it is taken as it stands."""
        self.shell.ask("filter (method:qlora eval_loss<1.3 tag:keep lr>=1e-4 -state:crashed; empty shows all)",
                       self.filter_text, _complaint, self.set_filter)  # fmt: skip

    def set_filter(self, text: str) -> None:
        """Show only the runs that fit.

        Raises:
            FilterError: it is no filter.
        """
        conditions = parse_filter(text)
        self.filter_text = text.strip()
        self._ask_feed(replace(self.run_query, conditions=conditions))

    def action_sort(self) -> None:
        """Ask for the field to sort by."""
        self.shell.ask("sort by (created, name, state, eval_loss, best, loss.min, grad_norm.smooth, any metric)",
                       self.run_query.sort, _field_complaint, self._sort_by)  # fmt: skip

    def _sort_by(self, text: str) -> None:
        field = text.strip() or "created"
        self._ask_feed(replace(self.run_query, sort=field, descending=field == "created"))

    def action_reverse(self) -> None:
        """The other way round."""
        self._ask_feed(replace(self.run_query, descending=not self.run_query.descending))

    def action_columns(self) -> None:
        """Ask for the columns."""
        known = ", ".join(COLUMNS)
        self.shell.ask(f"columns ({known}, any metric; empty for the usual)", " ".join(each.id for each in self.shown),
                       _columns_complaint, self._choose_columns)  # fmt: skip

    def _choose_columns(self, text: str) -> None:
        names = text.replace(",", " ").split() or list(USUAL)
        self.shown = tuple(column(name) for name in dict.fromkeys(names))
        self._ask_feed(replace(self.run_query, columns=_fields(self.shown)))

    def action_all_kinds(self) -> None:
        """Training runs only, or every job."""
        self._ask_feed(replace(self.run_query, kind=None if self.run_query.kind else "train"))

    def _ask_feed(self, query: RunQuery) -> None:
        if query == self.run_query:
            self._show_columns()
            return
        self.run_query = query
        self._count = None
        self.set_class(False, "-empty")
        self.table.clear()
        self._show_columns()
        self._show_title()
        self.shell.feed.watch_runs(query)

    def action_preview(self) -> None:
        """Show or hide the preview."""
        self._preview_on = not self._preview_on
        self.set_class(not self._preview_on, "-no-preview")
        self.call_after_refresh(self._show_columns)
        self._preview_soon()

    def action_mark(self) -> None:
        """Mark the run under the cursor."""
        self.table.toggle_mark()
        self._show_title()

    def copy_text(self) -> str | None:
        cells = self.table.current
        return None if cells is None else cells.row.run_id

    def chosen_rows(self) -> list[RunRow]:
        """The run under the cursor; where runs are marked, those that are loaded among them come by id."""
        cells = self.table.current
        return [] if cells is None else [cells.row]


def _fields(columns: Sequence[Column]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.field for each in columns if each.field is not None))


def _complaint(text: str) -> str:
    try:
        parse_filter(text)
    except FilterError as error:
        return f"{error} (at character {error.at + 1})"
    return ""


def _field_complaint(text: str) -> str:
    return "" if not text.strip() or is_field(text.strip()) else "this is no name of a field or metric"


def _columns_complaint(text: str) -> str:
    wrong = [name for name in text.replace(",", " ").split() if not is_field(name)]
    return f"{wrong[0]} is no name of a column or metric" if wrong else ""
