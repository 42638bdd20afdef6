"""Our side of bench/training_overhead.py: finetui's own worker, with a gate before each step and nothing else changed.

Started by a real supervisor in place of core.worker; the pipes' folder is in the job's arguments under `gate`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bench.lockstep import Gate, gate_callback
from core.paths import RunPaths
from core.runs.folder import read_job


def main() -> int:
    """The worker's own main, its trainer given one more callback."""
    from core.worker import __main__ as worker
    from core.worker.jobs import train
    from core.worker.objectives import sft

    folder = Path(str(read_job(RunPaths(Path(sys.argv[1]).resolve())).arguments["gate"]))
    make_trainer = sft.make_trainer

    def make_gated(*arguments: Any, **settings: Any) -> sft.SftTrainer:
        trainer = make_trainer(*arguments, **settings)
        trainer.add_callback(gate_callback(Gate(folder)))
        return trainer

    vars(train)["make_trainer"] = make_gated
    return worker.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
