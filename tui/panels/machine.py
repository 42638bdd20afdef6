"""The machine under a run as a few gauges: utilisation, memory, power, temperature; CPU, RAM and disk. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.store.rows import SampleRow
from tui.format import bytes_text, glyphs, plain
from tui.widgets.lines import Part

Gauge = tuple[str, Callable[[SampleRow], float | None], Callable[[SampleRow], str]]
LABEL_CELLS = 5
VALUE_CELLS = 13


def title(samples: Sequence[SampleRow]) -> list[Part]:
    """The GPU's name, or that there is none."""
    if not samples:
        return [(" not measured yet", "dim")]
    name = samples[-1].gpu_name
    if name is None:
        return [(" no GPU: CPU", "dim")]
    return [(f" {plain(name).removeprefix('NVIDIA ').removeprefix('GeForce ')}", "")]


def lines(samples: Sequence[SampleRow], width: int) -> list[list[Part]]:
    """One line a gauge: its name, its history, its last value."""
    if not samples:
        return []
    last = samples[-1]
    history_cells = max(0, width - LABEL_CELLS - VALUE_CELLS)
    shown = []
    for label, share, words in _GAUGES:
        now = share(last)
        if now is None and not words(last):
            continue
        history = "".join(_level(share(sample)) for sample in samples[-history_cells:]) if history_cells else ""
        tone = "warn" if label in ("vram", "ram") and now is not None and now > 0.95 else ""
        shown.append([(label.ljust(LABEL_CELLS), "dim"), (history.ljust(history_cells), "series-2"),
                      (" " + words(last).rjust(VALUE_CELLS - 1), tone)])  # fmt: skip
    return shown


def _level(share: float | None) -> str:
    if share is None:
        return " "
    levels = glyphs().levels
    return levels[min(len(levels) - 1, max(0, int(share * len(levels))))]


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _gpu(sample: SampleRow) -> str:
    if sample.gpu_utilisation_percent is None:
        return ""
    heat = f" {sample.gpu_temperature_celsius:.0f}C" if sample.gpu_temperature_celsius is not None else ""
    return f"{sample.gpu_utilisation_percent:.0f}%{heat}"


def _of(part: float | None, whole: float | None) -> str:
    return "" if part is None else f"{bytes_text(part)}/{bytes_text(whole)}" if whole else bytes_text(part)


_GAUGES: tuple[Gauge, ...] = (
    ("util", lambda one: _share(one.gpu_utilisation_percent, 100.0), _gpu),
    ("vram", lambda one: _share(one.gpu_memory_used_bytes, one.gpu_memory_total_bytes),
     lambda one: _of(one.gpu_memory_used_bytes, one.gpu_memory_total_bytes)),
    ("cpu", lambda one: _share(one.cpu_percent, 100.0),
     lambda one: "" if one.cpu_percent is None else f"{one.cpu_percent:.0f}%"),
    ("ram", lambda one: _share(one.host_memory_used_bytes, one.host_memory_total_bytes),
     lambda one: _of(one.host_memory_used_bytes, one.host_memory_total_bytes)),
    ("watt", lambda one: None, lambda one: "" if one.gpu_power_watts is None else f"{one.gpu_power_watts:.0f} W"),
    ("work", lambda one: _share(one.worker_memory_bytes, one.host_memory_total_bytes),
     lambda one: "" if one.worker_memory_bytes is None else f"{bytes_text(one.worker_memory_bytes)}"),
    ("disk", lambda one: None,
     lambda one: "" if one.disk_free_bytes is None else f"{bytes_text(one.disk_free_bytes)} free"),
)  # fmt: skip
"""Name, share of the whole (for the history), words. What was not measured is left out."""
