"""Batched ratio polynomials and templates against slow loops."""

import numpy as np
import pytest
from numpy.polynomial import Polynomial

from raybead.hunt import Histogram
from raybead.hunt.background import NonOutliers, RatioPolynomial
from raybead.hunt.toys import Permutation

EDGES = np.linspace(2659, 6099, 17)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2


def spectra(n, seed, outliers=300):
    rng = np.random.default_rng(seed)
    fall = np.exp(-np.arange(16) / 4.0)
    fall /= fall.sum()
    return rng.poisson(outliers * fall, (n, 16)), rng.poisson(10 * outliers * fall, (n, 16))


def slowly(outliers, others):
    """The recipe for one pair, by numpy's least squares."""
    filled = (outliers > 0) & (others > 0)
    ratio = outliers[filled] / others[filled]
    error = ratio * np.sqrt(1 / outliers[filled] + 1 / others[filled])
    order = min(4, filled.sum() - 2)
    fit = Polynomial.fit(CENTRES[filled], ratio, order, w=1 / error, domain=[2659, 6099])
    return np.maximum(fit(CENTRES), 0) * others


@pytest.mark.parametrize("outliers", [40, 300, 30_000])
def test_fits_of_many_are_fits_of_each(outliers):
    some, rest = spectra(40, outliers, outliers)
    fit = RatioPolynomial.fit(Histogram.counted(some[0]), Histogram.counted(rest[0]), EDGES)
    found = fit.refit(Histogram.counted(some), Histogram.counted(rest))
    np.testing.assert_allclose(found[0], fit.expected)
    for toy in range(40):
        np.testing.assert_allclose(found[toy], slowly(some[toy], rest[toy]), rtol=1e-7, atol=1e-8)


def test_uncertainties_hold_what_the_fit_leaves_open():
    some, rest = spectra(1500, 1, 30_000)
    fit = RatioPolynomial.fit(Histogram.counted(some[0]), Histogram.counted(rest[0]), EDGES)
    found = fit.refit(Histogram.counted(some), Histogram.counted(rest))
    ratio = found / rest
    np.testing.assert_allclose(ratio.std(axis=0), fit.fitted.errors[0], rtol=0.2)


def test_few_bins_make_a_simpler_polynomial_and_none_a_constant():
    some = np.zeros((4, 16), dtype=np.int64)
    rest = np.full((4, 16), 50)
    some[1, :4], some[2, 3], some[3, 5] = 7, 8, 9
    rest[3, 5] = 0
    fit = RatioPolynomial.fit(Histogram.counted(some[1]), Histogram.counted(rest[1]), EDGES)
    found = fit.refit(Histogram.counted(some), Histogram.counted(rest))
    assert (found[0] == 0).all()
    np.testing.assert_allclose(found[1], 7.0)
    np.testing.assert_allclose(found[2], 8.0)
    np.testing.assert_allclose(found[3], rest[3] * 9 / 750)
    assert any("of order 2 instead of 4" in said for said in fit.warnings())


def test_a_polynomial_below_0_predicts_nothing_and_says_so():
    some = np.array([900, 500, 260, 130, 60, 26, 9, 3, 1, 1, 1, 1, 1, 1, 40, 200])
    rest = np.full(16, 1000)
    fit = RatioPolynomial.fit(Histogram.counted(some), Histogram.counted(rest), EDGES)
    assert fit.fitted.floored.any()
    assert (fit.expected >= 0).all()
    floored = int((fit.expected == 0).sum())
    assert any(f"falls below 0 in {floored} of 16" in said for said in fit.warnings())


def test_templates_follow_each_toy_s_own_outliers():
    some, rest = spectra(30, 5)
    every = NonOutliers(Histogram.counted(some[0]), Histogram.counted(rest[0]))
    found = every.refit(Histogram.counted(some), Histogram.counted(rest))
    for toy in range(30):
        np.testing.assert_allclose(found[toy], rest[toy] * some[toy].sum() / rest[toy].sum())


def test_templates_of_weighted_toys_are_what_is_left_scaled():
    bins, weight = np.arange(8) % 4, np.array([1, 0.2, 3, -0.5, 2, 1, 1, 0.7])
    which = np.array([True, False] * 4)
    null = Permutation(bins, which[:, None], 4, weight)
    weighed = NonOutliers(*(Histogram(h.sums[0], h.squares[0]) for h in null.data()[0]))
    np.testing.assert_allclose(weighed.outliers.sums, np.bincount(bins[which], weight[which], 4))
    ((dealt, others),) = null.draw(np.random.default_rng(0), 20)
    template = weighed.refit(dealt, others)
    whole = np.bincount(bins, weight)
    for toy, expected in zip(dealt.sums, template, strict=True):
        left = whole - toy
        scale = toy.sum() / left.sum() if toy.sum() > 0 and left.sum() > 0 else 0.0
        np.testing.assert_allclose(expected, left * scale, atol=1e-12)
    assert (template.sum(axis=1) > 0).all()


@pytest.mark.parametrize("empty", ["outliers", "others"])
def test_templates_of_nothing_predict_nothing(empty):
    some, rest = spectra(2, 5)
    (some if empty == "outliers" else rest)[1] = 0
    fit = NonOutliers(Histogram.counted(some[0]), Histogram.counted(rest[0]))
    found = fit.refit(Histogram.counted(some), Histogram.counted(rest))
    assert found[0].sum() == pytest.approx(some[0].sum())
    assert (found[1] == 0).all()
