"""One measured figure, and the table and JSON in which all are shown; must not measure anything."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`limit` is the largest value that passes, None where a peer or a part is shown for comparison only."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def passes(self) -> bool | None:
        """Whether it keeps its limit; None without one."""
        return None if self.limit is None else self.value <= self.limit


def machine() -> str:
    """Where the figures were measured, in one line."""
    load = os.getloadavg()[0]
    python = platform.python_version()
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {python}, load {load:.1f} at the start"


def print_table(figures: Sequence[Figure]) -> None:
    """Figures as aligned columns on stdout."""
    rows = [("", "measured", "limit", "", "")]
    for figure in figures:
        limit = "" if figure.limit is None else f"≤ {_number(figure.limit)} {figure.unit}"
        verdict = {None: "", True: "pass", False: "FAIL"}[figure.passes]
        rows.append((figure.what, f"{_number(figure.value)} {figure.unit}", limit, verdict, figure.note))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].rjust(widths[2]), row[3].ljust(widths[3])]
        print("  ".join([*cells, row[4]]).rstrip())


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def finish(figures: Sequence[Figure], json_file: Path | None) -> int:
    """Print the table, write the JSON if asked, and return the exit status: 1 where a limit is broken."""
    print_table(figures)
    if json_file is not None:
        body = {"machine": machine(), "figures": [{**asdict(figure), "passes": figure.passes} for figure in figures]}
        json_file.write_text(json.dumps(body, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return 1 if any(figure.passes is False for figure in figures) else 0


def run_alone(description: str, measure: Callable[[], list[Figure]]) -> None:
    """The `main` of one benchmark: measure, print, exit."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the figures as JSON too")
    chosen = parser.parse_args()
    print(machine())
    sys.exit(finish(measure(), chosen.json))
