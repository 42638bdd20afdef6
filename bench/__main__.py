"""All benchmarks, one table: `python -m bench [--only NAME …] [--json FILE]`; exits with 1 where a limit is broken."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import chart, log_cost, store, training_overhead
from bench.figures import Figure, finish, machine

BENCHMARKS: dict[str, Callable[[], list[Figure]]] = {
    "chart": chart.measure,
    "log_cost": log_cost.measure,
    "store": store.measure,
    "training_overhead": training_overhead.measure,
}


def main() -> int:
    """Run them one after another: two at once would measure each other."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="measure finetui on this machine")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS), help="some of them")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the figures as JSON too")
    chosen = parser.parse_args()
    print(machine())
    figures: list[Figure] = []
    for name in chosen.only:
        began = time.monotonic()
        print(f"{name} …", file=sys.stderr, flush=True)
        figures += BENCHMARKS[name]()
        print(f"{name} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return finish(figures, chosen.json)


if __name__ == "__main__":
    sys.exit(main())
