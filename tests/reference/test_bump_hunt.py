"""Scans of excesses and deficits, with and without sidebands, against pyBumpHunter."""

import contextlib
import io

import numpy as np
import pyBumpHunter
import pytest
from scipy import stats

from raybead.hunt import Histogram
from raybead.hunt.scan import BumpHunt, Windows

BINS = 25


def spectrum(kind, seed):
    rng = np.random.default_rng(seed)
    expected = 300 * np.exp(-np.arange(BINS) / 4.0) * rng.uniform(0.7, 1.3, BINS)
    match kind:
        case "empty":
            expected[expected < 3] = 0
            expected[[0, 9]] = 0
        case "sparse":
            expected *= 0.02
    counts = rng.poisson(expected)
    counts[8:10] += 12
    counts[[18, 20, 21]] = 0
    return counts, expected


@pytest.mark.parametrize("direction", ["excess", "deficit"])
@pytest.mark.parametrize("sidebands", [None, 0, 2])
@pytest.mark.parametrize("widths", [(1, 1), (2, 5), (3, 12), (20, 25)])
@pytest.mark.parametrize("kind", ["full", "empty", "sparse"])
def test_every_local_p_equals_pybumphunters(direction, sidebands, widths, kind):
    counts, expected = spectrum(kind, 3)
    windows = Windows.of(BINS, widths)
    scan = BumpHunt(windows, direction, sidebands is not None, sidebands or 0)
    p_W = scan.local_p(Histogram.counted(counts[None]), expected[None])[0]
    oracle = pyBumpHunter.BumpHunter1D(
        width_min=widths[0], width_max=widths[1], npe=1, nworker=1, mode=direction,
        use_sideband=sidebands is not None, sideband_width=sidebands or None,
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(invalid="ignore"):
        oracle.bump_scan(counts, expected, is_hist=True, do_pseudo=False)
    first, end = np.flatnonzero(expected)[0], np.flatnonzero(expected)[-1] + 1
    first, end = first + (sidebands or 0), end - (sidebands or 0)
    for width, theirs in zip(range(widths[0], widths[1] + 1), oracle.res_ar, strict=True):
        of_width = windows.stop - windows.start == width
        inside = of_width & (windows.start >= first) & (windows.stop <= end)
        if inside.any():
            np.testing.assert_allclose(p_W[inside], theirs, rtol=1e-10, atol=1e-14)
        assert (p_W[of_width & ~inside] == 1).all()
    assert (p_W < 1).any() or widths[0] == 20
    statistic = scan.of(*(Histogram.counted(counts[None]),) * 2, expected[None])[0]
    assert statistic == pytest.approx(-np.log(max(p_W.min(), 1e-300)))
    if direction == "excess" or p_W.min() > 1e-4:  # of a small 1 - p it keeps no digits
        assert statistic == pytest.approx(oracle.t_ar[0], rel=1e-10, abs=1e-10)
    if 1e-10 < p_W.min() < 1:
        best = scan.best(p_W[None])[0]
        assert windows.start[best] == oracle.min_loc_ar[0]
        assert windows.stop[best] - windows.start[best] == oracle.min_width_ar[0]


def test_a_small_deficit_keeps_its_digits():
    expected = np.full((1, 4), 50.0)
    scan = BumpHunt(Windows.of(4, (1, 1)), "deficit")
    p = scan.local_p(Histogram.counted(np.array([[0, 5, 50, 60]])), expected)[0]
    np.testing.assert_allclose(p[:2], [np.exp(-50.0), stats.poisson.cdf(5, 50)], rtol=1e-12)
    assert (p[2:] == 1).all()


@pytest.mark.parametrize("direction", ["excess", "deficit"])
@pytest.mark.parametrize("sidebands", [False, True])
def test_a_shared_weight_changes_no_local_p(direction, sidebands):
    counts, expected = spectrum("sparse", 5)
    scan = BumpHunt(Windows.of(BINS, (2, 5)), direction, sidebands)
    counted = scan.local_p(Histogram.counted(counts[None]), expected[None])
    weighed = Histogram(counts[None] * 0.3, counts[None] * 0.09)
    others = Histogram(expected[None] * 3, expected[None] * 0.9)
    p = scan.local_p(weighed, expected[None] * 0.3, others)
    np.testing.assert_allclose(p, counted, rtol=1e-9)


def test_a_deficit_of_weighted_events_is_measured_by_all_events_of_the_window():
    # One light outlier says nothing about what the ten that are missing would weigh.
    outliers = Histogram(np.array([[0.01, 10.0]]), np.array([[1e-4, 10.0]]))
    others = Histogram(np.array([[100.0, 100.0]]), np.array([[100.0, 100.0]]))
    scan = BumpHunt(Windows.of(2, (1, 1)), "deficit")
    p = scan.local_p(outliers, np.array([[10.0, 10.0]]), others)
    assert np.exp(-10) < p[0, 0] < 2 * np.exp(-10)


def test_supported_bins_decide_which_windows_are_judged():
    windows = Windows.of(5, (1, 1))
    supported = np.array([False, True, False, True, False])
    counts = Histogram.counted(np.full((2, 5), 9))
    expected = np.array([[1.0, 1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0, 1.0]])
    p = BumpHunt(windows, supported=supported).local_p(counts, expected)
    np.testing.assert_array_equal(p < 1, [[False, True, True, True, False],
                                          [False, False, True, True, False]])  # fmt: skip
