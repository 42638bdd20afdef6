"""One reading of the machine while a run lives; stored with the run, never used to judge whether it lives."""

from __future__ import annotations

from dataclasses import dataclass

from core.events.lines import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareSampled(Event):
    """Every field is None where it was not measured (no GPU, no permission)."""

    gpu_uuid: str | None = None
    gpu_name: str | None = None
    gpu_utilisation_percent: float | None = None
    gpu_memory_used_bytes: int | None = None
    gpu_memory_total_bytes: int | None = None
    gpu_power_watts: float | None = None
    gpu_temperature_celsius: float | None = None
    cpu_percent: float | None = None
    host_memory_used_bytes: int | None = None
    host_memory_total_bytes: int | None = None
    worker_memory_bytes: int | None = None
    disk_free_bytes: int | None = None
