"""What live charts send to a terminal, counted at the other end of a pseudo-terminal."""

from __future__ import annotations

import pytest

from bench.chart import PERIOD_SECONDS, run_live


@pytest.mark.parametrize(("columns", "rows", "limit"), [(80, 24, 4_000), (200, 50, 10_000)])
def test_three_live_charts_stay_inside_the_byte_budget(columns: int, rows: int, limit: int) -> None:
    bytes_each, _ = run_live(columns, rows, updates=8)
    assert 20 < bytes_each < limit * PERIOD_SECONDS
