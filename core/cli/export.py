"""`finetui export`: a run's metrics as a file for another program; its path goes to stdout."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.cli import output
from core.cli.command import Command
from core.cli.reading import find_run, open_store

FORMATS = ("csv", "parquet", "tensorboard")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's id, the start of it, or its name")
    parser.add_argument("--format", choices=FORMATS, default="csv", help="csv (default), parquet or tensorboard")
    parser.add_argument(
        "--output", metavar="PATH", help="the file, or TensorBoard's folder (default: the run's id, in this folder)"
    )
    parser.add_argument("--force", action="store_true", help="replace what is there")


def export(arguments: argparse.Namespace) -> int:
    """Write the file."""
    from core.exporters import csv, parquet, tensorboard
    from core.exporters.points import RunPoints

    with open_store(arguments) as (_, reader):
        run = reader.run(find_run(reader, arguments.run))
        points = RunPoints(reader, run.run_id)
        suffix = "-tensorboard" if arguments.format == "tensorboard" else f".{arguments.format}"
        target = Path(arguments.output or f"{run.run_id}{suffix}").expanduser()
        if arguments.format == "csv":
            count = csv.write(points, target, force=arguments.force)
        elif arguments.format == "parquet":
            count = parquet.write(points, target, force=arguments.force)
        else:
            count = tensorboard.write(points, target, created_at=run.created_at, force=arguments.force)
    if arguments.json:
        output.print_json({"id": run.run_id, "format": arguments.format, "path": str(target), "points": count})
    else:
        output.print_text(str(target))
        output.narrate(f"{count} points of {run.name}")
    return 0


COMMANDS = {"export": Command(_configure, export)}
