"""The curves of a run's page: which metric goes to which chart, one x axis for all, and what their titles say.

It fills chart models from what the feed sends and knows no widget.
"""

from __future__ import annotations

from collections.abc import Sequence

from tui.format import ascii_only, glyphs, number, plain
from tui.messages import AxisPoint
from tui.panels.others import Overlay
from tui.widgets.chart.axis import MODES, AxisMap, Mode
from tui.widgets.chart.model import ChartModel
from tui.widgets.lines import Part

CURVES = {"loss": "loss", "grad_norm": "grad norm", "learning_rate": "lr"}
"""Charts by the metric that gives them their line, with their titles."""
DONE, PLANNED, OVERLAY = "done", "planned", "overlay"
SMOOTHINGS = (0.6, 0.9, 0.97, 0.0)
SMOOTHED = ("loss", "grad_norm")
TREND_POINTS = 50
_AXIS_TOLERANCE = 0.01
"""Share of the axis by which a newer estimate must differ before everything is drawn anew for it."""
_OVERLAY_COLOUR = 3


class Curves:
    """All points of one run's page."""

    def __init__(self) -> None:
        self.models = {key: ChartModel(has_axis_row=key == "loss", ascii_only=ascii_only()) for key in CURVES}
        self.models["learning_rate"].add_series(PLANNED, colour=0, is_plan=True)
        for key, model in self.models.items():
            model.add_series(DONE)
            if key in SMOOTHED:
                model.set_smoothing(SMOOTHINGS[0])
        self.smoothing = SMOOTHINGS[0]
        self.mode: Mode = "step"
        self.overlay: str | None = None
        self.validation_set = ""
        self._maps: dict[Mode, AxisMap] = {}
        self._drawn_map: AxisMap | None = None
        self._first_at: float | None = None
        self._last: dict[str, float] = {}
        self._schedule = ""
        self._marks: tuple[int | None, tuple[int, ...], int | None] | None = None
        self._clear_axis()

    # --- from the feed

    def grow(self, key: str, points: Sequence[tuple[int, float]], *, reset: bool) -> str | None:
        """Take in points of a metric; the chart that shows it, None where none does."""
        if points:
            self._last[key] = points[-1][1]
        elif reset:
            self._last.pop(key, None)
        chart, series = self._place_of(key)
        if chart is None:
            return None
        model = self.models[chart]
        model.add_series(series, kind="line" if series == DONE else "points", colour=len(model.tracks))
        if reset:
            model.reset(series)
        model.extend(series, points)
        return chart

    def _place_of(self, key: str) -> tuple[str | None, str]:
        if key in CURVES:
            return key, DONE
        kind, _, rest = key.partition("/")
        set_name, _, metric = rest.rpartition("/")
        return ("loss", set_name) if kind == "eval" and metric == "loss" else (None, "")

    def grow_axis(self, rows: Sequence[AxisPoint], *, reset: bool) -> bool:
        """Take in what steps correspond to; whether the charts must be drawn for it.

        `reset` comes first after a resume: points behind its checkpoint are void, those too that are not sent again.
        """
        if reset:
            self._clear_axis()
            self._clear_points()
        for step, at, tokens, epoch in rows:
            self._first_at = at if self._first_at is None else self._first_at
            self._maps["time"].add(step, at - self._first_at)
            if tokens is not None:
                self._maps["tokens"].add(step, float(tokens))
            if epoch is not None:
                self._maps["epoch"].add(step, epoch)
        return self._renew_axis()

    def _clear_axis(self) -> None:
        self._maps = {mode: AxisMap() for mode in MODES if mode != "step"}
        self._first_at = None

    def _clear_points(self) -> None:
        self._last.clear()
        for model in self.models.values():
            for name, track in model.tracks.items():
                if not track.is_faint:
                    model.reset(name)

    def _renew_axis(self) -> bool:
        """Draw by the newest estimate, but only where it has moved visibly: each time repaints everything."""
        if self.mode == "step":
            return False
        live, drawn = self._maps[self.mode], self._drawn_map
        end = self.models["loss"].end_step
        if drawn is not None:
            whole = drawn.place(end) or 1.0
            steps = (end, float(live.last_step))
            if all(abs(live.place(step) - drawn.place(step)) <= _AXIS_TOLERANCE * whole for step in steps):
                return False
        self._drawn_map = live.copy()
        for model in self.models.values():
            model.set_axis(self.mode, self._drawn_map)
        return True

    def set_run(self, max_steps: int | None, checkpoints: Sequence[int], best: int | None) -> bool:
        """The plan's length and the checkpoints; whether anything is new."""
        marks = (max_steps, tuple(checkpoints), best)
        if marks == self._marks:
            return False
        self._marks = marks
        for model in self.models.values():
            model.set_planned_steps(max_steps)
            model.set_checkpoints(checkpoints, best)
        return True

    def set_planned_rates(self, points: Sequence[tuple[int, float]], words: str) -> None:
        """The learning rate as it is planned, and the schedule in words."""
        model = self.models["learning_rate"]
        model.reset(PLANNED)
        model.extend(PLANNED, points)
        self._schedule = words

    # --- from the person

    def next_mode(self) -> Mode | None:
        """Another unit on the x axis; None where nothing else was logged."""
        here = MODES.index(self.mode)
        for mode in (*MODES[here + 1 :], *MODES[:here]):
            if mode == "step" or len(self._maps[mode]):
                self.mode, self._drawn_map = mode, None
                if mode == "step":
                    for model in self.models.values():
                        model.set_axis("step", None)
                self._renew_axis()
                return mode
        return None

    def next_smoothing(self) -> float:
        """Another weight of the moving average."""
        self.smoothing = SMOOTHINGS[(SMOOTHINGS.index(self.smoothing) + 1) % len(SMOOTHINGS)]
        for key in SMOOTHED:
            self.models[key].set_smoothing(self.smoothing)
        return self.smoothing

    def set_overlay(self, overlay: Overlay | None) -> None:
        """Another run's curves beneath these; None takes them away."""
        self.overlay = None if overlay is None else f"{overlay.run_id} {plain(overlay.name)}"
        for key, model in self.models.items():
            model.remove_series(OVERLAY)
            if overlay is not None:
                model.add_series(OVERLAY, colour=_OVERLAY_COLOUR, is_overlay=True)
                model.extend(OVERLAY, overlay.curves.get(key, ()))

    # --- in words

    def last_values(self) -> dict[str, float]:
        """The last value of each metric that has come in."""
        return self._last

    def trend(self) -> str:
        """Whether the loss falls: the mean of the last fifty points against the fifty before."""
        curve = self.models["loss"].tracks[DONE].curve
        if len(curve) < 2 * TREND_POINTS:
            return " "
        now = sum(curve.values[-TREND_POINTS:])
        before = sum(curve.values[-2 * TREND_POINTS : -TREND_POINTS])
        return glyphs().down if now < before else glyphs().up

    def title(self, key: str) -> list[Part]:
        """What stands behind a chart's name: the values under the crosshair, else the last ones."""
        model = self.models[key]
        parts: list[Part] = []
        readings = sorted(model.readings(), key=lambda one: (one.name != DONE, one.name != self.validation_set))
        for reading in readings:
            if reading.name == PLANNED and model.crosshair_step is None:
                continue
            mark = "" if reading.name == DONE else f"{self._mark_of(reading.name, key)} "
            tone = f"series-{reading.colour % 7}"
            parts.append((f" {mark}{number(reading.value)}", tone))
            if model.tracks[reading.name].kind == "points" and model.crosshair_step is not None:
                parts.append((f" @{reading.step}", "dim"))
        if model.crosshair_step is not None:
            parts.insert(0, (f" @{round(model.crosshair_step)}", "bold"))
        if key == "learning_rate" and self._schedule:
            parts.append((f" {self._schedule}", "dim"))
        if key in SMOOTHED and self.smoothing and key == "loss":
            parts.append((f" {glyphs().dot} m {self.smoothing:g}", "dim"))
        if model.is_log:
            parts.append((" log", "dim"))
        if key == "loss" and self.mode != "step":
            parts.append((f" by {self.mode}", "dim"))
        if not model.view.is_whole:
            parts.append((f" {round(model.view.start * 100)}-{round(model.view.end * 100)}%", "dim"))
        return parts

    def _mark_of(self, name: str, key: str) -> str:
        if name == OVERLAY:
            return f"{glyphs().rule} {(self.overlay or '').partition(' ')[0]}"
        if name == PLANNED:
            return PLANNED
        return f"{self.models[key].glyphs.point} {plain(name)}"
