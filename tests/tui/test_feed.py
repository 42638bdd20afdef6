"""The feed: what is watched is told, what is new is sent once, a store that can't be read is said and tried again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
from textual.message import Message

from core.cli.ready import ready_recipe
from core.events import Finished, Started
from core.paths import Workspace
from core.store.run_query import RunQuery
from tests.conftest import wait_until
from tests.store.line_files import queued_event, run_id
from tests.tui.app_history import AppHistory
from tui.feed import Feed
from tui.messages import (
    AxisGrew,
    QueueChanged,
    RunChanged,
    RunGone,
    RunsChanged,
    RunsPage,
    SeriesGrew,
    StoreAvailable,
    StoreUnavailable,
)


class Ear:
    """A feed and all that it has said."""

    def __init__(self, workspace: Workspace) -> None:
        self.heard: list[Message] = []
        self.feed = Feed(workspace, self.heard.append, poll_seconds=0.02)
        self.feed.start()

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.heard if type(message) is kind]

    def points(self, key: str) -> list[tuple[int, float]]:
        """The curve as a chart would hold it."""
        points: list[tuple[int, float]] = []
        for message in self.heard:
            if isinstance(message, SeriesGrew) and message.key == key:
                points = [*([] if message.reset else points), *message.points]
        return points


@pytest.fixture
def ear(workspace: Workspace) -> Iterator[Ear]:
    ear = Ear(workspace)
    yield ear
    ear.feed.stop()
    assert ear.feed._thread is not None and not ear.feed._thread.is_alive()


@pytest.fixture
def history(workspace: Workspace) -> AppHistory:
    return AppHistory(workspace)


def test_an_empty_workspace_is_an_empty_list(ear: Ear) -> None:
    ear.feed.watch_runs(RunQuery())
    wait_until(lambda: ear.of(RunsChanged), "a count")
    message = ear.of(RunsChanged)[-1]
    assert isinstance(message, RunsChanged) and message.count == 0 and message.summary.live == ()


def test_the_list_is_told_again_when_a_run_appears_and_when_it_ends(ear: Ear, history: AppHistory) -> None:
    history.many(3)
    history.ingest()
    query = RunQuery(columns=("lr",))
    ear.feed.watch_runs(query)
    wait_until(lambda: any(message.count == 3 for message in ear.of(RunsChanged)), "three runs")  # type: ignore[attr-defined]
    page = ear.of(RunsPage)[0]
    assert isinstance(page, RunsPage) and len(page.rows) == 3
    assert page.values[page.rows[0].run_id][0] == pytest.approx(2e-4 * 0.99)
    assert len(page.trends[page.rows[0].run_id]) == 8
    newest = page.rows[0].run_id
    ear.feed.set_cursor(newest)
    history.run(9, "queued")
    history.ingest()
    wait_until(lambda: any(m.count == 4 and m.cursor == 1 for m in ear.of(RunsChanged)), "the cursor's run one down")  # type: ignore[attr-defined]
    history.lines.events(newest, Finished(outcome="completed", message="", step=40))
    history.lines.move(newest, "running", "finished", outcome="completed")
    history.ingest()
    wait_until(lambda: any(m.summary.ended for m in ear.of(RunsChanged)), "the end")  # type: ignore[attr-defined]


def test_a_curve_is_sent_once_and_then_only_what_is_new(ear: Ear, history: AppHistory) -> None:
    run_id = history.run(1, "running", steps=30)
    history.ingest()
    ear.feed.watch_run(run_id, ("loss", "eval/*"))
    wait_until(lambda: len(ear.points("loss")) == 30, "thirty points")
    assert [message.key for message in ear.of(SeriesGrew)] == ["eval/task/loss", "loss"]  # type: ignore[attr-defined]
    history.lines.events(run_id, history.step(31), history.step(32))
    history.ingest()
    wait_until(lambda: len(ear.points("loss")) == 32, "two more points")
    sizes = [len(m.points) for m in ear.of(SeriesGrew) if isinstance(m, SeriesGrew) and m.key == "loss"]
    assert sizes == [30, 2]
    assert sum(len(m.rows) for m in ear.of(AxisGrew) if isinstance(m, AxisGrew)) == 32
    views = [m.view for m in ear.of(RunChanged) if isinstance(m, RunChanged)]
    assert views[-1].row.step == 32 and views[-1].plan is not None and views[-1].hardware


def test_a_resumed_run_sends_its_curve_anew(ear: Ear, history: AppHistory) -> None:
    run_id = history.run(1, "running", steps=30)
    history.ingest()
    ear.feed.watch_run(run_id, ("loss",))
    wait_until(lambda: len(ear.points("loss")) == 30, "thirty points")
    history.lines.events(
        run_id,
        Started(kind="train", pid=5, boot_id="b", start_ticks=2, resumed_from_step=20),
        history.step(21),
        attempt=2,
    )
    history.ingest()
    wait_until(lambda: [step for step, _ in ear.points("loss")][-2:] == [20, 21], "the replaced points")
    assert len(ear.points("loss")) == 21


def test_more_curves_of_the_same_run_do_not_repeat_the_first(ear: Ear, history: AppHistory) -> None:
    run_id = history.run(1, "diverged", steps=40)
    history.ingest()
    ear.feed.watch_run(run_id, ("loss",))
    wait_until(lambda: ear.points("loss"), "the loss")
    ear.feed.watch_run(run_id, ("loss", "grad_norm"))
    wait_until(lambda: ear.points("grad_norm"), "the gradient norm")
    assert len([m for m in ear.of(SeriesGrew) if isinstance(m, SeriesGrew) and m.key == "loss"]) == 1
    assert math.isnan(ear.points("loss")[-1][1])


def test_a_run_that_is_not_there_is_said_once(ear: Ear) -> None:
    ear.feed.watch_run("00000009", ())
    wait_until(lambda: ear.of(RunGone), "the word")
    ear.feed.watch_run("00000009", ())
    wait_until(lambda: not ear.feed._has_wishes(), "a second look")
    assert len(ear.of(RunGone)) == 1


def test_the_queue_comes_in_start_order_with_held_runs(ear: Ear, history: AppHistory) -> None:
    history.many(3)
    first, held, last = (history.run(number, end) for number, end in ((20, "queued"), (21, "held"), (22, "queued")))
    history.ingest()
    ear.feed.watch_queue(True)
    wait_until(lambda: ear.of(QueueChanged), "the queue")
    message = ear.of(QueueChanged)[-1]
    assert isinstance(message, QueueChanged)
    assert [row.run_id for row in message.waiting] == [first, held, last]
    assert len(message.live) == 1 and len(message.ended) == 2


def test_a_damaged_store_is_said_and_tried_again(workspace: Workspace, history: AppHistory) -> None:
    history.many(2)
    history.ingest()
    good = workspace.database.read_bytes()
    workspace.database.write_bytes(b"not a database at all" * 100)
    ear = Ear(workspace)
    ear.feed.watch_runs(RunQuery())
    wait_until(lambda: ear.of(StoreUnavailable), "the complaint")
    fresh = workspace.database.with_name("fresh.db")
    fresh.write_bytes(good)
    fresh.rename(workspace.database)
    wait_until(lambda: any(m.count == 2 for m in ear.of(RunsChanged)), "the list after all")  # type: ignore[attr-defined]
    assert ear.of(StoreAvailable)
    ear.feed.stop()


def test_a_run_that_continues_another_tells_what_differs(ear: Ear, history: AppHistory) -> None:
    from core.recipe.dump import dump_recipe
    from core.recipe.load import load_recipe

    workspace = history.workspace
    parent, child = history.run(1, "completed"), run_id(2)
    history.lines.folder(replace(queued_event(child), resumed_from=f"{parent}@20"))
    history.lines.journal.add(replace(queued_event(child), resumed_from=f"{parent}@20"))
    for each, rate in ((parent, "2e-4"), (child, "1e-4")):
        recipe = load_recipe(ready_recipe("starter-qlora.yaml"), [f"train.learning_rate={rate}"]).recipe
        workspace.run(each).recipe.write_text(dump_recipe(recipe))
    history.ingest()
    ear.feed.watch_run(child, ())
    wanted = ("train.learning_rate  0.0002 → 0.0001",)
    wait_until(lambda: any(m.view.differences == wanted for m in ear.of(RunChanged)), "the difference")  # type: ignore[attr-defined]
