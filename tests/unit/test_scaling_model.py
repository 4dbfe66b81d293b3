"""The arithmetic of docs/scaling.md's extrapolation, against slow loops and numbers by hand."""

import numpy as np
import pytest
from benchmarks.extrapolated import (
    Costs,
    Line,
    Power,
    bytes_text,
    estimated,
    rounds,
    rows_a_task,
    time_text,
    training_seconds,
)
from hypothesis import given
from hypothesis import strategies as st
from made import lhco, make_particles

from raybead.events import EventSample, write_lhco

COSTS = Costs(
    prepare=2e-3, score=5e-3, calibrate=Line(1e-6, 0.5), hunt=Line(1e-5, 1.0),
    toy=Power(1e-7, 0.5), driver=1e-3,
    calibrate_bytes=Line(500, 3e8), hunt_bytes=Line(800, 4e8),
)  # fmt: skip


def by_turns(n_events: int, rows: int, cost: float, cores: int) -> float:
    """Hand out pieces one by one, each to the core that is free first; the last piece is full."""
    free = [0.0] * cores
    for _ in range(0, n_events, rows):
        core = int(np.argmin(free))
        free[core] += rows * cost
    return max(free)


@given(st.integers(2001, 60_000), st.integers(1, 9), st.integers(100, 4000))
def test_rounds_are_what_handing_out_piece_by_piece_takes(events, cores, rows):
    if events <= rows:
        rows = events
    assert rounds(events, rows, 3e-3, 0.0, cores) == pytest.approx(
        by_turns(events, rows, 3e-3, cores)
    )


def test_the_driver_bounds_what_cores_gain():
    assert rounds(2_000_000, 2000, 1e-3, 0.5, 10**6) == pytest.approx(500)
    assert rounds(2_000_000, 2000, 1e-3, 0.5, 1) == pytest.approx(2000)


def test_tasks_are_cut_as_samples_are(tmp_path):
    write_lhco(tmp_path / "events.h5", [make_particles(30)], 30, "none")
    source = lhco(tmp_path / "events.h5")
    with pytest.MonkeyPatch.context() as patch:
        for module in ("raybead.events.sample", "benchmarks.extrapolated"):
            patch.setattr(f"{module}.ROWS_A_TASK", 2)
            patch.setattr(f"{module}.FILES_AT_MOST", 4)
            patch.setattr(f"{module}.ROWS_AT_MOST", 5)
        for stop in range(1, 31):
            pieces = EventSample((source.model_copy(update={"stop": stop}),)).pieces("auto")
            largest = max(sum(len(piece.span) for piece in of_task) for of_task in pieces)
            assert largest == min(stop, rows_a_task(stop))


def test_a_job_by_hand():
    found = estimated(COSTS, 1_100_000, 16, toys=1_600_000_000)
    assert rows_a_task(550_000) == 2149
    assert found.pieces == 512
    assert found.prepare == pytest.approx(2 * 16 * 2149 * 2e-3)
    assert found.score == pytest.approx(32 * 2149 * 5e-3)
    assert (found.last, found.hunt, found.toys) == pytest.approx(
        (1.6, 12.0, 1e8 * 1e-7 * 1.1e6**0.5)
    )
    assert found.hunt_bytes == pytest.approx(4e8 + 1.1e6 * 800)
    assert found.calibrate_bytes == pytest.approx(3e8 + 1.1e6 * 500)


def test_a_line_through_points_of_one():
    line = Line.fit((1, 2, 4), (5.0, 7.0, 11.0))
    assert (line.slope, line.fixed) == pytest.approx((2.0, 3.0))
    assert Line.fit((4, 4), (8.0, 16.0)) == Line(3.0, 0.0)


def test_a_power_through_points_of_one():
    power = Power.fit((10, 100, 1000), (0.5, 5.0, 50.0))
    assert (power.factor, power.exponent) == pytest.approx((0.05, 1.0))
    assert Power.fit((4, 100), (6.0, 30.0)).at(25) == pytest.approx(15.0)


def test_training_counts_every_epoch():
    assert training_seconds(1_000_000, 50, 20_000, 8) == pytest.approx(312.5)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.0123, "0.012 s"), (95, "95 s"), (260, "4.3 min"), (86400, "24 h"), (5.5e6, "64 d")],
)
def test_times_are_told_in_their_unit(seconds, told):
    assert time_text(seconds) == told


@pytest.mark.parametrize(
    ("n", "told"), [(3, "3.0 B"), (1234, "1.2 kB"), (5.7e9, "5.7 GB"), (6.66e12, "6.7 TB")]
)
def test_bytes_are_told_in_their_unit(n, told):
    assert bytes_text(n) == told
