"""Thresholds against quantiles that are known; what they leave of sculpting and of a signal."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt import Histogram, Sample, fit_threshold
from raybead.hunt.background import NonOutliers, agreement
from raybead.hunt.binning import edges_within
from raybead.hunt.selection import select
from raybead.hunt.selection.regression import positive_regressed, regressed, smoothing
from raybead.hunt.weights import quantile as weighted_quantile

EDGES = edges_within((2659, 6099))
CUTS = (0.9, 0.95, 0.99)


def median(mass):
    """A drift, and a turn-on in the first few bins as a trigger on jets makes it."""
    return 0.8 * np.log(mass / 3000) + 1.2 * np.exp(-(mass - 2600) / 120)


def spread(mass):
    return (mass / 3000) ** 0.4


def sculpted(n, seed, signal=0):
    rng = np.random.default_rng(seed)
    peak = np.random.default_rng(seed).normal(3500, 140, signal)
    mass = np.concatenate([2659 + rng.exponential(550, n), peak])
    z = np.concatenate([rng.normal(size=n), rng.normal(2.2, 1, signal)])
    inside = (mass >= EDGES[0]) & (mass < EDGES[-1])
    mass, z = mass[inside], z[inside]
    return Sample(np.arange(len(mass)), mass, median(mass) + spread(mass) * z, np.ones(len(mass)))


def histograms(sample, outlier):
    return [Histogram.of(sample.mass[k], None, EDGES) for k in (outlier, ~outlier)]


@pytest.mark.parametrize("quantile", [0.3, 0.75, 0.9, 0.99])
def test_thresholds_are_the_quantiles_that_scores_were_drawn_from(quantile):
    threshold = fit_threshold(sculpted(200_000, 1), quantile)
    at = np.linspace(2665, 5500, 200)
    true = median(at) + spread(at) * stats.norm.ppf(quantile)
    inside = np.abs(threshold.at(at) - true)
    assert inside.max() < 0.12
    assert inside.mean() < 0.03


@pytest.mark.parametrize(("fit", "n_background"), [("search", 10), ("background", 25_000)])
def test_what_passes_a_conditional_cut_has_the_shape_of_what_does_not(fit, n_background):
    """Over 10 samples of 4,000 events; the polynomials that were the default had 1.5 and more."""
    chi2, ndf = np.zeros(3), np.zeros(3)
    background = sculpted(n_background, 1000)
    for seed in range(10):
        search = sculpted(4000, seed)
        for k, found in enumerate(select(search, background, Hunt(threshold_fit=fit))):
            outliers, others = histograms(search, found.outlier)
            fit_ = agreement(outliers, NonOutliers(outliers, others), slice(0, 0))
            chi2[k] += fit_.chi2
            ndf[k] += fit_.ndf
    assert (chi2[:2] / ndf[:2] < 1.3).all()
    assert chi2[2] <= 1.3 * max(ndf[2], 10)


def test_a_signal_hardly_lifts_its_own_threshold():
    passed = {}
    for order in ("auto", 2, 4):
        config = Hunt(cuts=(0.9,), threshold_order=order)
        excess = []
        for seed in range(6):
            seen = []
            for signal in (0, 80):  # among the same background events
                search = sculpted(4000, seed, signal)
                (found,) = select(search, search, config)
                near = found.outlier & (search.mass > 3220) & (search.mass < 3780)
                seen.append(near.sum())
            excess.append(seen[1] - seen[0])
        passed[order] = np.mean(excess)
    # Of 80 events some 76 lie near, and 63 of them above the background's 90 % quantile.
    assert passed["auto"] > 32
    assert passed["auto"] > passed[2] + 4
    assert passed[2] > passed[4] + 3


def test_gaps_to_hard_cuts_keep_their_shape_where_few_events_lie_beyond():
    """At 0.99 some 16 events of 1,600 lie beyond: their height counts, and not their slope."""
    slopes = []
    for seed in range(10):
        threshold = fit_threshold(sculpted(1600, seed), 0.99)
        at = np.array([2800.0, 4500.0])
        true = median(at) + spread(at) * stats.norm.ppf(0.99)
        slopes.append(np.diff(threshold.at(at) - true)[0])
    assert np.std(slopes) < 0.45


def test_newtons_method_finds_the_minimum_that_another_finds():
    rng = np.random.default_rng(4)
    x = rng.uniform(-1, 1, 900)
    score, weight = 0.5 * x + np.exp(0.6 * x) * rng.gamma(2, 1, 900), rng.lognormal(0, 0.4, 900)
    design = np.vander(x, 3, increasing=True)
    width = smoothing(score, weight, 0.9)

    def loss(curve):
        u = (score - curve) / width
        each = u * (0.9 - stats.norm.cdf(-u)) + stats.norm.pdf(u)
        return np.sum(weight * each) / weight.sum()

    start = np.array([weighted_quantile(score, weight, 0.9), 0, 0])
    ours = regressed(design, score, weight, 0.9, width, start)
    options = {"xatol": 1e-10, "fatol": 1e-14, "maxiter": 20_000, "maxfev": 20_000}
    theirs = minimize(lambda c: loss(design @ c), start, method="Nelder-Mead", options=options)
    assert loss(design @ ours) <= theirs.fun * (1 + 1e-9)
    np.testing.assert_allclose(design @ ours, design @ theirs.x, atol=1e-4)
    start = np.array([np.log(start[0]), 0, 0])
    ours = positive_regressed(design, score, weight, 0.9, width, start)
    theirs = minimize(
        lambda c: loss(np.exp(design @ c)), start, method="Nelder-Mead", options=options
    )
    assert loss(np.exp(design @ ours)) <= theirs.fun * (1 + 1e-9)


def test_a_fit_does_not_depend_on_where_it_begins():
    sample = sculpted(3000, 5)
    rng = np.random.default_rng(0)
    design = np.vander(np.log(sample.mass / 3000) / 0.2, 4, increasing=True)
    ones = np.ones(len(sample))
    width = smoothing(sample.score, ones, 0.95)
    starts = [np.zeros(4), rng.normal(0, 3, 4), np.array([40.0, 0, 0, -1])]
    fits = [regressed(design, sample.score, ones, 0.95, width, start) for start in starts]
    for fit in fits[1:]:
        np.testing.assert_allclose(design @ fit, design @ fits[0], atol=1e-4)


def test_cuts_that_cannot_be_leave_the_others_be():
    sample = sculpted(500, 1)
    found = select(sample, sample, Hunt(cuts=(0.999, 0.9)))
    assert isinstance(found[0], HuntError)
    assert str(found[0]).startswith("cut 0.999: only 0.4 of the")
    assert not isinstance(found[1], HuntError)


@pytest.mark.parametrize("fit", ["search", "background"])
def test_scores_that_are_all_the_same_are_refused(fit):
    sample = sculpted(500, 1)
    same = Sample(sample.event, sample.mass, np.full(len(sample), 0.25), sample.weight)
    with pytest.raises(HuntError, match=r"scores of the \d+ events of the search sample are all"):
        select(same, sample, Hunt(threshold_fit=fit))
    (found,) = select(sample, same, Hunt(cuts=(0.9,), threshold_fit="background"))
    assert isinstance(found, HuntError)
    assert "are all 0.25" in str(found)


def test_a_fine_grained_score_is_no_tie():
    sample = sculpted(4000, 1)
    rounded = Sample(sample.event, sample.mass, np.round(sample.score, 2), sample.weight)
    (found,) = select(rounded, rounded, Hunt(cuts=(0.9,)))
    assert not isinstance(found, HuntError)
    assert found.outlier.mean() == pytest.approx(0.1, abs=0.01)
