"""Parquet, one row group a metric: for pandas, polars, DuckDB. Non-finite values stay what they are."""

from __future__ import annotations

from pathlib import Path

from core.exporters.points import RunPoints
from core.exporters.target import new_file


def write(points: RunPoints, target: Path, *, force: bool = False) -> int:
    """Write all points to `target`; returns how many. Columns as `core.exporters.points.COLUMNS`.

    Raises:
        UsageError, WorkspaceError: see `core.exporters.target.new_file`.
        RunError: the run has logged nothing.
    """
    import pyarrow as pa  # half a second that no other command pays
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            pa.field("step", pa.int64(), nullable=False),
            pa.field("key", pa.string(), nullable=False),
            pa.field("value", pa.float64(), nullable=False),
            pa.field("epoch", pa.float64()),
            pa.field("tokens", pa.int64()),
            pa.field("seconds", pa.float64()),
        ],
        metadata={"finetui.run": points.run_id},
    )
    count = 0
    points.keys()  # an unknown or empty run is said before a file is made
    with new_file(target, force=force) as path, pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for key, rows in points.by_key():
            name = key.encode("utf-8", "backslashreplace").decode("utf-8")
            columns = [
                [row.step for row in rows], [name] * len(rows), [row.value for row in rows],
                [row.epoch for row in rows], [row.tokens for row in rows], [row.seconds for row in rows],
            ]  # fmt: skip
            arrays = [pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(rows)
    return count
