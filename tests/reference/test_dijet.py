"""Dijet functions against scipy, slow loops, closed forms and simulated spectra."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt import Histogram, Sample, Scores, hunt_here
from raybead.hunt.background import Dijet, predict
from raybead.hunt.background.falling import DijetFunctions
from raybead.hunt.binning import edges_within
from raybead.hunt.scan import BumpHunt, Windows
from raybead.hunt.toys import Look, Thinned, observed_statistics, statistics

SQRT_S = 13000.0
EDGES = edges_within((2659.0, 6099.0))
SIXTEEN = edges_within((2659.0, 5058.0))
NODES, WEIGHTS = np.polynomial.legendre.leggauss(12)


def integrated(density, edges):
    """[M] integrals over bins of a function of the mass."""
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    return half * (WEIGHTS @ density(middle + NODES[:, None] * half))


def dijet(mass, p):
    x = mass / SQRT_S
    log = np.log(x)
    p2, p3, p4 = (*p[1:], 0, 0, 0)[:3]
    return (1 - x) ** p[0] * x ** -(p2 + p3 * log + p4 * log**2)


def spectrum(n, p=(10.0, 5.0), edges=EDGES):
    """[M] events expected of n."""
    expected = integrated(lambda mass: dijet(mass, p), edges)
    return n * expected / expected.sum()


def slowly_fitted(counts, n, share=1.0, kept=None):
    """[M] expected events by scipy's minimum of the Poisson likelihood of n parameters."""
    kept = np.ones(len(counts), dtype=bool) if kept is None else kept
    middle, half = (EDGES[1:] + EDGES[:-1]) / 2, np.diff(EDGES) / 2
    x = (middle + NODES[:, None] * half) / SQRT_S
    log = 3 * np.log(x / 0.3)
    terms = np.stack([np.ones_like(x), 10 * np.log((1 - x) / 0.7), log, log**2, log**3])[:n]

    def both(a):
        f = WEIGHTS[:, None] * half * np.exp(np.tensordot(a, terms, 1))
        return f.sum(axis=0), np.einsum("kqm,qm->km", terms, f)

    def loss(a):
        expected = both(a)[0]
        return np.sum((share * expected - special.xlogy(counts, expected))[kept])

    def slope(a):
        expected, slopes = both(a)
        return (slopes * (share - counts / expected))[:, kept].sum(axis=1)

    def scoring(a):
        expected, slopes = both(a)
        return np.einsum("km,lm,m->kl", slopes, slopes, kept * share / expected)

    total = counts[kept].sum() / np.broadcast_to(share, len(kept))[kept].mean()
    start = np.zeros(n)
    start[:3] = np.log(total / (EDGES[-1] - EDGES[0])), 1.0, -1.5
    found = optimize.minimize(
        loss, start, jac=slope, hess=scoring, method="trust-exact",
        options={"gtol": 1e-9, "maxiter": 2000},
    )  # fmt: skip
    return both(found.x)[0]


def drawn(expected, n, seed):
    return np.random.default_rng(seed).poisson(expected, (n, len(expected)))


def fit_of(counts, parameters=(3, 5), edges=EDGES):
    histogram = Histogram.counted(np.asarray(counts))
    return Dijet.fit(histogram, histogram, edges, SQRT_S, parameters)


def batch(counts):
    histogram = Histogram.counted(counts)
    return histogram, histogram


@pytest.mark.parametrize("n", [3, 4, 5])
@pytest.mark.parametrize("events", [150, 3000, 200_000])
def test_fits_are_the_maximum_of_the_poisson_likelihood(n, events):
    counts = drawn(spectrum(events, (8.0, 5.5, 0.3)), 12, n)
    fitted = fit_of(counts[0], (n, n)).refit(*batch(counts))
    for row, expected in zip(counts, fitted, strict=True):
        np.testing.assert_allclose(expected, slowly_fitted(row, n), rtol=1e-6, atol=1e-9)


def test_parameters_are_those_of_the_formula():
    truth = (9.0, 5.5, 0.4, 0.05)
    fit = fit_of(np.rint(spectrum(1e9, truth)).astype(np.int64), (5, 5))
    log_p0, *others = fit.parameters
    np.testing.assert_allclose(
        integrated(lambda mass: np.exp(log_p0) * dijet(mass, others), EDGES),
        fit.expected,
        rtol=1e-6,
    )
    np.testing.assert_allclose(fit.expected, spectrum(1e9, truth), rtol=1e-3)


def test_weighted_fits_are_of_the_scaled_poisson():
    rng = np.random.default_rng(1)
    weight = np.exp(-np.arange(21) / 4.0)
    counts, rest = rng.poisson(spectrum(2000)), rng.poisson(10 * spectrum(2000))
    pair = (Histogram(n * weight, n * weight**2) for n in (counts, rest))
    fit = Dijet.fit(*pair, EDGES, SQRT_S, (4, 4))
    filled = counts + rest > 0
    share = np.where(filled, 1 / weight, (counts + rest) @ weight / ((counts + rest) @ weight**2))
    np.testing.assert_allclose(fit.expected, slowly_fitted(counts, 4, share), rtol=1e-6)
    np.testing.assert_allclose(1 / fit.per_event, share)


def test_a_shared_weight_only_changes_the_unit():
    counts = drawn(spectrum(2000), 1, 3)[0]
    plain = fit_of(counts)
    heavy = Histogram(4e5 * counts, 1.6e11 * counts)
    fit = Dijet.fit(heavy, heavy, EDGES, SQRT_S)
    np.testing.assert_allclose(fit.expected, 4e5 * plain.expected, rtol=1e-8)
    np.testing.assert_allclose(fit.uncertainty, 4e5 * plain.uncertainty, rtol=1e-8)


def test_negative_sums_count_as_none_and_are_told():
    counts = drawn(spectrum(2000), 1, 3)[0].astype(float)
    negative, none = counts.copy(), counts.copy()
    negative[-3:], none[-3:] = -2.0, 0.0
    others = Histogram(counts + 10, counts + 10)
    fits = [
        Dijet.fit(Histogram(sums, np.abs(sums)), others, EDGES, SQRT_S, (3, 3))
        for sums in (negative, none)
    ]
    share = 1 / fits[0].per_event
    expected = slowly_fitted(np.maximum(negative, 0) * share, 3, share)
    np.testing.assert_allclose(fits[0].expected, expected, rtol=1e-6)
    assert any("3 of 21 bins the outliers' weights sum to less" in w for w in fits[0].warnings())
    assert fits[1].warnings() == ()


def test_the_f_test_is_that_of_a_slow_loop():
    counts = drawn(spectrum(20_000, (4.0, 5.0, 1.0)), 60, 0)
    functions = DijetFunctions.of(EDGES, SQRT_S, (3, 5))
    chosen = functions.choose(counts.T.astype(float), np.ones(counts.T.shape))
    for row, order in zip(counts, chosen.order_B, strict=True):
        fits = {n: slowly_fitted(row, n) for n in (3, 4, 5)}
        deviance = {
            n: 2 * sum(
                mu - k + (k * np.log(k / mu) if k else 0) for k, mu in zip(row, fit, strict=True)
            ) for n, fit in fits.items()
        }  # fmt: skip
        wanted = 3
        for n in (4, 5):
            bins = [m for m in range(21) if fits[n][m] >= 0.3]
            chi2 = sum((row[m] - fits[n][m]) ** 2 / fits[n][m] for m in bins)
            ratio = (deviance[n - 1] - deviance[n]) / (chi2 / (len(bins) - n))
            if stats.f.sf(ratio, 1, len(bins) - n) >= 0.05:
                break
            wanted = n
        assert order == wanted
    assert {3, 4} <= set(chosen.order_B)


@pytest.mark.parametrize("events", [100, 3000])
def test_a_parameter_too_many_is_asked_for_as_often_as_alpha_says(events):
    counts = drawn(spectrum(events), 6000, 5).T.astype(float)
    functions = DijetFunctions.of(EDGES, SQRT_S, (3, 4))
    more = np.mean(functions.choose(counts, np.ones_like(counts)).order_B == 4)
    assert more == pytest.approx(0.05, abs=0.012)


@pytest.mark.parametrize("parameters", [(3, 3), (4, 4)])
def test_masked_fits_are_those_of_scipy_without_the_window(parameters):
    counts = drawn(spectrum(3000), 3, 7)
    windows = Windows.of(21, (2, 5))
    found = fit_of(counts[0], parameters).refit_windows(*batch(counts), windows)
    for toy, row in enumerate(counts):
        for window in range(0, len(windows), 4):
            inside = np.zeros(21, dtype=bool)
            inside[windows.start[window] : windows.stop[window]] = True
            expected = slowly_fitted(row, parameters[0], kept=~inside)[inside].sum()
            assert found[toy, window] == pytest.approx(expected, rel=1e-6)


def test_toys_fitted_together_are_toys_fitted_alone():
    counts = drawn(spectrum(600), 40, 2)
    fit, windows = fit_of(counts[0]), Windows.of(21, (2, 4))
    together, masked = fit.refit(*batch(counts)), fit.masked(*batch(counts), windows)
    whole = fit.in_windows(*batch(counts), windows)
    for toy in range(0, 40, 7):
        alone = batch(counts[toy : toy + 1])
        np.testing.assert_allclose(fit.refit(*alone)[0], together[toy], rtol=1e-9)
        again = fit.masked(*alone, windows)
        np.testing.assert_allclose(again.expected[0], masked.expected[toy], rtol=1e-6)
        np.testing.assert_allclose(again.uncertainty[0], masked.uncertainty[toy], rtol=1e-5)
        sums = [together[toy, a:b].sum() for a, b in zip(windows.start, windows.stop, strict=True)]
        np.testing.assert_allclose(whole.expected[toy], sums)
    np.testing.assert_allclose(fit.refit(*batch(counts[:1]))[0], fit.expected)


def test_uncertainties_are_the_spread_of_fits():
    truth = spectrum(3000)
    counts = drawn(truth, 3000, 4)
    fit, windows = fit_of(counts[0], (3, 3)), Windows.of(21, (3, 3))
    spread = fit.refit(*batch(counts)).std(axis=0)
    uncertainty = fit_of(np.rint(truth).astype(np.int64), (3, 3)).uncertainty
    np.testing.assert_allclose(uncertainty[:-2], spread[:-2], rtol=0.1)
    np.testing.assert_allclose(uncertainty, spread, rtol=0.25)
    masked = fit.masked(*batch(counts), windows)
    expected = np.array(
        [truth[a:b].sum() for a, b in zip(windows.start, windows.stop, strict=True)]
    )
    pulls = (masked.expected - expected) / masked.uncertainty
    observed = np.array(
        [counts[:, a:b].sum(axis=1) for a, b in zip(windows.start, windows.stop, strict=True)]
    ).T
    yields = (observed - masked.expected) / np.sqrt(masked.expected + masked.uncertainty**2)
    assert np.abs(pulls.std(axis=0) - 1).max() < 0.15
    assert np.abs(np.median(pulls, axis=0)).max() < 0.1
    assert np.abs(yields.std(axis=0) - 1).max() < 0.08


@pytest.mark.parametrize("true", [(10.0, 5.0), (10.0, 5.0, 0.6)])
def test_global_p_values_are_uniform_without_a_signal(true):
    """A spectrum that three parameters describe, and one that asks for another."""
    scan = BumpHunt(Windows.of(16, (2, 5)))
    sets = drawn(spectrum(3000, true, SIXTEEN), 150, 11)
    p = []
    for i, counts in enumerate(sets):
        fit = fit_of(counts, edges=SIXTEEN)
        null, looks = Thinned((fit.expected,), ((0,),)), [Look(fit, scan)]
        toys = statistics(null, looks, 99, (3, i))[:, 0]
        data = observed_statistics(null, looks, (batch(counts[None]),))[0]
        np.testing.assert_allclose(data, scan.of(*batch(counts[None]), fit.expected[None])[0])
        p.append((1 + np.sum(toys >= data)) / 100)
    p = np.array(p)
    for level in (0.05, 0.1, 0.5):
        assert stats.binomtest(int(np.sum(p <= level)), 150, level).pvalue > 0.01
    assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("mass", [3100.0, 3500.0, 4500.0])
def test_a_window_s_own_signal_is_not_taken_for_background_when_masked(mass):
    """Without fluctuations, of a peak as large as the error of what is below it."""
    background = 1e3 * spectrum(3000)
    peak = np.diff(stats.norm.cdf(EDGES, mass, 0.02 * mass))
    size = 1e3 * 60.0
    counts = np.rint(background + size * peak).astype(np.int64)
    inside = np.flatnonzero(peak > 0.02)
    window = Windows(np.array([inside[0]]), np.array([inside[-1] + 1]))
    fit = fit_of(counts, (3, 3))
    seen = counts[inside].sum()
    masked = (seen - fit.masked(*batch(counts[None]), window).expected[0, 0]) / size
    swallowed = (seen - fit.expected[inside].sum()) / size
    assert masked == pytest.approx(1, abs=0.12)
    assert swallowed < masked - 0.1


def test_a_hunt_finds_a_resonance_over_a_dijet_function():
    rng = np.random.default_rng(5)
    mass = np.concatenate([2659 + rng.exponential(500, 4000), rng.normal(3800, 100, 120)])
    score = rng.normal(0, 1, 4120) + 3 * (np.arange(4120) >= 4000)
    search = Sample(np.arange(4120), mass, score, np.ones(4120))
    config = Hunt(background="dijet", cuts=(0.9,), toys=300, precision=0.0)
    (found,) = hunt_here([Scores("run", search, search)], config, 1)["cuts"]
    assert found["window"]["low"] <= 3800 <= found["window"]["high"]
    assert found["global"]["beyond"] == 0
    assert found["background"]["agreement"]["parameters"] == 3
    json.dumps(found, allow_nan=False)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(0, 30) | st.sampled_from([0, 0, 0, 10**6]), min_size=8, max_size=8),
    st.floats(1e-6, 1e6),
    st.booleans(),
)
def test_no_spectrum_makes_a_number_that_is_none(counts, weight, weighted):
    edges = np.linspace(2000, 9000, 9)
    data = fit_of([200, 120, 60, 31, 14, 8, 3, 1], edges=edges)
    sums = np.array([counts, [0] * 8])
    pair = batch(sums) if not weighted else [Histogram(sums * weight, sums * weight**2)] * 2
    windows = Windows.of(8, (1, 4))
    every = [data.refit(*pair)]
    for said in (data.masked(*pair, windows), data.in_windows(*pair, windows)):
        every += [said.expected, said.uncertainty]
    for values in every:
        assert np.isfinite(values).all()
        assert (values >= 0).all()
        assert (values[1] < 1e-30).all()


def test_what_cannot_be_fitted_takes_the_data_s_shape():
    data = fit_of(drawn(spectrum(3000), 1, 0)[0])
    few = np.zeros((1, 21), dtype=np.int64)
    few[0, [0, 4]] = 5
    np.testing.assert_allclose(
        data.refit(*batch(few))[0], data.expected * 10 / data.expected.sum(), rtol=1e-12
    )
    window = Windows(np.array([3]), np.array([6]))
    masked = data.masked(*batch(few), window)
    assert masked.fallback.all()
    kept = np.r_[0:3, 6:21]
    scale = 5 / data.expected[kept].sum()
    assert masked.expected[0, 0] == pytest.approx(scale * data.expected[3:6].sum())


def test_a_job_asks_for_a_dijet_function():
    counts = Histogram.counted(drawn(spectrum(3000), 1, 0)[0])
    found = predict(counts, counts, EDGES, Hunt(background="dijet", parameters=(3, 4)))
    assert isinstance(found, Dijet)
    np.testing.assert_array_equal(found.expected, fit_of(counts.sums, (3, 4)).expected)
    # Another energy of the collisions is another function of the same masses.
    other = predict(counts, counts, EDGES, Hunt(background="dijet", sqrt_s=8000.0))
    assert not np.allclose(other.expected, found.expected, rtol=1e-6)
    none = Histogram.counted(np.zeros(21, dtype=np.int64))
    assert isinstance(predict(counts, none, EDGES, Hunt(background="dijet")), Dijet)


def test_dijet_functions_that_cannot_be_are_refused_in_words():
    few = np.zeros(21, dtype=np.int64)
    few[:3] = 9
    with pytest.raises(HuntError, match=r"only 3 bins hold outliers: too few .* of 3 parameters"):
        fit_of(few)
    with pytest.raises(HuntError, match=r"below sqrt_s = 6000 GeV, .* from 2659 to 6099"):
        DijetFunctions.of(EDGES, 6000.0, (3, 5))
    thin = np.zeros(21, dtype=np.int64)
    thin[:7] = 1
    assert any("7 outliers in 21 bins" in said for said in fit_of(thin).warnings())
