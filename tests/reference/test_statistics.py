"""The scan against pyBumpHunter, the threshold against scikit-learn."""

import contextlib
import io

import numpy as np
import pyBumpHunter
import pytest
from sklearn.linear_model import QuantileRegressor

from raybead.hunt import Histogram, Sample, fit_threshold
from raybead.hunt.scan import BumpHunt, Windows


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("empty_tail", [False, True])
def test_the_scan_equals_pybumphunter(seed, empty_tail):
    rng = np.random.default_rng(seed)
    expected = 300 * np.exp(-np.arange(25) / 4.0) * rng.uniform(0.7, 1.3, 25)
    if empty_tail:
        expected[expected < 3] = 0
        expected[0] = 0
    counts = rng.poisson(expected)
    counts[8:10] += 12
    windows = Windows.of(25, (2, 5))
    scan, data = BumpHunt(windows), Histogram.counted(counts[None])
    p = scan.local_p(data, expected[None])
    oracle = pyBumpHunter.BumpHunter1D(width_min=2, width_max=5, npe=1, nworker=1)
    with contextlib.redirect_stdout(io.StringIO()):
        oracle.bump_scan(counts, expected, is_hist=True, do_pseudo=False)
    assert p.min() == pytest.approx(oracle.min_Pval_ar[0], rel=1e-10)
    assert scan.of(data, data, expected[None])[0] == pytest.approx(oracle.t_ar[0], rel=1e-10)
    best = int(p[0].argmin())
    assert windows.start[best] == oracle.min_loc_ar[0]
    assert windows.stop[best] - windows.start[best] == oracle.min_width_ar[0]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.97])
def test_the_threshold_is_the_quantile_regression(quantile, order):
    rng = np.random.default_rng(0)
    mjj = 2500 + rng.exponential(600, 600)
    score = 1.5 * np.log(mjj / 3000) + rng.gamma(2.0, 1.0, 600)
    threshold = fit_threshold(Sample(np.arange(600), mjj, score, np.ones(600)), quantile, order)
    x = np.log(mjj / 3000)[:, None] ** np.arange(1, order + 1)
    oracle = QuantileRegressor(quantile=quantile, alpha=0.0, solver="highs").fit(x, score)

    def pinball(prediction):
        rest = score - prediction
        return np.mean(rest * (quantile - (rest < 0)))

    # The minimum is flat; what counts is that no polynomial does noticeably better, and that
    # the share below is right.
    assert pinball(threshold.at(mjj)) <= pinball(oracle.predict(x)) * (1 + 2e-3)
    assert np.mean(score <= threshold.at(mjj)) == pytest.approx(quantile, abs=0.002)
