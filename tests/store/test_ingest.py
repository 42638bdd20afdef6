"""Each line enters the database exactly once, whatever happens to the files."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from core.errors import RunError
from core.events import (
    Answered,
    BestChanged,
    CheckpointPinned,
    CheckpointSaved,
    CheckpointsCollected,
    Evaluated,
    ExampleScore,
    ExamplesScored,
    Exited,
    Finished,
    HardwareSampled,
    HealthRaised,
    Noted,
    Planned,
    Removed,
    Renamed,
    RequestAnswered,
    RequestMade,
    Started,
    StepLogged,
    Tagged,
    Untagged,
    WorkerSpawned,
)
from core.paths import Workspace
from core.states import Outcome, State
from core.store import Reader, ingest_once, open_reader, open_writer
from core.store.content import natural_content
from core.store.ingest import ingest
from tests.store.line_files import Lines, queued_event, run_id


@pytest.fixture
def lines(workspace: Workspace) -> Lines:
    return Lines(workspace)


def started(step: int | None = None) -> Started:
    return Started(kind="train", pid=7, boot_id="boot", start_ticks=9, resumed_from_step=step)


def steps(first: int, last: int, offset: float = 0.0) -> list[StepLogged]:
    return [
        StepLogged(step=step, values={"loss": 10.0 / step + offset, "grad_norm": float(step)}, tokens=step * 8)
        for step in range(first, last + 1)
    ]


def read(workspace: Workspace) -> Reader:
    assert ingest_once(workspace)
    return open_reader(workspace)


def test_a_run_from_queue_to_end(workspace: Workspace, lines: Lines) -> None:
    run = lines.queue(1, name="first")
    lines.move(run, "queued", "starting")
    lines.supervisor(run, WorkerSpawned(pid=7, boot_id="boot", start_ticks=9))
    lines.events(run, started(), Planned(max_steps=4, num_train_epochs=1.0, rows={"train": 8}, parameters_total=9,
                                         parameters_trained=2))  # fmt: skip
    lines.move(run, "starting", "running")
    lines.events(
        run,
        *steps(1, 4),
        Evaluated(step=4, set_name="task", role="validation", metrics={"loss": 1.5}, rows=3, seconds=0.5),
        CheckpointSaved(
            step=4, folder="checkpoints/step-000004", bytes=5, manifest_sha256="m", reason="final", seconds=0.1
        ),
        BestChanged(step=4, metric="task.loss", value=1.5),
        Answered(step=4, prompt_index=0, prompt="hello", answer="bad \ud800 surrogate", tokens=3),
        HealthRaised(rule="spike", level="warning", message="loss jumped", step=2),
        Finished(outcome="completed", message="done", step=4, advice=("rest",), totals={"train_seconds": 2.0}),
    )
    lines.supervisor(run, HardwareSampled(cpu_percent=12.5), Exited(exit_code=0, signal=None))
    lines.move(run, "running", "finished", outcome="completed")
    with read(workspace) as reader:
        row = reader.run(run)
        assert (row.state, row.outcome, row.step, row.max_steps) == (State.FINISHED, Outcome.COMPLETED, 4, 4)
        assert (row.loss, row.eval_loss, row.best_step, row.message, row.advice) == (2.5, 1.5, 4, "done", ("rest",))
        assert [move.to_state for move in reader.transitions(run)] == ["queued", "starting", "running", "finished"]
        assert reader.metric_keys(run) == ("eval/task/loss", "grad_norm", "loss")
        assert reader.series(run, "loss").values == [10.0, 5.0, 10 / 3, 2.5]
        assert reader.axis(run).tokens == [8, 16, 24, 32]
        assert [(c.step, c.best, c.pinned, c.removed) for c in reader.checkpoints(run)] == [(4, True, False, False)]
        assert [(a.attempt, a.pid, a.outcome, a.exit_code) for a in reader.attempts(run)] == [(1, 7, "completed", 0)]
        assert reader.hardware(run)[0].cpu_percent == 12.5
        assert reader.answers(run)[0].answer == "bad \\ud800 surrogate"
        assert [health.level for health in reader.health(run)] == ["warning"]
        assert reader.recipe_text(run) == "name: first\n"
        assert reader.find(run[:8]) == run == reader.find("first")


def test_a_second_ingest_changes_nothing(workspace: Workspace, lines: Lines) -> None:
    run = lines.queue()
    lines.events(run, started(), *steps(1, 50))
    with open_writer(workspace) as writer:
        assert ingest(writer, workspace).lines == 52
        before = natural_content(writer.connection)
        assert ingest(writer, workspace).lines == 0
        assert natural_content(writer.connection) == before
    with open_writer(workspace) as writer:
        assert ingest(writer, workspace).lines == 0
        assert natural_content(writer.connection) == before


def test_a_torn_tail_at_every_byte_is_read_once_it_is_whole(workspace: Workspace, lines: Lines) -> None:
    run = lines.queue()
    lines.events(run, started(), *steps(1, 2))
    path = workspace.run(run).events
    whole = path.read_bytes()
    begin = whole.rindex(b"\n", 0, -1) + 1
    with open_writer(workspace) as writer:
        cuts = 0
        for cut in range(begin, len(whole)):
            path.write_bytes(whole[:cut])
            report = ingest(writer, workspace)
            assert (report.damaged_lines, ingest(writer, workspace).lines) == (0, 0)
            cuts += 1
        assert cuts == len(whole) - begin > 50
        with open_reader(workspace) as reader:
            assert reader.series(run, "loss").steps == [1]
        path.write_bytes(whole)
        assert ingest(writer, workspace).lines == 1
    with open_reader(workspace) as reader:
        assert reader.series(run, "loss").steps == [1, 2]


def test_a_damaged_line_is_counted_and_costs_only_itself(workspace: Workspace, lines: Lines) -> None:
    run = lines.queue()
    lines.events(run, started(), *steps(1, 9))
    path = workspace.run(run).events
    data = bytearray(path.read_bytes())
    data[data.index(b'"step":5') + 7] ^= 1
    path.write_bytes(bytes(data))
    with read(workspace) as reader:
        assert reader.series(run, "loss").steps == [1, 2, 3, 4, 6, 7, 8, 9]
        assert reader.damaged_lines() == 1


def test_numbers_that_are_not_finite_survive(workspace: Workspace, lines: Lines) -> None:
    run = lines.queue()
    odd = [1.0, math.nan, math.inf, -math.inf, 0.5]
    lines.events(run, started(), *(StepLogged(step=n, values={"loss": value}) for n, value in enumerate(odd, 1)))
    with read(workspace) as reader:
        assert [str(value) for value in reader.series(run, "loss").values] == ["1.0", "nan", "inf", "-inf", "0.5"]
        summary = reader.summaries(run)[0]
        assert (summary.minimum, summary.maximum, summary.count, summary.nan_count) == (0.5, 1.0, 5, 3)
    lines.events(run, StepLogged(step=6, values={"loss": math.nan}))
    with read(workspace) as reader:
        assert math.isnan(reader.run(run).loss or 0.0)


def test_a_resumed_attempt_replaces_later_points(workspace: Workspace, lines: Lines) -> None:
    run = lines.queue()
    lines.events(
        run,
        started(),
        *steps(1, 10),
        Evaluated(step=5, set_name="task", role="validation", metrics={"loss": 3.0}, rows=3, seconds=0.5),
        BestChanged(step=5, metric="task.loss", value=3.0),
        Evaluated(step=10, set_name="task", role="validation", metrics={"loss": 2.0}, rows=3, seconds=0.5),
        BestChanged(step=10, metric="task.loss", value=2.0),
        Answered(step=10, prompt_index=0, prompt="p", answer="a", tokens=1),
    )
    with read(workspace) as reader:
        assert (reader.run(run).best_step, reader.run(run).eval_loss) == (10, 2.0)
    lines.events(run, started(6), attempt=2)
    with read(workspace) as reader:
        row = reader.run(run)
        assert (row.step, row.best_step, row.eval_loss, row.loss) == (6, 5, 3.0, 10 / 6)
        assert reader.answers(run) == ()
    lines.events(run, *steps(7, 8, offset=100.0), attempt=2)
    with read(workspace) as reader:
        curve = reader.series(run, "loss")
        assert curve.steps == [1, 2, 3, 4, 5, 6, 7, 8]
        assert curve.values[6:] == [100 + 10 / 7, 100 + 10 / 8]
        summary = next(summary for summary in reader.summaries(run) if summary.key == "loss")
        assert (summary.count, summary.maximum_step, summary.minimum_step) == (8, 7, 6)


def test_a_step_that_is_logged_twice_counts_once(workspace: Workspace, lines: Lines) -> None:
    run = lines.queue()
    lines.events(run, started(), *steps(1, 3), StepLogged(step=2, values={"loss": 99.0}))
    with read(workspace) as reader:
        summary = next(summary for summary in reader.summaries(run) if summary.key == "loss")
        assert (summary.count, summary.maximum, summary.last_step) == (3, 99.0, 3)


def test_a_spool_that_lost_its_end_is_read_anew(workspace: Workspace, lines: Lines) -> None:
    """After a power cut the database can be ahead of a file that had not been synced."""
    run = lines.queue()
    lines.events(run, started(), *steps(1, 10))
    read(workspace).close()
    path = workspace.run(run).events
    data = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(data[:6]))
    file = lines._file(path)
    file.seq = 6
    lines.events(run, *steps(6, 7, offset=50.0))
    with read(workspace) as reader:
        assert reader.series(run, "loss").values == [10.0, 5.0, 10 / 3, 2.5, 2.0, 50 + 10 / 6, 50 + 10 / 7]


def test_a_replaced_journal_begins_again(workspace: Workspace, lines: Lines) -> None:
    lines.queue(1)
    lines.queue(2)
    with read(workspace) as reader:
        assert len(reader.runs()) == 2
    workspace.journal.unlink()
    other = Lines(workspace)
    other.journal.add(queued_event(run_id(3)))
    other.journal.add(queued_event(run_id(4)), queued_event(run_id(5)))
    with read(workspace) as reader:
        assert [row.run_id for row in reader.runs()] == [run_id(5), run_id(4), run_id(3)]


def test_evaluations_of_a_checkpoint_belong_to_its_run(workspace: Workspace, lines: Lines) -> None:
    run, job = lines.queue(1), lines.queue(2, kind="evaluate")
    for checkpoint, value in ((f"{run}@40", 0.9), (f"{run}@base", 0.1), ("nonsense", 0.0)):
        lines.events(
            job,
            Evaluated(
                step=0,
                set_name="test",
                role="test",
                metrics={"exact_match": value},
                rows=2,
                seconds=1.0,
                checkpoint=checkpoint,
            ),
            ExamplesScored(
                step=0,
                set_name="test",
                metric="exact_match",
                checkpoint=checkpoint,
                examples=(ExampleScore(0, "out", math.nan), ExampleScore(1, "x", 1.0)),
            ),
        )
    with read(workspace) as reader:
        found = {row.checkpoint: row.metrics["exact_match"] for row in reader.evaluations(run)}
        assert found == {f"{run}@40": 0.9, f"{run}@base": 0.1}
        assert reader.metric_keys(run) == reader.metric_keys(job) == ()
        examples = reader.examples(run, step=40)
        assert [str(example.score) for example in examples] == ["nan", "1.0"]
        assert [row.run_id for row in reader.runs()] == [run]


def test_what_people_say(workspace: Workspace, lines: Lines) -> None:
    run = lines.queue(1)
    lines.journal.add(
        Tagged(run_id=run, tag="b"), Tagged(run_id=run, tag="a"), Tagged(run_id=run, tag="c"),
        Untagged(run_id=run, tag="c"), Noted(run_id=run, text="first"), Noted(run_id=run, text="second"),
        Renamed(run_id=run, name="other"), Tagged(run_id=run_id(77), tag="nobody"),
        RequestMade(request_id="r1", run_id=run, action="stop"),
    )  # fmt: skip
    lines.events(run, RequestAnswered(request_id="r1", ok=True, message="stopped", checkpoint_step=3))
    with read(workspace) as reader:
        row = reader.run(run)
        assert (row.tags, row.note, row.name) == (("a", "b"), "second", "other")
        request = reader.requests(run)[0]
        assert (request.action, request.ok, request.checkpoint_step) == ("stop", True, 3)


def test_collected_checkpoints_go_and_a_later_attempt_brings_them_back(workspace: Workspace, lines: Lines) -> None:
    run = lines.queue(1)

    def save(step: int, attempt: int) -> None:
        saved = CheckpointSaved(step=step, folder=f"checkpoints/step-{step:06d}", bytes=1, manifest_sha256="m",
                                reason="scheduled", seconds=0.0)  # fmt: skip
        lines.events(run, saved, attempt=attempt)

    save(10, 1)
    save(20, 1)
    lines.journal.add(CheckpointPinned(run_id=run, step=20), CheckpointsCollected(run_id=run, steps=(10,), bytes=1))
    with read(workspace) as reader:
        assert [(row.step, row.pinned) for row in reader.checkpoints(run)] == [(20, True)]
        assert [row.removed for row in reader.checkpoints(run, with_removed=True)] == [True, False]
    save(10, 2)
    with read(workspace) as reader:
        assert [row.step for row in reader.checkpoints(run)] == [10, 20]


def test_a_removed_run_leaves_nothing(workspace: Workspace, lines: Lines) -> None:
    run = lines.queue(1, name="gone")
    lines.events(run, started(), *steps(1, 3))
    lines.supervisor(run, HardwareSampled(cpu_percent=1.0))
    read(workspace).close()
    lines.journal.add(Removed(run_id=run, bytes=5))
    with read(workspace) as reader, open_writer(workspace) as writer:
        assert (reader.runs(), reader.removed_runs()) == ((), (run,))
        content = natural_content(writer.connection)
    assert {table for table, rows in content.items() if rows} == {"removed_runs"}
    with pytest.raises(RunError), open_reader(workspace) as reader:
        reader.find(run)


def test_a_copied_folder_is_taken_in(workspace: Workspace, lines: Lines, tmp_path: Path) -> None:
    elsewhere = Lines(Workspace(tmp_path / "elsewhere"))
    for number in range(1, 400):
        elsewhere.journal.add(Noted(run_id=run_id(number), text="makes the other journal long"))
    run = elsewhere.queue(1, name="copied")
    elsewhere.move(run, "queued", "starting", "running", "finished", outcome="crashed")
    elsewhere.move(run, "queued", "starting", "running", "finished", outcome="completed", attempt=2)
    elsewhere.events(run, started(), *steps(1, 3))
    workspace.runs.mkdir(parents=True)
    (elsewhere.workspace.runs / run).rename(workspace.runs / run)
    lines.folder(queued_event(run_id(2)))  # being queued at this moment: has no line of a worker yet
    with read(workspace) as reader:
        row = reader.run(run)
        assert (row.state, row.outcome, row.attempt, row.imported) == (State.FINISHED, Outcome.COMPLETED, 2, True)
        assert (row.step, [row.run_id for row in reader.runs()]) == (3, [run])


def test_lines_that_hold_nonsense_are_refused_and_the_rest_is_kept(workspace: Workspace, lines: Lines) -> None:
    run = lines.queue(1)
    hostile = [
        StepLogged(step=-1, values={"loss": 1.0}),
        StepLogged(step=2**70, values={"loss": 1.0}),
        StepLogged(step=1, values=["loss"]),  # type: ignore[arg-type]
        StepLogged(step=1, values={"loss": {"a": 1.0}}),  # type: ignore[dict-item]
        Finished(outcome=None, message="no outcome"),  # type: ignore[arg-type]
    ]
    lines.events(run, started(), *hostile, *steps(1, 2))
    with open_writer(workspace) as writer:
        report = ingest(writer, workspace)
    assert (report.refused_lines, report.lines) == (len(hostile), len(hostile) + 4)
    with open_reader(workspace) as reader:
        assert reader.series(run, "loss").steps == [1, 2]


def test_a_large_file_is_read_in_several_transactions(workspace: Workspace, lines: Lines, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    from core.store import streams

    run = lines.queue(1)
    lines.events(run, started(), *steps(1, 300))
    monkeypatch.setattr(streams.read_chunk, "__defaults__", (97,))  # every line is longer than a chunk
    with read(workspace) as reader:
        assert reader.series(run, "loss").steps == list(range(1, 301))
