"""The pure chart: nothing is lost by reducing, the scale is calm, and what can't be drawn is marked."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.widgets.chart.axis import AxisMap, View
from tui.widgets.chart.bins import Columns
from tui.widgets.chart.canvas import Canvas
from tui.widgets.chart.curve import Curve
from tui.widgets.chart.model import ChartModel
from tui.widgets.chart.scale import Scale, fit, format_tick, robust_bounds, ticks
from tui.widgets.chart.smooth import MovingAverage

FINITE = st.floats(-1e6, 1e6)
ANY = st.one_of(FINITE, st.sampled_from([math.nan, math.inf, -math.inf]))


def drawn(model: ChartModel, width: int = 46, height: int = 9) -> str:
    rows = model.rows(width, height)
    assert [len(row.text) for row in rows] == [width] * height
    assert all(len(row.styles) == width for row in rows)
    return "\n".join(row.text.rstrip() for row in rows)


def one(points: list[tuple[int, float]], planned: int | None = None) -> ChartModel:
    model = ChartModel(planned)
    model.add_series("loss")
    model.extend("loss", points)
    return model


# --- curve and columns


@given(st.lists(ANY, max_size=300), st.data())
def test_a_window_is_what_a_plain_look_at_its_points_says(values: list[float], data: st.DataObject) -> None:
    by_point, at_once = Curve(), Curve()
    by_point.extend(enumerate(values))
    at_once.load(range(len(values)), values)
    start = data.draw(st.integers(0, len(values)))
    stop = data.draw(st.integers(start, len(values)))
    finite = [value for value in values[start:stop] if math.isfinite(value)]
    for curve in (by_point, at_once):
        window = curve.window(start, stop)
        if window is None:
            assert start == stop
            continue
        assert (window.broken is None) == (len(finite) == stop - start)
        if finite:
            assert (window.minimum, window.maximum) == (min(finite), max(finite))
            assert (window.first, window.last) == (finite[0], finite[-1])
        else:
            assert window.minimum > window.maximum


@given(st.lists(st.tuples(st.integers(1, 5), ANY), max_size=200), st.integers(1, 60), st.integers(1, 7))
def test_columns_that_grew_are_those_made_at_once(gaps: list[tuple[int, float]], columns: int, parts: int) -> None:
    points, step = [], 0
    for gap, value in gaps:
        step += gap
        points.append((step, value))
    edges = [1000 * column / columns for column in range(columns + 1)]
    growing = Curve()
    grown = Columns(growing, edges)
    for start in range(0, len(points), parts):
        growing.extend(points[start : start + parts])
        grown.update()
    whole = Columns(growing, edges)
    assert repr(grown.windows) == repr(whole.windows)  # repr: nan is not equal to itself
    finite = [value for _, value in points if math.isfinite(value)]
    shown = [window for window in whole.windows if window is not None and window.minimum <= window.maximum]
    if finite:
        assert max(window.maximum for window in shown) == max(finite)
        assert min(window.minimum for window in shown) == min(finite)


def test_a_step_that_goes_back_is_kept_out() -> None:
    curve = Curve()
    assert curve.extend([(1, 1.0), (3, 2.0), (3, 9.0), (2, 9.0), (4, 3.0)]) == 3
    assert list(curve.steps) == [1, 3, 4]


def test_the_last_planned_step_is_in_the_last_column() -> None:
    curve = Curve()
    curve.extend([(100, 5.0)])
    assert [window is not None for window in Columns(curve, [0, 50, 100]).windows] == [False, True]


# --- smoothing


@given(st.lists(ANY, max_size=100), st.sampled_from([0.0, 0.6, 0.9, 0.99]), st.integers(1, 9))
def test_smoothing_in_parts_is_smoothing_at_once_and_stays_within_the_values(
    values: list[float], weight: float, part: int
) -> None:
    in_parts = MovingAverage(weight)
    pieces = [piece for at in range(0, len(values), part) for piece in in_parts.feed(values[at : at + part])]
    at_once = list(MovingAverage(weight).feed(values))
    assert repr(pieces) == repr(at_once)
    finite = [value for value in values if math.isfinite(value)]
    slack = 1e-6 * max([1.0, *map(abs, finite)])
    for value, smoothed in zip(values, at_once, strict=True):
        if math.isfinite(value):
            assert min(finite) - slack <= smoothed <= max(finite) + slack
        else:
            assert repr(smoothed) == repr(value)


def test_a_long_constant_stays_itself_across_the_fast_way() -> None:
    assert all(abs(value - 3.0) < 1e-12 for value in MovingAverage(0.9).feed([3.0] * 5000))


# --- scale


@given(st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=60), st.booleans())
def test_a_scale_spans_its_bounds(pairs: list[tuple[float, float]], is_log: bool) -> None:
    lows, highs = [min(pair) for pair in pairs], [max(pair) for pair in pairs]
    bounds = robust_bounds(lows, highs)
    assert bounds is not None
    if is_log:
        bounds = (max(bounds[0], 1e-6), max(bounds[1], 1e-6))
    scale = fit(bounds, is_log=is_log)
    assert scale.low < scale.high
    assert scale.share(bounds[0]) >= -1e-6
    assert scale.share(bounds[1]) <= 1 + 1e-6
    assert fit(bounds, scale, is_log=is_log) == scale  # the same bounds never rescale


def test_a_falling_loss_rescales_seldom() -> None:
    scale, changes = None, 0
    for step in range(1, 2001):
        now = fit((1.2 + math.exp(-step / 300), 2.2), scale)
        changes += now != scale
        scale = now
    assert changes <= 10


def test_a_spike_is_cut_off_and_a_slope_is_not() -> None:
    flat = [1.0 + index / 1000 for index in range(80)]
    assert robust_bounds([*flat, 1.0], [*flat, 87.0]) == (1.0, 1.079)
    slope = [80.0 - index for index in range(80)]
    assert robust_bounds(slope, slope) == (1.0, 80.0)
    assert robust_bounds([1.0, 1.0, 1.0], [1.0, 1.0, 87.0]) == (1.0, 87.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (2.313, "2.31"), (0.004, "0.004"), (1.6e-4, "1.6e-4"), (1e-5, "1e-5"), (-3e12, "-3e12"), (87, "87"),
     (12345, "12345"), (99999.9, "100000"), (1e300, "1e300")],
)  # fmt: skip
def test_a_tick_is_short(value: float, text: str) -> None:
    assert format_tick(value) == text


def test_ticks_stand_at_both_ends() -> None:
    assert ticks(Scale(0.0, 2.0), 7) == {0: "2", 3: "1", 6: "0"}
    assert ticks(Scale(0.01, 1.0, True), 7) == {0: "1", 3: "0.1", 6: "0.01"}
    assert ticks(Scale(0.0, 2.0), 2) == {0: "2", 1: "0"}


# --- axis


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0.01, 50)), min_size=1, max_size=50), st.floats(0, 1000))
def test_an_axis_goes_there_and_back(gaps: list[tuple[int, float]], step: float) -> None:
    axis, at, place = AxisMap(), 0, 0.0
    for gap, more in gaps:
        at, place = at + gap, place + more
        axis.add(at, place)
    assert axis.step(axis.place(step)) == pytest.approx(step, abs=1e-6)


def test_a_view_stays_inside_the_plan() -> None:
    view = View().zoom(0.25, 0.9)
    assert view.start == pytest.approx(0.675)
    assert view.pan(5).end == 1
    assert view.pan(-50).start == 0
    assert view.zoom(1e9).is_whole


# --- the whole chart as text


def test_dots_are_the_ones_of_the_unicode_table() -> None:
    canvas = Canvas(2, 1)
    canvas.span(0, 0, 3, 1)
    canvas.span(1, 1, 1, 1)
    canvas.span(2, 3, 3, 1)
    assert canvas.line(0).text == "⡗⡀"


def test_a_straight_fall() -> None:
    model = one([(step, 100.0 - step) for step in range(101)], 100)
    assert drawn(model, 24, 6).splitlines() == [
        "100┤⠑⠢⢤⣀",
        "   │   ⠈⠙⠲⠤⣀",
        " 50┤        ⠉⠒⠤⣄⡀",
        "   │            ⠉⠓⠦⣄⡀",
        "  0┤                ⠉⠓⠢⢄",
        "  0└──────────────── 100",
    ]


def test_a_loss_with_evaluations_and_checkpoints_half_way_through_its_plan() -> None:
    model = one([(step, 1 + 2 * math.exp(-step / 15)) for step in range(1, 71)], 100)
    model.add_series("eval", kind="points", colour=1)
    model.extend("eval", [(20, 1.6), (40, 1.2), (60, 1.1)])
    model.set_checkpoints((20, 40, 60), best=60)
    assert drawn(model).splitlines() == [
        "  3┤⢄",
        "   │⠈⢆",
        "   │  ⢣",
        "   │  ⠈⠢⡀",
        "  2┤    ⠈⢆",
        "   │      ⠉⠢◆",
        "   │         ⠉⠲⠤⣀⡀",
        "  1┤             ⠈⠉⠙◆⠒⠒⠤⠤⠤⠤⠤⠤◆⣀⣀⣀⡀",
        "  0└────────┬───────┬────────*──────────── 100",
    ]


def test_three_points_are_joined_and_the_rest_of_the_plan_stays_empty() -> None:
    text = drawn(one([(1, 3.0), (10, 2.0), (20, 1.0)], 80), 44, 6)
    rows = text.splitlines()
    assert all(any("\u2800" < glyph <= "\u28ff" for glyph in row) for row in rows[:-1])
    assert max(len(row.rstrip()) for row in rows[:-1]) <= 4 + 11
    assert rows[-1].endswith(" 80")


def test_a_constant_zero_lies_in_the_middle() -> None:
    rows = drawn(one([(step, 0.0) for step in range(1, 51)], 50), 30, 6).splitlines()
    assert [row.strip(" │┤└─0123456789-") != "" for row in rows] == [False, False, True, False, False, False]


def test_a_negative_loss_has_negative_labels() -> None:
    rows = drawn(one([(step, -0.001 * step) for step in range(1, 501)], 500), 40, 8).splitlines()
    assert rows[0].strip().startswith("0┤") or rows[0].strip().startswith("-0┤")
    assert rows[-2].strip().startswith("-0.")


def test_not_finite_values_are_gaps_with_a_mark() -> None:
    points = [(step, 1.0 + step / 100) for step in range(1, 101)]
    points[30] = (31, math.nan)
    points[70] = (71, math.inf)
    text = drawn(one(points, 100), 54, 8)
    assert text.count("×") == 2
    assert "nan @31" in text
    only_broken = drawn(one([(1, math.nan), (2, -math.inf)], 10), 40, 8)
    assert "×" in only_broken


def test_one_spike_does_not_flatten_the_curve_and_is_named() -> None:
    points = [(step, 2.0 + math.sin(step / 50)) for step in range(1, 20_001)]
    points[16_665] = (16_666, 87.0)
    text = drawn(one(points, 20_000), 60, 9)
    assert "87.0 @16666 ▲" in text
    assert text.splitlines()[0].strip().startswith("3┤")
    huge = [(step, 2.0) for step in range(1, 1001)]
    huge[500] = (501, 1e6)
    assert "▲ 1e6 @501" in drawn(one(huge, 1000), 60, 9)


def test_log_scale_marks_what_is_not_above_zero() -> None:
    model = one([(step, 10.0 ** (-step / 100)) for step in range(1, 301)], 400)
    model.extend("loss", [(350, 0.0)])
    model.set_log(True)
    text = drawn(model, 60, 9)
    assert text.splitlines()[0].strip().startswith("1┤")
    assert "▼" in text
    model = one([(1, -1.0), (2, -2.0)], 5)
    model.set_log(True)
    assert drawn(model)  # nothing is above zero: linear


def test_smoothing_draws_the_envelope_held_back() -> None:
    model = one([(step, 2.0 + (1 if step % 2 else -1)) for step in range(1, 1001)], 1000)
    plain = {style for row in model.rows(46, 9) for style in row.styles}
    model.set_smoothing(0.9)
    smooth = {style for row in model.rows(46, 9) for style in row.styles}
    assert smooth - plain == {48}
    (reading,) = model.readings()
    assert reading.value == pytest.approx(2.0, abs=0.06)


def test_two_million_points_are_drawn_with_their_one_spike() -> None:
    model = ChartModel(2_000_000)
    model.add_series("loss")
    model.tracks["loss"].curve.load(range(1, 2_000_001), [1.0] * 1_234_566 + [9.0] + [1.0] * 765_433)
    assert "▲ 9.0 @1234567" in drawn(model, 60, 9) or "9.0 @1234567 ▲" in drawn(model, 60, 9)


def test_evaluations_lie_over_the_line_and_checkpoints_on_the_axis() -> None:
    model = one([(step, 3.0 - step / 100) for step in range(1, 101)], 200)
    model.add_series("eval", kind="points", colour=1)
    model.extend("eval", [(50, 2.6), (100, 2.1)])
    model.set_checkpoints((50, 100), best=100)
    text = drawn(model)
    assert text.count("◆") == 2
    assert text.splitlines()[-1].count("┬") == 1
    assert "*" in text.splitlines()[-1]
    plain = ChartModel(200, ascii_only=True)
    plain.add_series("eval", kind="points")
    plain.extend("eval", [(50, 2.6)])
    assert "o" in drawn(plain)


def test_the_crosshair_reads_each_series() -> None:
    model = one([(step, float(step)) for step in range(1, 101)], 100)
    model.add_series("eval", kind="points", colour=1)
    model.extend("eval", [(50, 7.0)])
    drawn(model)
    model.move_crosshair(-20)
    step = model.crosshair_step
    assert step is not None
    assert 70 <= step <= 80
    assert [(one.name, one.value) for one in model.readings()] == [("loss", step), ("eval", 7.0)]
    assert "│" in "".join(row[5:] for row in drawn(model).splitlines())


def test_an_overlay_does_not_set_the_scale_nor_the_axis() -> None:
    model = one([(step, 1.0 + step / 100) for step in range(1, 101)], 100)
    before = drawn(model).splitlines()
    model.add_series("other", colour=3, is_overlay=True)
    model.extend("other", [(step, 50.0) for step in range(1, 5000)])
    after = drawn(model).splitlines()
    assert after[-1] == before[-1]
    assert after[1][:5] == before[1][:5]


def test_the_axis_counts_epochs_time_and_tokens() -> None:
    model = one([(step, 1.0 / step) for step in range(1, 101)], 200)
    axis = AxisMap(range(1, 101), [step * 36.0 for step in range(1, 101)])
    model.set_axis("time", axis)
    assert drawn(model).splitlines()[-1].endswith(" 2:00:00")
    model.set_view(View(0.5, 0.75))
    zoomed = drawn(model).splitlines()[-1]
    assert (zoomed.split("└")[0], zoomed.split()[-1]) == ("1:00:00", "1:30:00")
    model.set_view(View())
    model.set_axis("tokens", axis)
    assert drawn(model).splitlines()[-1].endswith(" 7.2k")
    model.set_axis("step", None)
    assert drawn(model).splitlines()[-1].endswith(" 200")


def test_a_zoom_shows_a_part_of_the_plan() -> None:
    model = one([(step, float(step)) for step in range(1, 1001)], 1000)
    model.set_view(View(0.5, 0.75))
    last = drawn(model).splitlines()[-1]
    assert (last.split("└")[0].strip(), last.split()[-1]) == ("500", "750")


def test_a_run_without_a_plan_has_room_to_grow() -> None:
    model = one([(step, 1.0) for step in range(1, 101)])
    ends = set()
    for step in range(101, 300):
        model.extend("loss", [(step, 1.0)])
        ends.add(model.end_step)
    assert max(ends) >= 299
    assert len(ends) <= 8


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 50), ANY), max_size=80),
    st.integers(0, 90),
    st.integers(0, 20),
    st.booleans(),
    st.sampled_from([0.0, 0.9]),
)
def test_any_points_fill_any_size_exactly(
    gaps: list[tuple[int, float]], width: int, height: int, is_log: bool, weight: float
) -> None:
    model, step = ChartModel(500), 0
    model.add_series("loss")
    model.set_log(is_log)
    model.set_smoothing(weight)
    for gap, value in gaps:
        step += gap
        model.extend("loss", [(step, value)])
    model.set_checkpoints((10, 400), 400)
    drawn(model, width, height)
    model.set_axis("time", AxisMap([1, 500], [86_400.0, 500 * 86_400.0]))
    model.set_view(View(0.3, 0.4))
    drawn(model, width, height)


def test_only_the_cells_that_changed_are_told() -> None:
    model = one([(step, 2.0 - step / 1000) for step in range(1, 500)], 1000)
    before = model.rows(46, 9)
    model.extend("loss", [(520, 1.5)])
    after = model.rows(46, 9)
    changed = [span for old, new in zip(before, after, strict=True) if (span := new.changed(old)) is not None]
    assert 1 <= len(changed) <= 2
    assert all(stop - start <= 2 for start, stop in changed)
