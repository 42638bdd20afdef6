"""Choose, order and count runs by what a person asks for; names of fields become SQL here and nowhere else.

A field is a column of the list, or a metric: `loss`, `loss.min`, `eval/test/loss.last`, `grad_norm.smooth` (the mean of
its last 20 points). Numbers that are not finite or were not measured match no comparison and sort last, whichever way.
This module must not parse what was typed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from core.store.rows import RunRow
from core.store.run_list import read_runs_by_key

SMOOTHED_POINTS = 20
TREND_POINTS = 8
_POINTS_OF_A_TREND_POINT = 3
_LARGEST_PAGE = 500  # SQLite's oldest limit of bound values is 999

OPERATORS = (":", "=", "!=", "<=", ">=", "<", ">")


@dataclass(frozen=True, slots=True)
class Condition:
    """One term: `operator` is one of OPERATORS; `:` is "contains" for texts. An empty `field` is any text of a run."""

    field: str
    operator: str
    value: str | float
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs, in which order, with which fields beside the usual ones (`columns`)."""

    kind: str | None = "train"
    conditions: tuple[Condition, ...] = ()
    sort: str = "created"
    descending: bool = True
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunPage:
    """Rows in order; extra fields and the trend of the loss by run id."""

    rows: tuple[RunRow, ...]
    values: dict[str, tuple[float | None, ...]]
    trends: dict[str, tuple[float, ...]]


TEXT_FIELDS = {
    "id": "runs.run_id",
    "name": "runs.name",
    "kind": "runs.kind",
    "state": "coalesce(runs.outcome, runs.state)",
    "method": "runs.method",
    "objective": "runs.objective",
    "model": "runs.model",
    "device": "runs.device",
    "note": "runs.note",
    "parent": "runs.resumed_from",
}
TAG_FIELD = "tag"
_OF_PROGRESS = "(SELECT {} FROM progress WHERE progress.run_key = runs.run_key)"
NUMBER_FIELDS = {
    "created": "runs.created_at",
    "attempt": "runs.attempt",
    "step": _OF_PROGRESS.format("step"),
    "max_steps": f"coalesce({_OF_PROGRESS.format('max_steps')}, runs.max_steps)",
    "best": f"CAST({_OF_PROGRESS.format('best_value')} AS REAL)",
    "best_step": _OF_PROGRESS.format("best_step"),
    "eval_loss": """(SELECT last FROM progress JOIN summaries ON summaries.run_key = progress.run_key
        AND summaries.key_id = progress.validation_key WHERE progress.run_key = runs.run_key)""",
    "eval_loss.min": """(SELECT minimum FROM progress JOIN summaries ON summaries.run_key = progress.run_key
        AND summaries.key_id = progress.validation_key WHERE progress.run_key = runs.run_key)""",
    "elapsed": """(SELECT elapsed_seconds FROM axes WHERE axes.run_key = runs.run_key ORDER BY step DESC LIMIT 1)""",
}
ALIASES = {
    "lr": "learning_rate.max",
    "learning_rate": "learning_rate.max",
    "tokens_per_second": "tokens_per_second.smooth",
    "memory": "device_memory_peak_bytes.max",
    "outcome": "state",
    "eval": "eval_loss",
    "tags": "tag",
}
_AGGREGATES = {"last": "last", "min": "minimum", "max": "maximum"}
_KEY_ID = "(SELECT key_id FROM metric_keys WHERE name = ?)"


def number_expression(field: str) -> tuple[str, list[str | float]]:
    """The SQL of a field as a number, with its bound values; any unknown name is a metric."""
    field = ALIASES.get(field, field)
    if field in NUMBER_FIELDS:
        return NUMBER_FIELDS[field], []
    name, _, aggregate = field.rpartition(".")
    if not name or aggregate not in (*_AGGREGATES, "smooth"):
        name, aggregate = field, "last"
    if aggregate == "smooth":
        inner = f"SELECT value FROM points WHERE run_key = runs.run_key AND key_id = {_KEY_ID} ORDER BY step DESC"
        return f"(SELECT avg(value) FROM ({inner} LIMIT {SMOOTHED_POINTS}))", [name]
    where = f"summaries.run_key = runs.run_key AND summaries.key_id = {_KEY_ID}"
    return f"(SELECT {_AGGREGATES[aggregate]} FROM summaries WHERE {where})", [name]


def _text_condition(expression: str, condition: Condition) -> tuple[str, list[str | float]]:
    value = str(condition.value).lower()
    if condition.operator == ":":
        return f"instr(lower(coalesce({expression}, '')), ?) > 0", [value]
    return f"lower(coalesce({expression}, '')) {condition.operator} ?", [value]


_ANY_TAG = "EXISTS (SELECT 1 FROM tags WHERE tags.run_key = runs.run_key AND {})"


def _tag_condition(condition: Condition) -> tuple[str, list[str | float]]:
    if condition.operator == "!=":
        inner, values = _text_condition("tag", Condition("tag", "=", condition.value))
        return f"NOT {_ANY_TAG.format(inner)}", values
    inner, values = _text_condition("tag", condition)
    return _ANY_TAG.format(inner), values


def _any_text(condition: Condition) -> tuple[str, list[str | float]]:
    parts = [_text_condition(TEXT_FIELDS[name], condition) for name in ("id", "name", "note", "method", "model")]
    parts.append(_tag_condition(condition))
    return f"({' OR '.join(part for part, _ in parts)})", [value for _, values in parts for value in values]


def _condition(condition: Condition) -> tuple[str, list[str | float]]:
    field = ALIASES.get(condition.field, condition.field)
    if not field:
        sql, values = _any_text(condition)
    elif field == TAG_FIELD:
        sql, values = _tag_condition(condition)
    elif field in TEXT_FIELDS:
        sql, values = _text_condition(TEXT_FIELDS[field], condition)
    else:
        expression, values = number_expression(field)
        sql = f"{expression} {'=' if condition.operator == ':' else condition.operator} ?"
        values = [*values, condition.value]
    return (f"NOT coalesce({sql}, 0)" if condition.negated else sql), values


def read_matching(connection: sqlite3.Connection, query: RunQuery, limit: int | None = None) -> list[int]:
    """The numbers (`run_key`) of all runs that fit, in the order asked for; `limit` gives the first ones sooner."""
    where: list[str] = [] if query.kind is None else ["runs.kind = ?"]
    values: list[str | float] = [] if query.kind is None else [query.kind]
    for condition in query.conditions:
        sql, bound = _condition(condition)
        where.append(sql)
        values += bound
    order, bound = _order(query)
    sql = f"SELECT runs.run_key FROM runs {'WHERE ' if where else ''}{' AND '.join(where)} ORDER BY {order} LIMIT ?"
    return [row[0] for row in connection.execute(sql, [*values, *bound, -1 if limit is None else limit])]


def _order(query: RunQuery) -> tuple[str, list[str | float]]:
    direction = "DESC" if query.descending else "ASC"
    newest = f"runs.created_at {direction}, runs.run_id {direction}"
    field = ALIASES.get(query.sort, query.sort)
    if field == "created":
        return newest, []
    if field in TEXT_FIELDS:
        expression, bound = f"lower({TEXT_FIELDS[field]})", list[str | float]()
    else:
        expression, bound = number_expression(field)
    return f"{expression} IS NULL, {expression} {direction}, {newest}", [*bound, *bound]


def read_page(connection: sqlite3.Connection, run_keys: Sequence[int], columns: Sequence[str]) -> RunPage:
    """The runs of these numbers in their order, with more fields and the trend of the loss; removed ones are left out.

    Raises:
        ValueError: more runs are asked for than one page holds.
    """
    if len(run_keys) > _LARGEST_PAGE:
        raise ValueError(f"a page holds at most {_LARGEST_PAGE} runs")
    found = read_runs_by_key(connection, run_keys)
    rows = tuple(found[key] for key in run_keys if key in found)
    return RunPage(rows, _values(connection, found, columns), _trends(connection, found))


def _values(
    connection: sqlite3.Connection, found: dict[int, RunRow], columns: Sequence[str]
) -> dict[str, tuple[float | None, ...]]:
    if not columns or not found:
        return {}
    expressions = [number_expression(column) for column in columns]
    bound = [value for _, values in expressions for value in values]
    marks = ",".join("?" * len(found))
    sql = f"SELECT runs.run_key, {', '.join(sql for sql, _ in expressions)} FROM runs WHERE run_key IN ({marks})"
    return {found[row[0]].run_id: tuple(row[1:]) for row in connection.execute(sql, [*bound, *found])}


def _trends(connection: sqlite3.Connection, found: dict[int, RunRow]) -> dict[str, tuple[float, ...]]:
    """The loss at a few places of each run: a handful of seeks, whatever the run's length."""
    key = connection.execute("SELECT key_id FROM metric_keys WHERE name = 'loss'").fetchone()
    if key is None:
        return {}
    sql = f"""SELECT avg(value) FROM (SELECT value FROM points WHERE run_key = ? AND key_id = ? AND step >= ?
              AND flag = 0 ORDER BY step LIMIT {_POINTS_OF_A_TREND_POINT})"""
    trends: dict[str, tuple[float, ...]] = {}
    for run_key, row in found.items():
        last = row.step or 0
        places = [last * index // TREND_POINTS for index in range(TREND_POINTS)] if last else []
        means = (connection.execute(sql, (run_key, key[0], place)).fetchone()[0] for place in places)
        trends[row.run_id] = tuple(mean for mean in means if mean is not None)
    return trends
