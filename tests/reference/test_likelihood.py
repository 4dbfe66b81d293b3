"""Likelihoods of a peak: against the explicit likelihood, pyhf, and what a likelihood must do."""

import numpy as np
import pyhf
import pytest
from scipy import optimize, special, stats
from spectra import EDGES, KINDS, SHAPE, drawn, exponential, models, pyhf_model, templates

from raybead.errors import HuntError
from raybead.hunt.histogram import Histogram
from raybead.hunt.limits import linearity
from raybead.hunt.scan import LikelihoodScan, PeakModel, scan
from raybead.hunt.scan.newton import fit
from raybead.hunt.scan.roots import crossing


def spectra(n, outliers, seed=1):
    return drawn(np.random.default_rng(seed), outliers, n=n)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outliers", [6, 300])
def test_slopes_are_the_slopes_of_the_value(kind, outliers):
    model = models(*spectra(40, outliers), templates(3300.0))[kind]
    peaks, null = model.peaks()
    rng = np.random.default_rng(2)
    s = rng.uniform(-0.2, 1.0, len(peaks)) * outliers / 5
    theta = null.theta_PK + rng.uniform(-0.2, 0.2, null.theta_PK.shape)
    at, step = peaks.slopes(s, theta), 1e-6
    for d in range(1 + theta.shape[1]):
        move = np.eye(1 + theta.shape[1])[d] * step
        up, down = (peaks.slopes(s + sign * move[0], theta + sign * move[1:]) for sign in (1, -1))
        slope = (up.value_P - down.value_P) / (2 * step)
        bend = (up.gradient_DP - down.gradient_DP) / (2 * step)
        np.testing.assert_allclose(at.gradient_DP[d], slope, rtol=1e-4, atol=1e-4)
        # A bin whose background reaches zero within the step has two curvatures.
        close = np.isclose(at.hessian_DDP[:, d], bend, rtol=1e-3, atol=1e-3 * (1 + outliers))
        assert close.all(axis=0).mean() > 0.9


def minus_log(n, mu):
    return float(np.sum(special.kl_div(n, mu)))


def explicit_others(n, m, signal, leak):
    """The likelihood of s, r and every bin's b, searched from several starts."""

    def value(x):
        s, r, b = x[0], np.exp(x[1]), np.exp(x[2:])
        mu, nu = s * signal + r * b, b + s * leak * signal
        return minus_log(n, mu) + minus_log(m, nu) if min(mu.min(), nu.min()) >= 0 else 1e9

    best = np.inf, 0.0
    for s in (0.1, n.sum() / 4, n.sum() / 2):
        start = [s, np.log(n.sum() / m.sum()), *np.log(m + 0.3)]
        for _ in range(3):
            found = optimize.minimize(value, start, method="Powell", tol=1e-12)
            found = optimize.minimize(value, found.x, method="BFGS")
            start = found.x
        best = min(best, (found.fun, found.x[0]))
    return best


@pytest.mark.parametrize("leak", [0.0, 0.5])
@pytest.mark.parametrize(("outliers", "seed"), [(15, 3), (15, 4), (150, 5)])
def test_others_profiled_by_hand_are_the_full_likelihood(leak, outliers, seed):
    rng = np.random.default_rng(seed)
    n, m = rng.poisson(outliers * SHAPE[::3]), rng.poisson(5 * outliers * SHAPE[::3])
    n[1] += 4
    peak = templates(EDGES[5])
    peak = type(peak)(peak.peak, EDGES[::3], peak.masses)
    model = PeakModel.of_template(Histogram.counted(n), Histogram.counted(m), peak, leak)
    peaks, null = model.peaks()
    free = fit(peaks, null.s_P, null.theta_PK)
    value, s = explicit_others(n, m, peak.fractions[0], leak)
    assert free.value_P[0] == pytest.approx(value, abs=2e-5)
    assert free.value_P[0] < value + 1e-9
    assert free.s_P[0] == pytest.approx(s, abs=0.02)


@pytest.mark.parametrize("outliers", [25, 2000])
@pytest.mark.parametrize("points", [1, 4])
def test_a_family_is_fitted_to_the_best_of_the_explicit_likelihood(outliers, points):
    rng = np.random.default_rng(outliers)
    counts = drawn(rng, outliers, signal=outliers / 20)[0]
    family = exponential(points)
    model = PeakModel.of_family(counts, family, templates(3500.0))
    peaks, null = model.peaks()
    free = fit(peaks, null.s_P, null.theta_PK)
    signal = templates(3500.0).fractions[0]

    def value(x):
        log = family.offset_QM + family.columns_QMK @ x[1:]
        mu = x[0] * signal + np.exp(log).sum(axis=0)
        return minus_log(counts.sums, mu) if (mu > 0).all() else 1e9

    start = [max(free.s_P[0], 0) + 1, *(null.theta_PK[0] + 0.1)]
    found = optimize.minimize(value, start, method="Nelder-Mead", options={
        "xatol": 1e-9, "fatol": 1e-12, "maxiter": 9000, "maxfev": 9000})  # fmt: skip
    assert free.value_P[0] == pytest.approx(found.fun, abs=1e-8)
    assert free.s_P[0] == pytest.approx(found.x[0], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("statistics", [True, False])
def test_yields_and_q0_are_those_of_pyhf(statistics):
    outliers, others = drawn(np.random.default_rng(7), 400, signal=60)
    others = Histogram.counted(np.maximum(others.sums, 1))
    at = templates(3400.0, 3600.0, 4500.0)
    model = (
        PeakModel.of_template(outliers, others, at)
        if statistics
        else PeakModel.of_shape(outliers, others.sums, at)
    )
    found = scan(model)
    assert found.z[0] > 2
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer(maxiter=10_000, tolerance=1e-12))
    for signal, s, z in zip(at.fractions, found.signal, found.z, strict=True):
        theirs = pyhf_model(signal, others.sums, statistics)
        data = [*outliers.sums.tolist(), *theirs.config.auxdata]
        best = pyhf.infer.mle.fit(data, theirs)[theirs.config.poi_index]
        q0 = pyhf.infer.test_statistics.q0(
            0.0, data, theirs, theirs.config.suggested_init(),
            theirs.config.suggested_bounds(), theirs.config.suggested_fixed(),
        )  # fmt: skip
        assert max(s, 0) == pytest.approx(best, rel=1e-4, abs=1e-3)
        assert z**2 == pytest.approx(float(q0), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_spectra_one_by_one(kind):
    outliers, others = spectra(6, 60)
    at = templates(3000.0, 3500.0, 5000.0)
    together = models(outliers, others, at)[kind].q0()
    for i, row in enumerate(together):
        one = [Histogram.counted(part.sums[i]) for part in (outliers, others)]
        np.testing.assert_allclose(models(*one, at)[kind].q0()[0], row, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_q0_is_half_a_chi_squared_without_a_signal(kind):
    q = models(*spectra(3000, 3000), templates(3500.0))[kind].q0()[:, 0]
    above = q[q > 0]
    assert stats.binomtest(len(above), len(q), 0.5).pvalue > 0.001
    assert stats.kstest(np.sqrt(above), stats.halfnorm.cdf).pvalue > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_injected_is_found(kind):
    """Unbiased, with pulls of width 1, and limits that cover."""
    model = models(*drawn(np.random.default_rng(3), 1000), templates(3300.0, 4200.0))[kind]
    for found in linearity(model, (0.0, 25.0, 60.0), np.random.default_rng(4), toys=600):
        assert abs(found.fitted - found.injected) < 4 * found.fitted_error
        assert abs(found.pull_mean) < 4 / np.sqrt(found.toys) + 0.05  # 1/sqrt(n) of a likelihood
        assert found.pull_width == pytest.approx(1, abs=4 / np.sqrt(2 * found.toys))
        assert found.coverage > 0.95 - 3 * np.sqrt(0.05 * 0.95 / found.toys)
        assert found.spread > 5


def test_a_leaking_signal_is_low_by_what_it_leaks_unless_that_is_known():
    counts = drawn(np.random.default_rng(5), 2000, ratio=4.0)
    at, leak = templates(3500.0), 1.5
    truth = PeakModel.of_template(*counts, at, leak)
    rng = np.random.default_rng(6)
    ignorant, told = (
        linearity(PeakModel.of_template(*counts, at, known), (200.0,), rng, 400, truth=truth)[0]
        for known in (0.0, leak)
    )
    assert told.fitted == pytest.approx(200, abs=4 * told.fitted_error)
    low = 200 * (1 - leak / 4)
    assert ignorant.fitted == pytest.approx(low, abs=4 * ignorant.fitted_error + 0.03 * low)
    # It is the same test all the same, told in other units.
    one = drawn(np.random.default_rng(8), 2000, 4.0, signal=150)
    q = [PeakModel.of_template(*one, at, known).q0()[0, 0] for known in (0.0, leak)]
    assert q[0] > 4
    assert q[0] == pytest.approx(q[1], rel=1e-6)


def test_a_signal_that_passes_the_cut_like_background_is_refused():
    counts = drawn(np.random.default_rng(5), 1000)
    with pytest.raises(HuntError, match=r"0\.0909 of the simulated signal pass the cut, no more"):
        PeakModel.of_template(*counts, templates(3500.0), leak=10.0)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_units(kind):
    """Events that weigh 2.5 each are as many events, each worth as much."""
    counts = drawn(np.random.default_rng(9), 300, signal=40)
    at = templates(3400.0, 3700.0)
    weighed = [Histogram(2.5 * part.sums, 6.25 * part.sums) for part in counts]
    plain, heavy = (scan(models(*parts, at)[kind]) for parts in (counts, weighed))
    np.testing.assert_allclose(heavy.z, plain.z, rtol=1e-5)
    np.testing.assert_allclose(heavy.signal, 2.5 * np.array(plain.signal), rtol=1e-4)
    np.testing.assert_allclose(heavy.error_high, 2.5 * np.array(plain.error_high), rtol=1e-4)


def test_errors_are_where_the_likelihood_has_risen_by_a_half():
    counts = drawn(np.random.default_rng(10), 100, signal=15)
    for model in models(*counts, templates(3500.0)).values():
        found = scan(model)
        peaks, null = model.peaks()
        free = fit(peaks, null.s_P, null.theta_PK)
        assert found.error_high[0] > found.error_low[0] > 0
        for s in (found.signal[0] - found.error_low[0], found.signal[0] + found.error_high[0]):
            risen = fit(peaks, np.array([s]), free.theta_PK, held=True).value_P - free.value_P
            assert risen[0] == pytest.approx(0.5, abs=1e-5)


def test_the_best_mass_has_an_error_that_covers():
    at = templates(*np.geomspace(2800, 5500, 15))
    inside = 0
    for seed in range(30):
        counts = drawn(np.random.default_rng(seed), 500, signal=120, mass=3500)
        best = scan(PeakModel.of_shape(counts[0], SHAPE, at)).best
        assert best.z > 4
        inside += best.mass - best.mass_low < 3500 < best.mass + best.mass_high
        assert 15 < best.mass_high < 60  # 6 % of the mass over the root of the yield is 19 GeV
    assert stats.binomtest(inside, 30, 0.683).pvalue > 0.01


def test_the_statistic_of_toys_is_that_of_data():
    outliers, others = spectra(3, 200)
    at = templates(3000.0, 3500.0, 4500.0)
    expected = others.sums / 9
    ways = {
        "others": LikelihoodScan(at),
        "leak": LikelihoodScan(at, leak=0.5),
        "family": LikelihoodScan(at, family=exponential()),
        "fixed": LikelihoodScan(at, fixed=True),
    }
    for statistic in ways.values():
        toys = statistic.of(outliers, others, expected)
        for i in range(3):
            one = [Histogram.counted(part.sums[i]) for part in (outliers, others)]
            data = scan(statistic.model(*one, expected[i]))
            assert data.statistic == pytest.approx(toys[i], rel=1e-6, abs=1e-9)


def test_bins_without_an_expectation_are_left_out():
    counts = np.array([30, 22, 14, 9, 5, 4, 2, 1, 1, 0, 3, 0])
    expected = 90 * SHAPE
    expected[10:] = 0
    at = templates(4000.0, 5500.0)
    with_them = scan(PeakModel.of_shape(Histogram.counted(counts), expected, at))
    counts[10:] = 0
    without = scan(PeakModel.of_shape(Histogram.counted(counts), expected, at))
    assert with_them == without
    assert max(with_them.z) < 3


def test_crossings_are_roots():
    rng = np.random.default_rng(0)
    where, low = rng.uniform(-40, 40, 50), -50.0
    for shape in (np.tanh, lambda x: x**3, lambda x: np.expm1(x / 9), np.sign):
        found = crossing(lambda x, f=shape: f(x - where), np.full(50, low), np.full(50, low + 1))
        np.testing.assert_allclose(found, where, atol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_toy_without_outliers_has_no_excess(kind):
    outliers, others = spectra(3, 50)
    outliers.sums[1] = 0
    q = models(outliers, others, templates(3000.0, 4000.0))[kind].q0()
    assert np.isfinite(q).all()
    np.testing.assert_allclose(q[1], 0, atol=1e-6)
