"""`make reliability`: what finetui promises about kills, full disks and clocks, counted, as one table.

    python -m tests.reliability [--kills 500] [--supervisor-kills 100] [--real-kills 20] [--only NAME …]

The exit status is 0 when every line holds. Needs Linux; the full disk needs user namespaces or root.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.reliability import clock, full_disk, kills, real_worker, stores
from tests.reliability.table import Line, render

METHODS = ("full", "lora", "qlora")


def main() -> int:
    """Run the checks that were chosen and print the table."""
    chosen = _parse()
    os.umask(0o077)
    os.environ.update(
        OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false"
    )
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="finetui-reliability-") as scratch:
        os.environ["XDG_RUNTIME_DIR"] = scratch
        root = Path(scratch)
        for name, check in _checks(root, chosen).items():
            if not chosen.only or name in chosen.only:
                line = check()
                sys.stderr.write(render([line]) + "\n")
                lines.append(line)
    print(f"seed {chosen.seed}, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    print(render(lines))
    return 0 if all(line.holds for line in lines) else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=500, help="SIGKILLs of the torch-free worker")
    parser.add_argument("--supervisor-kills", type=int, default=100)
    parser.add_argument("--real-kills", type=int, default=20, help="SIGKILLs of a real worker, for each method")
    parser.add_argument("--pages", type=int, default=60, help="free pages at which the disk is full")
    parser.add_argument("--each", type=int, default=50, help="runs queued by each of four processes")
    parser.add_argument("--seed", type=int, default=20261120)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    return parser.parse_args()


def _checks(root: Path, chosen: argparse.Namespace) -> dict[str, Callable[[], Line]]:
    folders = {name: root / name for name in ("workers", "supervisors", "full", "clock", "four", "readers")}
    for name in ("workers", "supervisors", "clock", "four"):
        folders[name].mkdir()

    def left_behind() -> list[Path]:
        return [
            folders[n] for n in ("workers", "supervisors", "clock", "four") if (folders[n] / "experiments.db").exists()
        ]

    checks: dict[str, Callable[[], Line]] = {
        "workers": lambda: kills.kill_workers(folders["workers"], chosen.kills, chosen.seed),
        "supervisors": lambda: kills.kill_supervisors(folders["supervisors"], chosen.supervisor_kills, chosen.seed),
        "clock": lambda: clock.turn_back(folders["clock"], runs=10),
        "four": lambda: stores.four_at_once(folders["four"], chosen.each),
        "full_disk": lambda: full_disk.fill_at_every_page(folders["full"], chosen.pages),
        "readers": lambda: stores.readers_recover(left_behind()[0], folders["readers"], kills=50, seed=chosen.seed),
        "rebuild": lambda: stores.rebuild_equals(left_behind()),
    }
    for method in METHODS:
        checks[f"real_{method}"] = lambda m=method: real_worker.interrupt(  # type: ignore[misc]
            root / f"real-{m}", m, chosen.real_kills, chosen.seed
        )
    return checks


if __name__ == "__main__":
    sys.exit(main())
