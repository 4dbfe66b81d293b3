"""Tests of agreement against enumerations, closed forms and simulated spectra."""

import itertools
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from raybead.hunt import DIJET_EDGES, Histogram
from raybead.hunt.background import (
    Dijet,
    NonOutliers,
    RatioPolynomial,
    agreement,
    run_test,
)
from raybead.hunt.background.deviance import poisson_deviance, two_sample_deviance
from raybead.hunt.background.goodness import _groups

EDGES = DIJET_EDGES[(DIJET_EDGES >= 2659) & (DIJET_EDGES <= 5058)]
WINDOW = slice(6, 9)


def truth(n):
    x = (EDGES[1:] + EDGES[:-1]) / 2 / 13000
    expected = (1 - x) ** 10 / x**5 * np.diff(EDGES)
    return n * expected / expected.sum()


def pair(n, rng, weight=None):
    outliers, others = rng.poisson(truth(n)), rng.poisson(9 * truth(n))
    if weight is None:
        return Histogram.counted(outliers), Histogram.counted(others)
    return tuple(Histogram(k * weight, k * weight**2) for k in (outliers, others))


def predicted(kind, outliers, others):
    match kind:
        case "non-outliers":
            return NonOutliers(outliers, others)
        case "dijet":
            return Dijet.fit(outliers, others, EDGES, 13000.0)
        case "ratio-polynomial":
            return RatioPolynomial.fit(outliers, others, EDGES)


def agreements(kind, n, sets, weight=None, seed=0):
    rng = np.random.default_rng(seed)
    for i in range(sets):
        outliers, others = pair(n, rng, weight)
        yield agreement(outliers, predicted(kind, outliers, others), WINDOW, seed=i)


@pytest.mark.parametrize("above", range(1, 6))
@pytest.mark.parametrize("below", range(1, 6))
def test_the_run_test_counts_all_orders(above, below):
    orders = [
        np.array([1 if i in chosen else -1 for i in range(above + below)])
        for chosen in itertools.combinations(range(above + below), above)
    ]
    runs = np.array([len(list(itertools.groupby(order))) for order in orders])
    for order, count in zip(orders, runs, strict=True):
        found = run_test(np.insert(order * 0.3, 1, 0.0))
        assert (found.runs, found.above, found.below) == (count, above, below)
        assert found.p == pytest.approx(np.mean(runs <= count))


def test_runs_on_one_side_say_nothing():
    assert run_test(np.array([1.0, 2.0])).p == 1.0
    assert run_test(np.array([])).p == 1.0


def test_likelihood_ratios_are_those_of_the_explicit_likelihoods():
    rng = np.random.default_rng(0)
    n, mu = rng.poisson(3.0, 12), rng.uniform(0.5, 6, 12)
    log = stats.poisson.logpmf
    expected = -2 * np.sum(log(n, mu) - log(n, np.maximum(n, 1e-300)))
    assert poisson_deviance(n, mu) == pytest.approx(expected)
    assert poisson_deviance(np.append(n, 0), np.append(mu, 0)) == pytest.approx(expected)
    table = np.stack([rng.poisson(5.0, 8) + 1, rng.poisson(40.0, 8) + 1])
    oracle = stats.chi2_contingency(table, lambda_="log-likelihood", correction=False)
    found = two_sample_deviance(table[:1].astype(float), table[1:].astype(float))[0]
    assert found == pytest.approx(oracle.statistic)


@pytest.mark.parametrize(
    ("kind", "events"),
    # To few events the ratio polynomial isn't a true model: least squares bend it.
    [(k, n) for k in ("non-outliers", "dijet") for n in (60, 3000)] + [("ratio-polynomial", 3000)],
)
def test_p_values_of_true_models_are_uniform(kind, events):
    found = list(agreements(kind, events, 80))
    likelihood = np.array([a.likelihood.p for a in found])
    assert stats.kstest(likelihood, "uniform").pvalue > 0.01
    for level in (0.1, 0.5):
        few = int(np.sum(likelihood <= level))
        assert stats.binomtest(few, len(found), level).pvalue > 0.01
    chi2 = np.array([a.p for a in found if a.ndf])
    assert stats.kstest(chi2, "uniform").pvalue > 0.01
    # A fit makes neighbours take turns: the run test errs towards caution.
    runs = np.array([a.runs.p for a in found])
    assert stats.binomtest(int(np.sum(runs <= 0.1)), 80, 0.1, "greater").pvalue > 0.01


@pytest.mark.parametrize("kind", ["non-outliers", "dijet", "ratio-polynomial"])
def test_p_values_of_weighted_histograms_are_uniform(kind):
    weight = 3.0 * np.exp(-np.arange(16) / 5.0)
    found = list(agreements(kind, 2000, 60, weight))
    for p in ([a.likelihood.p for a in found], [a.p for a in found]):
        assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("kind", ["non-outliers", "dijet"])
def test_a_signal_in_the_window_is_not_held_against_the_prediction(kind):
    outliers, others = pair(3000, np.random.default_rng(2))
    counts = outliers.sums.copy()
    counts[WINDOW] += 150
    peaked = Histogram.counted(counts)
    masked = agreement(peaked, predicted(kind, peaked, others), WINDOW)
    clean = agreement(outliers, predicted(kind, outliers, others), WINDOW)
    assert asdict(masked) == asdict(clean)
    whole = agreement(peaked, predicted(kind, peaked, others), None)
    assert whole.p < 0.01
    assert whole.likelihood.p < 0.01


def test_a_wrong_shape_is_told_in_words():
    rng = np.random.default_rng(1)
    outliers = Histogram.counted(rng.poisson(truth(4000) * np.linspace(1.6, 0.2, 16)))
    others = Histogram.counted(rng.poisson(truth(40_000)))
    found = agreement(outliers, NonOutliers(outliers, others), WINDOW)
    said = " / ".join(found.warnings())
    assert "doesn't describe the outliers away from the window: chi2/ndf" in said
    assert "-2 log L ratio" in said
    assert "too few turns" in said
    fine = agreement(*[Histogram.counted(np.rint(truth(4000)).astype(int))] * 1,
                     NonOutliers(*[Histogram.counted(np.rint(truth(4000)).astype(int))] * 2),
                     WINDOW)  # fmt: skip
    assert fine.warnings() == ()


def test_what_cannot_be_tested_is_said():
    some = np.zeros(16, dtype=np.int64)
    some[6:8] = 3
    outliers = Histogram.counted(some)
    others = Histogram.counted(np.where(np.arange(16) == 7, 0, 40))
    found = agreement(outliers, NonOutliers(outliers, others), WINDOW)
    assert (found.ndf, found.p, found.likelihood.p, found.parameters) == (0, 1.0, 1.0, 0)
    said = " / ".join(found.warnings())
    assert "too few events are expected" in said
    assert "too few bins are left" in said
    assert "6 outliers in 16 bins" in said
    assert "nothing is predicted for 1 of 16 bins" in said


def test_groups_have_enough_events_and_stay_on_their_side():
    events = np.array([9, 4, 2, 8, 1, 7, 7, 3, 3, 1, 1, 0.5])
    kept = np.ones(12, dtype=bool)
    kept[5:7] = False
    np.testing.assert_array_equal(_groups(events, kept), [0, 1, 1, 2, 2, -1, -1, 3, 3, 3, 3, 3])
    kept[:7] = False
    np.testing.assert_array_equal(_groups(events / 9, kept), np.full(12, -1))
