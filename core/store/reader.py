"""The one way to read the store: runs, their curves and everything around them, as frozen rows.

A Reader changes nothing and holds no transaction between calls. It follows a database that is made, migrated or rebuilt
while it is open. It must not be shared between threads; each thread opens its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeVar

from core.errors import RunError, StoreNewerError
from core.paths import Workspace
from core.store import history, run_list, run_query, series
from core.store.database import BUSY_SECONDS, connect_reader, has_rollback_journal
from core.store.failures import explained
from core.store.rows import (
    AnswerRow,
    AttemptRow,
    Axis,
    CheckpointRow,
    ChoiceRow,
    DatasetVersionRow,
    EvaluationRow,
    ExampleRow,
    HealthRow,
    PlanRow,
    RequestRow,
    RunRow,
    SampleRow,
    Series,
    SummaryRow,
    TransitionRow,
)
from core.store.run_query import RunPage, RunQuery

Result = TypeVar("Result")


def open_reader(workspace: Workspace, timeout_seconds: float = BUSY_SECONDS) -> Reader:
    """Open the workspace's store for reading; a missing database reads as empty. `Reader.warning` says what is unusual.

    Raises:
        StoreBusyError: it is being recovered after a kill; trying again helps.
        StoreError, WorkspaceError: it is damaged, or can't be opened.
    """
    return Reader(workspace, timeout_seconds)


class Reader:
    """Reads one workspace's store. Every method may raise StoreError and its kin; those with a run id also RunError."""

    def __init__(self, workspace: Workspace, timeout_seconds: float = BUSY_SECONDS) -> None:
        self.workspace = workspace
        self._timeout_seconds = timeout_seconds
        self._generation = 0
        self._connection, self.warning = connect_reader(workspace, timeout_seconds)
        self._file = self._identity()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- change

    def data_version(self) -> int:
        """A number that differs from the last call's of this Reader when the store may have changed; 10 µs."""
        self._reopen_if_replaced()
        version = self._read(lambda connection: int(connection.execute("PRAGMA data_version").fetchone()[0]))
        return (self._generation << 32) + version

    def journal_seq(self) -> int:
        """The seq of the last journal line that the store took in; 0 for none."""
        return self._read(history.read_journal_seq)

    def damaged_lines(self) -> int:
        """Lines in all files that could not be used because they are damaged."""
        return self._read(history.read_damaged_lines)

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self.workspace.database.stat()
        except OSError:
            return None
        return (status.st_dev, status.st_ino) if status.st_size else None

    def _reopen_if_replaced(self) -> None:
        """A rebuild puts a new file in the old one's place; a first run makes one where none was."""
        now = self._identity()
        if now == self._file:
            return
        connection, warning = connect_reader(self.workspace, self._timeout_seconds)
        self._connection.close()
        self._connection, self.warning, self._file = connection, warning, now
        self._generation += 1

    def _read(self, query: Callable[[sqlite3.Connection], Result]) -> Result:
        self._reopen_if_replaced()
        try:
            return query(self._connection)
        except ValueError as error:  # a state, number or JSON text that nobody wrote
            raise explained(error, self.workspace.database) from error
        except sqlite3.Error as error:
            if self.warning and "no such" in str(error):
                raise StoreNewerError(self.warning, why=str(error), try_this="use the newer finetui") from error
            if not self._recovered():
                raise explained(error, self.workspace.database) from error
        try:
            return query(self._connection)
        except (sqlite3.Error, ValueError) as error:
            raise explained(error, self.workspace.database) from error

    def _recovered(self) -> bool:
        """Whether opening anew was worth a try: a writer was killed since this Reader was opened."""
        if not has_rollback_journal(self.workspace.database):
            return False
        self._connection.close()
        self._connection, self.warning = connect_reader(self.workspace, self._timeout_seconds)
        self._generation += 1
        return True

    # --- runs

    def runs(
        self,
        kind: str | None = "train",
        limit: int | None = None,
        before: RunRow | None = None,
        states: Sequence[str] | None = None,
    ) -> tuple[RunRow, ...]:
        """Runs of a kind (None: all kinds), newest first; `before` is the last row of the page above."""
        return self._read(lambda connection: run_list.read_runs(connection, kind, limit, before, states))

    def matching(self, query: RunQuery, limit: int | None = None) -> list[int]:
        """Numbers of the runs that a query asks for, in its order, for `page`; they mean nothing in another store."""
        return self._read(lambda connection: run_query.read_matching(connection, query, limit))

    def page(self, run_keys: Sequence[int], columns: Sequence[str] = ()) -> RunPage:
        """The runs of these numbers (at most 500), with more fields (`core.store.run_query`) and their loss's trend."""
        return self._read(lambda connection: run_query.read_page(connection, run_keys, columns))

    def run_number(self, run_id: str) -> int | None:
        """The number of a run among those that `matching` gives; None where there is no such run."""
        return self._read(lambda connection: run_list.read_run_key(connection, run_id))

    def run(self, run_id: str) -> RunRow:
        """One run.

        Raises:
            RunError: there is none with this id.
        """
        row = self._read(lambda connection: run_list.read_run(connection, run_id))
        if row is None:
            raise _unknown(run_id)
        return row

    def find(self, prefix: str) -> str:
        """The id of the run that a person means: an id, a unique prefix of one, or a unique name.

        Raises:
            RunError: no run or several fit.
        """
        found = self._read(lambda connection: run_list.find_runs(connection, prefix))
        if not found:
            raise _unknown(prefix)
        if len(found) > 1:
            named = ", ".join(f"{run_id} ({name})" for run_id, name in found[:5])
            more = " and more" if len(found) > 5 else ""
            raise RunError(f"{prefix!r} fits several runs: {named}{more}", try_this="give more of the id")
        return found[0][0]

    def queue(self, *, with_held: bool = False) -> tuple[RunRow, ...]:
        """Waiting runs in the order in which they start; held ones only where asked for."""
        return self._read(lambda connection: run_list.read_queue(connection, with_held))

    def removed_runs(self) -> tuple[str, ...]:
        """Ids of runs that were removed."""
        return self._read(run_list.read_removed)

    # --- one run

    def _of_run(self, run_id: str, query: Callable[[sqlite3.Connection, int], Result]) -> Result:
        def ask(connection: sqlite3.Connection) -> Result:
            run_key = run_list.read_run_key(connection, run_id)
            if run_key is None:
                raise _unknown(run_id)
            return query(connection, run_key)

        return self._read(ask)

    def recipe_text(self, run_id: str) -> str | None:
        """The resolved recipe as it was queued."""
        return self._of_run(run_id, history.read_recipe)

    def environment(self, run_id: str) -> dict[str, object] | None:
        """The content of environment.json; None before the worker wrote it."""
        return self._of_run(run_id, history.read_environment)

    def dataset_versions(self, run_id: str) -> tuple[DatasetVersionRow, ...]:
        """The data files that the run used."""
        return self._of_run(run_id, history.read_dataset_versions)

    def plan(self, run_id: str) -> PlanRow | None:
        """The worker's plan; None before it was made."""
        return self._of_run(run_id, history.read_plan)

    def choices(self, run_id: str) -> tuple[ChoiceRow, ...]:
        """Values that were chosen, with their reasons."""
        return self._of_run(run_id, history.read_choices)

    def transitions(self, run_id: str) -> tuple[TransitionRow, ...]:
        """Every move of the run, oldest first."""
        return self._of_run(run_id, history.read_transitions)

    def attempts(self, run_id: str) -> tuple[AttemptRow, ...]:
        """The run's workers, first to last."""
        return self._of_run(run_id, history.read_attempts)

    def checkpoints(self, run_id: str, *, with_removed: bool = False) -> tuple[CheckpointRow, ...]:
        """Published checkpoints by step; removed ones only where asked for."""
        return self._of_run(run_id, lambda connection, key: history.read_checkpoints(connection, key, with_removed))

    def evaluations(self, run_id: str) -> tuple[EvaluationRow, ...]:
        """Every evaluation of this run's weights, by whichever run it was made, by step."""
        return self._of_run(run_id, lambda connection, _: history.read_evaluations(connection, run_id))

    def examples(self, run_id: str, step: int | None = None, set_name: str | None = None) -> tuple[ExampleRow, ...]:
        """Examples of the evaluations of this run's weights."""
        return self._of_run(run_id, lambda connection, _: history.read_examples(connection, run_id, step, set_name))

    def answers(self, run_id: str) -> tuple[AnswerRow, ...]:
        """Answers to the fixed prompts, by step."""
        return self._of_run(run_id, history.read_answers)

    def health(self, run_id: str) -> tuple[HealthRow, ...]:
        """What the health rules said, oldest first."""
        return self._of_run(run_id, history.read_health)

    def requests(self, run_id: str) -> tuple[RequestRow, ...]:
        """Requests of this run with their answers, oldest first."""
        return self._of_run(run_id, history.read_requests)

    def hardware(self, run_id: str, after: float = float("-inf"), limit: int | None = None) -> tuple[SampleRow, ...]:
        """Readings of the machine since `after` (seconds since 1970), oldest first; the last `limit` of them."""
        return self._of_run(run_id, lambda connection, key: history.read_hardware(connection, key, after, limit))

    # --- curves

    def metric_keys(self, run_id: str) -> tuple[str, ...]:
        """The names of the run's metrics."""
        return tuple(summary.key for summary in self.summaries(run_id))

    def summaries(self, run_id: str) -> tuple[SummaryRow, ...]:
        """Last, least and greatest value of each metric."""
        return self._of_run(run_id, series.read_summaries)

    def series(self, run_id: str, key: str, after_step: int = -1) -> Series:
        """One curve behind `after_step`; start again from -1 when the run's attempt has changed."""
        return self._of_run(run_id, lambda connection, run: series.read_series(connection, run, key, after_step))

    def axis(self, run_id: str, after_step: int = -1) -> Axis:
        """Time, epoch and tokens of the logged steps."""
        return self._of_run(run_id, lambda connection, run: series.read_axis(connection, run, after_step))


def _unknown(run_id: str) -> RunError:
    return RunError(f"no run {run_id!r}", try_this="`finetui ls` lists the runs of this workspace")
