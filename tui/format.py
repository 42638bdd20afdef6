"""Rows of the store as the short words, glyphs and cells that screens show; the only place that chooses a glyph.

It must not know a widget. Text from outside passes `safe_line` here. A tone (live, good, bad, warn, dim)
is a name that the theme gives a colour; no tone carries a meaning that shape or word does not carry too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from core.states import WITH_PROCESS, Outcome, State
from core.store.rows import RunRow, SampleRow
from core.text import display_width, safe_line
from core.units import NOT_MEASURED, format_bytes, format_duration, format_percent, format_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """The signs of one repertoire; each takes one cell."""

    live: str
    waiting: str
    starting: str
    held: str
    done: str
    failed: str
    stopped: str
    cursor: str
    mark: str
    best: str
    full: str
    empty: str
    rule: str
    dot: str
    up: str
    down: str
    ellipsis: str
    dash: str
    levels: str


UNICODE = Glyphs(
    live="●", waiting="○", starting="◌", held="‖", done="✓", failed="✗", stopped="■", cursor="▸", mark="+", best="★",
    full="▓", empty="░", rule="─", dot="·", up="↑", down="↓", ellipsis="…", dash="—", levels="▁▂▃▄▅▆▇█",
)  # fmt: skip
ASCII = Glyphs(
    live="*", waiting="o", starting="~", held="=", done="v", failed="x", stopped="#", cursor=">", mark="+", best="!",
    full="#", empty=".", rule="-", dot="-", up="^", down="v", ellipsis="~", dash="-", levels="_.,-~=^#",
)  # fmt: skip


class _Choice:
    """Which repertoire this process uses."""

    glyphs = UNICODE


def use_ascii(on: bool) -> None:
    """Draw with ASCII only, for terminals that show other signs wide or not at all."""
    _Choice.glyphs = ASCII if on else UNICODE


def ascii_only() -> bool:
    """Whether only ASCII is drawn."""
    return _Choice.glyphs is ASCII


def glyphs() -> Glyphs:
    """The signs to draw with."""
    return _Choice.glyphs


_OUTCOMES = {
    Outcome.COMPLETED: ("done", "done", "good"),
    Outcome.STOPPED: ("stopped", "stopped", "dim"),
    Outcome.EARLY_STOPPED: ("done", "early stop", "good"),
    Outcome.OUT_OF_MEMORY: ("failed", "OOM", "bad"),
    Outcome.DIVERGED: ("failed", "diverged", "bad"),
    Outcome.CRASHED: ("failed", "crashed", "bad"),
    Outcome.COULD_NOT_START: ("failed", "no start", "bad"),
    Outcome.LOST: ("failed", "lost", "bad"),
}
_STATES = {
    State.QUEUED: ("waiting", "queued", "dim"),
    State.HELD: ("held", "held", "warn"),
    State.STARTING: ("starting", "starting", "live"),
    State.RUNNING: ("live", "live", "live"),
    State.PAUSING: ("live", "pausing", "warn"),
    State.PAUSED: ("held", "paused", "warn"),
    State.STOPPING: ("live", "stopping", "warn"),
}


def state_words(row: RunRow) -> tuple[str, str]:
    """(sign and word, tone) of where a run stands."""
    sign, word, tone = _OUTCOMES[row.outcome] if row.outcome is not None else _STATES[row.state]
    return f"{getattr(glyphs(), sign)} {word}", tone


def is_live(row: RunRow) -> bool:
    """Whether the run has a process."""
    return row.state in WITH_PROCESS


def number(value: float | None, digits: int = 4) -> str:
    """A metric's value in at most eight cells."""
    if value is None:
        return glyphs().dash
    return format_value(value, digits)


def text_or_dash(text: str) -> str:
    """Text of `core.units` with this repertoire's dash."""
    return text.replace(NOT_MEASURED, glyphs().dash)


def bytes_text(count: float | None) -> str:
    """Bytes as 21.3G, short enough for a column."""
    if count is None:
        return glyphs().dash
    return format_bytes(count).replace(" ", "").replace("iB", "").removesuffix("B") or "0"


def duration(seconds: float | None) -> str:
    """A duration; a dash where there is none."""
    return text_or_dash(format_duration(seconds))


def progress_bar(share: float, width: int) -> str:
    """A bar of `width` cells."""
    filled = max(0, min(width, round(share * width)))
    return glyphs().full * filled + glyphs().empty * (width - filled)


def share_done(row: RunRow) -> float | None:
    """Steps done of all, as a share of 1."""
    return row.step / row.max_steps if row.step is not None and row.max_steps else None


def percent(share: float | None) -> str:
    """A share as 41%."""
    return glyphs().dash if share is None else format_percent(share).split(".")[0] + "%"


def sparkline(values: Sequence[float], width: int) -> str:
    """Values as a line of bars, lowest to highest; values that are not finite are left out."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    low, high = min(finite), max(finite)
    levels = glyphs().levels
    picked = [finite[index * len(finite) // width] for index in range(width)] if len(finite) > width else finite
    span = high - low
    return "".join(
        levels[len(levels) // 2 if span <= 0 else min(len(levels) - 1, int((value - low) / span * len(levels)))]
        for value in picked
    )


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Harmless text of exactly `width` cells: cut with an ellipsis, or padded."""
    if width <= 0:
        return ""
    line = text if text.isascii() and text.isprintable() else safe_line(text, max(width * 2, 8))
    cells = len(line) if line.isascii() else display_width(line)
    if cells > width:
        line = _cut(line, width - 1) + glyphs().ellipsis
        cells = display_width(line)
    padding = " " * (width - cells)
    return padding + line if right else line + padding


def _cut(line: str, width: int) -> str:
    kept = 0
    for index, character in enumerate(line):
        kept += display_width(character)
        if kept > width:
            return line[:index]
    return line


def plain(text: str) -> str:
    """Foreign text as one harmless line, in this repertoire where it is ASCII."""
    line = safe_line(text, 2000)
    return line.encode("ascii", "backslashreplace").decode("ascii") if ascii_only() else line


def clock(seconds_since_1970: float) -> str:
    """A moment as 14:02 today, else as 2025-11-20."""
    moment = time.localtime(seconds_since_1970)
    today = time.localtime()
    return time.strftime("%H:%M" if moment[:3] == today[:3] else "%Y-%m-%d", moment)


def hardware_words(sample: SampleRow) -> list[str]:
    """The machine's last reading in short pieces, the most telling first; what was not measured is left out."""
    pieces: list[str] = []
    if sample.gpu_name is not None:
        name = safe_line(sample.gpu_name, 40).removeprefix("NVIDIA ").removeprefix("GeForce ")
        pieces.append(f"GPU {name}")
        if sample.gpu_utilisation_percent is not None:
            pieces[0] += f" {sample.gpu_utilisation_percent:.0f}%"
    if sample.gpu_memory_used_bytes is not None:
        pieces.append(f"{bytes_text(sample.gpu_memory_used_bytes)}/{bytes_text(sample.gpu_memory_total_bytes)}")
    if sample.gpu_temperature_celsius is not None:
        pieces.append(f"{sample.gpu_temperature_celsius:.0f}°C".replace("°", "" if ascii_only() else "°"))
    if sample.gpu_power_watts is not None:
        pieces.append(f"{sample.gpu_power_watts:.0f}W")
    if sample.cpu_percent is not None:
        pieces.append(f"CPU {sample.cpu_percent:.0f}%")
    if sample.host_memory_used_bytes is not None:
        pieces.append(f"RAM {bytes_text(sample.host_memory_used_bytes)}/{bytes_text(sample.host_memory_total_bytes)}")
    if sample.disk_free_bytes is not None:
        pieces.append(f"disk {bytes_text(sample.disk_free_bytes)} free")
    return pieces


def live_words(row: RunRow, width: int) -> str:
    """One line about a run that has a process: name, steps, bar, loss."""
    sign, _ = state_words(row)
    share = share_done(row)
    steps = f"{row.step if row.step is not None else glyphs().dash}/{row.max_steps or '?'}"
    bar = f" {progress_bar(share, max(6, min(20, width // 5)))} {percent(share)}" if share is not None else ""
    phase = f"  {plain(row.phase)}" if row.phase and row.phase != "training" else ""
    loss = f"  loss {number(row.loss)}" if row.loss is not None else ""
    return f"{sign} {row.run_id} {plain(row.name)}  {steps}{bar}{loss}{phase}"
