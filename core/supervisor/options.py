"""How a supervisor was started: what a test, a bench or an external trainer may change, with its ordinary values."""

from __future__ import annotations

from dataclasses import dataclass

from core.runs.launch import WORKER_MODULE

TIDY_UP_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`worker_module` is what is started as worker: another module that speaks the same protocol. `boot_id` is this
    boot's, None for the kernel's own word. A worker that has said its last word and still lives `tidy_up_seconds` later
    is ended: it would keep its device from everything that waits."""

    worker_module: str = WORKER_MODULE
    boot_id: str | None = None
    poll_seconds: float = 0.1
    samples_hardware: bool = True
    tidy_up_seconds: float = TIDY_UP_SECONDS
