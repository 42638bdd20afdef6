"""`finetui plot`: one curve drawn with plotext, which raises on infinite values and passes escapes in titles through.

So values that are not finite are marked on the axis instead of drawn, and foreign text never gets into plotext.
"""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from core.cli import output
from core.cli.command import Command, non_negative
from core.cli.json_values import curve
from core.cli.metrics import require_keys
from core.cli.reading import find_run, open_store
from core.errors import RunError
from core.text import safe_line

if TYPE_CHECKING:
    from core.store.rows import Series


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's id, the start of it, or its name")
    parser.add_argument("metric", metavar="METRIC", help="loss, grad_norm, eval/<set>/<metric>, …")
    parser.add_argument("--width", type=non_negative, metavar="COLUMNS", help="default: the terminal's")
    parser.add_argument("--height", type=non_negative, metavar="ROWS", default=20, help="default: 20")


def plot(arguments: argparse.Namespace) -> int:
    """Draw the curve; `--json` gives its numbers."""
    with open_store(arguments) as (_, reader):
        run_id = find_run(reader, arguments.run)
        require_keys(reader, run_id, [arguments.metric])
        series = reader.series(run_id, arguments.metric)
        name = reader.run(run_id).name
    if arguments.json:
        output.print_json({arguments.metric: curve(series.steps, series.values)})
        return 0
    width = max(20, arguments.width or output.terminal_width())
    drawn = draw(series, width, max(5, arguments.height - 1), output.colour_is_wanted())
    output.print_text(safe_line(f"{run_id} {arguments.metric} · {name}", width))
    output.print_own_text(drawn)
    broken = [step for step, value in zip(series.steps, series.values, strict=True) if not math.isfinite(value)]
    if broken:
        shown = ", ".join(map(str, broken[:8])) + (", …" if len(broken) > 8 else "")
        output.narrate(
            f"not a finite number at {len(broken)} step{'s' if len(broken) != 1 else ''} (marked ×): {shown}"
        )
    return 0


def draw(series: Series, width: int, height: int, colour: bool) -> str:
    """The curve as text of `width` × `height` characters.

    Raises:
        RunError: not one value is finite.
    """
    import plotext  # 170 ms that only this command needs

    points = list(zip(series.steps, series.values, strict=True))
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    if not finite:
        raise RunError(f"{safe_line(series.key, 80)} has no finite value to draw", why=f"{len(points)} were logged")
    plotext.clear_figure()
    plotext.limit_size(False, False)
    plotext.plot_size(width, height)
    if not colour:
        plotext.theme("clear")
    plotext.plot([step for step, _ in finite], [value for _, value in finite], marker="braille")
    lowest = min(value for _, value in finite)
    broken = [step for step, value in points if not math.isfinite(value)]
    if broken:
        plotext.scatter(broken, [lowest] * len(broken), marker="×")
    plotext.xticks(_ticks(series.steps[0], series.steps[-1]))  # steps are whole numbers
    plotext.xlabel("step")
    text: str = plotext.build()
    return (text if colour else plotext.uncolorize(text)).rstrip("\n")


def _ticks(first: int, last: int, count: int = 5) -> list[int]:
    return sorted({first + round((last - first) * index / (count - 1)) for index in range(count)})


COMMANDS = {"plot": Command(_configure, plot)}
