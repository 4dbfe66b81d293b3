"""Weighted hunts against slow loops, repeated events, equal weights and the whole permutation."""

import itertools
from dataclasses import asdict, dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
from scipy import special, stats
from sklearn.linear_model import QuantileRegressor

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt import (
    GlobalP,
    Histogram,
    Sample,
    Scores,
    Threshold,
    fit_threshold,
    hunt_here,
    hunt_once,
    prepare_box,
)
from raybead.hunt.background import NonOutliers, RatioPolynomial, agreement
from raybead.hunt.result import window_yield
from raybead.hunt.scan import BumpHunt, Windows
from raybead.hunt.toys import Look, Permutation, statistics

KINDS = ("lognormal", "falling", "nlo")
WITHOUT_WEIGHTS = {
    "events": {"search": 3030, "in_window": 3029, "outliers": 295, "others": 2734},
    "outliers": [68, 46, 34, 30, 19, 25, 23, 16, 8, 12, 2, 5, 3, 0, 1, 1, 0, 1, 0, 1, 0],
    "beyond": 473 / 1500,  # of toys that knew nothing of fitted thresholds, with non-outliers
    "threshold": (1.23738748, 1.55689527, 1.9401561),  # of the third fold, at three masses
    "non-outliers": {
        "local": 0.018610801328545753, "excess_error": 10.37312305645136,
    },
    "ratio-polynomial": {
        "local": 0.018267525134547036, "excess_error": 3.0904508759478526,
    },
}  # fmt: skip


def weights_of(kind, rng, mjj):
    match kind:
        case "ones":
            return np.ones(len(mjj))
        case "lognormal":
            return rng.lognormal(0, 1, len(mjj))
        case "falling":  # as of samples made in slices of m_jj
            return np.exp(-(mjj - 2500) / 300) * rng.lognormal(0, 0.5, len(mjj))
        case "nlo":
            return rng.choice([1.0, -1.0], len(mjj), p=[0.85, 0.15])


def sample(n, seed, kind="ones", drift=0.8, signal=0):
    rng = np.random.default_rng(seed)
    mjj = np.concatenate([2660 + rng.exponential(500, n), rng.normal(3500, 80, signal)])
    score = drift * np.log(mjj / 3000) + rng.normal(0, 1, n + signal)
    score[n:] += 3
    return Sample(np.arange(n + signal), mjj, score, weights_of(kind, rng, mjj))


def box_of(search, background, config):
    return prepare_box([Scores("run", search, background)], config)


def p_of(search, background, config, toys=99):
    return hunt_once(box_of(search, background, config), config, toys, (1,)).p


def hunted(search, background, config, toys=99):
    """The only cut of a whole hunt."""
    config = config.model_copy(update={"toys": toys, "precision": 0.0})
    (found,) = hunt_here([Scores("run", search, background)], config, 1)["cuts"]
    return found


def weighing(events, weight):
    return Sample(events.event, events.mass, events.score, np.full(len(events), weight))


@pytest.mark.parametrize("background", ["non-outliers", "ratio-polynomial"])
def test_hunts_without_weights_are_what_they_were(background):
    """Numbers of the last version that knew no weights; the polynomial has its fit's error now."""
    was = WITHOUT_WEIGHTS | WITHOUT_WEIGHTS[background]
    config = Hunt(cuts=(0.9,), background=background, threshold_order=2)
    search, simulated = sample(3000, 5, signal=30), sample(10, 6)
    found = hunted(search, simulated, config, 300)
    assert found["events"] == was["events"]
    assert all(type(n) is int for n in found["events"].values())
    assert found["histogram"]["outliers"] == was["outliers"]
    assert found["local"]["p"] == pytest.approx(was["local"], rel=1e-9)
    assert found["window"]["excess_error"] == pytest.approx(was["excess_error"], rel=1e-9)
    if background == "non-outliers":
        box = box_of(search, simulated, config)
        toys = statistics(replace(box.null(), parts=1), box.looks(config), 6000, (1,))
        beyond = float(np.mean(toys[:, 0] >= box.observed(config)[0]))
        assert beyond == pytest.approx(was["beyond"], abs=4 * np.sqrt(0.22 / 1500 + 0.22 / 6000))
    threshold = Threshold.of(found["thresholds"][2]).at(np.array([2700.0, 3500.0, 5000.0]))
    assert threshold == pytest.approx(was["threshold"], rel=3e-4)
    assert set(found["histogram"]) == {"edges", "outliers", "others", "expected", "uncertainty"}


def test_toys_of_counts_are_the_multivariate_hypergeometric():
    outliers, others = np.array([30, 20, 0, 5]), np.array([300, 220, 0, 40])
    every, n = outliers + others, 4000
    flags = np.concatenate([np.arange(m) < k for m, k in zip(every, outliers, strict=True)])
    null = Permutation(np.repeat(np.arange(4), every), flags[:, None], 4)
    ((dealt, rest),) = null.draw(np.random.default_rng(4), n)
    counts = np.random.default_rng(4).multivariate_hypergeometric(every, 55, n)
    for m in (0, 1, 3):
        ours, theirs = (np.bincount(c[:, m], minlength=56) for c in (dealt.sums, counts))
        enough = ours + theirs >= 20
        assert stats.chi2_contingency([ours[enough], theirs[enough]]).pvalue > 1e-3
    np.testing.assert_allclose(np.cov(dealt.sums.T), np.cov(counts.T), atol=1.0)
    assert dealt.are_counts
    background = NonOutliers(Histogram.counted(outliers), Histogram.counted(others))
    template = background.refit(dealt, rest)
    np.testing.assert_allclose(template, (every - dealt.sums) * (55 / 560), rtol=1e-14)


@pytest.mark.parametrize("weight", [0.37, 250.0])
@pytest.mark.parametrize(
    "config",
    [
        Hunt(cuts=(0.9,)),
        Hunt(cuts=(0.8,), background="ratio-polynomial"),
        Hunt(cuts=(0.8,), background="dijet"),
    ],
)
def test_a_weight_that_all_share_changes_no_p_value(weight, config):
    search, background = sample(3000, 1, signal=40), sample(10, 2)
    ones = hunted(search, background, config)
    weighed = hunted(weighing(search, weight), weighing(background, 3.0), config)
    for key in ("thresholds", "local", "global", "scan", "toys", "background"):
        assert weighed[key] == ones[key]
    for key in ("outliers", "others", "expected", "uncertainty"):
        np.testing.assert_allclose(
            weighed["histogram"][key], weight * np.array(ones["histogram"][key])
        )
    squares = weight**2 * np.array(ones["histogram"]["outliers"])
    np.testing.assert_allclose(weighed["histogram"]["outliers_squares"], squares)
    assert weighed["window"]["excess"] == pytest.approx(weight * ones["window"]["excess"])
    error = weight * ones["window"]["excess_error"]
    assert weighed["window"]["excess_error"] == pytest.approx(error)
    assert weighed["window"]["scale"] == ones["window"]["scale"]
    assert weighed["events"]["search"] == pytest.approx(weight * 3040)
    assert weighed["peak"]["z"] == ones["peak"]["z"]
    assert weighed["peak"]["global"] == ones["peak"]["global"]
    for part, keys in (("peak", ("signal", "error_low", "error_high")), ("limits", ("observed",))):
        for key in keys:
            np.testing.assert_allclose(weighed[part][key], weight * np.array(ones[part][key]))


def test_a_fixed_threshold_selects_as_if_events_were_repeated():
    rng = np.random.default_rng(3)
    events = sample(2000, 3)
    times = rng.integers(1, 6, 2000)
    times[0] += 10 - times.sum() % 10  # the share of 0.9 is a whole number of events
    weighted = Sample(events.event, events.mass, events.score, times.astype(float))
    repeated = events.select(np.repeat(np.arange(2000), times))
    ours, theirs = (fit_threshold(s, 0.9, 0).at(events.mass) for s in (weighted, repeated))
    np.testing.assert_array_equal(events.score > ours, events.score > theirs)
    assert times[events.score > ours].sum() <= 0.1 * times.sum()


@pytest.mark.parametrize("quantile", [0.5, 0.9])
@pytest.mark.parametrize("order", [1, 2])
def test_the_threshold_is_the_weighted_quantile_regression(quantile, order):
    events = sample(900, 8, "lognormal", drift=1.5)
    threshold = fit_threshold(events, quantile, order)
    x = np.log(events.mass / 3000)[:, None] ** np.arange(1, order + 1)
    oracle = QuantileRegressor(quantile=quantile, alpha=0.0, solver="highs")
    oracle.fit(x, events.score, sample_weight=events.weight)

    def pinball(prediction):
        rest = events.score - prediction
        return np.average(rest * (quantile - (rest < 0)), weights=events.weight)

    # Bins of m_jj are levelled against one another, so this loss isn't quite what is minimised.
    assert pinball(threshold.at(events.mass)) <= pinball(oracle.predict(x)) * (1 + 1e-2)
    below = events.weight[events.score <= threshold.at(events.mass)].sum() / events.weight.sum()
    assert below == pytest.approx(quantile, abs=events.weight.max() / events.weight.sum())


def test_thresholds_forget_a_function_of_mjj_in_the_weights():
    """Weights that fall by e^7 leave the threshold at high masses as good as it was."""
    plain = sample(6000, 4)
    fall = np.exp(-(plain.mass - 2660) / 500)
    falling = Sample(plain.event, plain.mass, plain.score, fall)
    at = np.linspace(2700, 5500, 20)
    apart = fit_threshold(falling, 0.9, 2).at(at) - fit_threshold(plain, 0.9, 2).at(at)
    assert np.abs(apart).max() < 0.25
    share = np.mean(falling.score > fit_threshold(falling, 0.9, 2).at(falling.mass))
    assert share == pytest.approx(0.1, abs=0.02)


def test_local_p_values_are_those_of_the_scaled_poisson():
    rng = np.random.default_rng(0)
    falling = np.exp(-2.0 * np.arange(9))  # the last bin is 1e-7 of the first
    sums = rng.uniform(0.5, 2.0, (5, 9)) * 20 * falling
    squares, expected = sums * rng.uniform(0.5, 2, (5, 9)) * falling, 20 * falling
    windows = Windows.of(9, (1, 4))
    found = BumpHunt(windows).local_p(Histogram(sums, squares), expected[None])
    for toy, (start, stop) in itertools.product(
        range(5), zip(windows.start, windows.stop, strict=True)
    ):
        seen, spread = sums[toy, start:stop].sum(), squares[toy, start:stop].sum()
        predicted, n_eff = expected[start:stop].sum(), seen**2 / spread
        p = special.gammainc(n_eff, predicted * n_eff / seen) if seen > predicted else 1.0
        window = (windows.start == start) & (windows.stop == stop)
        assert found[toy, window] == pytest.approx(p, rel=1e-9)


def test_local_p_values_of_equal_weights_are_those_of_counts():
    rng = np.random.default_rng(1)
    counts, expected = rng.poisson(12, (20, 8)), np.full((1, 8), 9.7)
    scan = BumpHunt(Windows.of(8, (1, 3)))
    weighed = scan.local_p(Histogram(0.3 * counts, 0.09 * counts), 0.3 * expected)
    np.testing.assert_allclose(weighed, scan.local_p(Histogram.counted(counts), expected))
    first = counts[:, 0]
    tail = np.where(first > 9.7, stats.poisson.sf(first - 1, 9.7), 1.0)
    np.testing.assert_allclose(weighed[:, 0], tail)


def test_toys_of_weighted_events_are_the_permutations_of_who_is_an_outlier():
    bins, weight = np.array([0, 0, 0, 1, 1, 2, 2, 2]), np.array([1, 0.2, 3, -0.5, 2, 1, 1, 0.7])
    chosen = np.array([2, 4, 5])

    def histogram(which):
        w = weight[which]
        return Histogram(*(np.bincount(bins[which], x, 3) for x in (w, w**2)))

    def pair(which):
        return histogram(np.array(which)), histogram(np.setdiff1d(np.arange(8), which))

    every = [pair(list(which)) for which in itertools.combinations(range(8), 3)]
    scan = BumpHunt(Windows.of(3, (1, 2)))
    all_p = [
        scan.local_p(Histogram(a.sums[None], a.squares[None]), expected[None])
        for a, b in every
        for expected in [b.sums * a.sums.sum() / b.sums.sum()]
    ]
    exact = np.array([-np.log(p.min()) for p in all_p])
    null = Permutation(bins, np.isin(np.arange(8), chosen)[:, None], 3, weight)
    toys = statistics(null, [Look(NonOutliers(*pair(chosen)), scan)], 5600, (2,))[:, 0]
    values = np.unique(np.round(exact, 9))
    assert set(np.round(toys, 9)) <= set(values)
    expected = [5600 * np.mean(np.round(exact, 9) == value) for value in values]
    found = [np.sum(np.round(toys, 9) == value) for value in values]
    assert stats.chisquare(found, expected).pvalue > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_p_values_of_weighted_samples_are_uniform_without_a_signal(kind):
    config = Hunt(cuts=(0.9,), threshold_fit="background", conditional="none")
    p = np.array(
        [
            p_of(sample(500, 100 + i, kind, 0.0), sample(900, 900 + i, kind, 0.0), config)
            for i in range(240)
        ]
    )
    for level in (0.05, 0.1, 0.5):
        assert stats.binomtest(int(np.sum(p <= level)), len(p), level).pvalue > 0.01
    assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_thresholds_from_weighted_data_make_no_alarms(kind):
    config = Hunt(cuts=(0.9,))
    p = [p_of(sample(3000, 10 + i, kind), sample(10, 5), config) for i in range(40)]
    assert stats.kstest(p, "uniform", alternative="greater").pvalue > 0.01
    alarms = int(np.sum(np.array(p) <= 0.1))
    assert stats.binomtest(alarms, len(p), 0.1, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize(("background", "level"), [("dijet", 0.1), ("ratio-polynomial", 0.2)])
@pytest.mark.parametrize("kind", ["lognormal", "nlo"])
def test_fitted_predictions_of_weighted_data_make_no_alarms(background, level, kind):
    """The ratio's fit trusts low bins of few heavy events too much: up to twice the alarms."""
    config = Hunt(
        cuts=(0.8,), threshold_fit="background", conditional="none", background=background
    )
    simulated = sample(900, 5, kind, 0.0)
    p = np.array([p_of(sample(1500, 10 + i, kind, 0.0), simulated, config, 49) for i in range(50)])
    alarms = int(np.sum(p <= 0.1))
    assert stats.binomtest(alarms, len(p), level, alternative="greater").pvalue > 0.01
    assert p.min() < 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_a_resonance_among_weighted_events_is_found(kind):
    search = sample(4000, 1, kind, signal=250)
    found = hunted(search, sample(10, 2), Hunt(cuts=(0.9,)), 300)
    assert found["window"]["low"] <= 3500 <= found["window"]["high"]
    assert found["global"]["beyond"] == 0
    assert all(type(n) is float for n in found["events"].values())
    assert found["events"]["search"] == pytest.approx(search.weight.sum())


@dataclass(frozen=True)
class Known:
    """A prediction and its uncertainty, from nowhere."""

    expected: np.ndarray
    uncertainty: np.ndarray


def test_yields_and_agreement_have_the_variances_of_sums_of_weights():
    rng = np.random.default_rng(7)
    bins, weight = rng.integers(0, 6, 400), rng.lognormal(0, 0.8, 400)
    sums, squares = np.bincount(bins, weight), np.bincount(bins, weight**2)
    expected, uncertainty = np.full(6, sums.mean()), np.full(6, 3.0)
    cut = box_of(sample(500, 1), sample(10, 2), Hunt(cuts=(0.9,))).cuts[0]
    outliers = Histogram(sums, squares)
    known = replace(cut, outliers=outliers, background=Known(expected, uncertainty))
    found = window_yield(known, slice(2, 4))
    rest = np.isin(bins, (0, 1, 4, 5))
    relative = np.sum(weight[rest] ** 2) / np.sum(weight[rest]) ** 2
    scale = weight[rest].sum() / (4 * sums.mean())
    error = np.hypot(scale * np.sqrt(18), scale * 2 * sums.mean() * np.sqrt(relative))
    assert found.scale == pytest.approx(scale)
    assert found.observed == pytest.approx(weight[~rest].sum())
    assert found.expected_error == pytest.approx(error)
    own = np.sqrt(np.sum(weight[~rest] ** 2))
    assert found.excess_error == pytest.approx(np.hypot(own, error))


@pytest.mark.parametrize("kind", ["ones", "lognormal"])
def test_the_chi2_of_agreement_is_that_of_its_degrees_of_freedom(kind):
    config = Hunt(cuts=(0.8,), threshold_fit="background", conditional="none")
    fits = []
    for i in range(40):
        box = box_of(sample(4000, i, kind, 0.0), sample(4000, 50 + i, kind, 0.0), config)
        found = hunt_once(box, config, 1, (1,))
        low, high = np.searchsorted(box.edges, [found.low, found.high])
        around = slice(max(low - 1, 0), high + 1)
        fits.append(asdict(agreement(box.cuts[0].outliers, box.cuts[0].background, around)))
    chi2, ndf = (sum(fit[key] for fit in fits) for key in ("chi2", "ndf"))
    assert abs(chi2 - ndf) < 4 * np.sqrt(2 * ndf) + 0.1 * ndf  # the window takes the worst away


def test_a_polynomial_of_weighted_histograms_is_that_of_the_effective_counts():
    edges = np.linspace(2659, 6099, 15)
    rng = np.random.default_rng(0)
    outliers, others = rng.poisson(40, 14) + 1, rng.poisson(400, 14)
    plain = RatioPolynomial.fit(Histogram.counted(outliers), Histogram.counted(others), edges)
    weighed = RatioPolynomial.fit(
        *(Histogram(0.5 * n, 0.25 * n) for n in (outliers, others)), edges
    )
    assert weighed.coefficients == pytest.approx(plain.coefficients)
    np.testing.assert_allclose(weighed.expected, 0.5 * plain.expected)
    np.testing.assert_allclose(weighed.uncertainty, 0.5 * plain.uncertainty)
    some, rest = rng.poisson(40, (30, 14)), rng.poisson(400, (30, 14))
    again = plain.refit(Histogram.counted(some), Histogram.counted(rest))
    halved = weighed.refit(*(Histogram(0.5 * n, 0.25 * n) for n in (some, rest)))
    np.testing.assert_allclose(halved, 0.5 * again)
    kept = np.arange(14) > 2
    counts, sums = (
        fit.outside(kept, np.random.default_rng(1), 30).toys for fit in (plain, weighed)
    )
    np.testing.assert_allclose(sums.seen, 0.5 * counts.seen)
    np.testing.assert_allclose(sums.expected, 0.5 * counts.expected)
    np.testing.assert_allclose(sums.variance, 0.25 * counts.variance)
    np.testing.assert_allclose(sums.deviance, counts.deviance)


def negative(share):
    events = sample(3000, 1)
    weight = np.where(np.arange(3000) < share * 3000, -1.0, 1.0)
    return Sample(events.event, events.mass, events.score, weight)


def test_weights_that_sum_to_nothing_are_refused_in_words():
    with pytest.raises(HuntError, match=r"3000 events .* sum to -1200, which is not above 0"):
        fit_threshold(negative(0.7), 0.9, 1)
    with pytest.raises(HuntError, match="of the effectively"):
        fit_threshold(negative(0.45), 0.9, 1)
    events = sample(3000, 1)
    odd = Sample(events.event, events.mass, events.score, np.where(events.score > 1.5, -1.0, 1.0))
    config = Hunt(cuts=(0.9,), threshold_fit="background", conditional="none")
    with pytest.raises(HuntError, match="weights of the outliers in the mass window sum to -"):
        box_of(odd, sample(3000, 2), config)


def test_a_weight_that_is_no_number_is_named():
    table = pa.table(
        {"event": [4, 7], "mjj": [1.0, 2.0], "score": [0.0, 1.0], "weight": [1.0, np.nan]}
    )
    with pytest.raises(HuntError, match="event 7: its weight is nan"):
        Sample.of(table)


def test_global_p_values_of_weighted_data_count_themselves_among_ties():
    search = sample(900, 2, "nlo", 0.0)
    config = Hunt(cuts=(0.9,), conditional="none")
    box = box_of(search, sample(900, 3, "nlo", 0.0), config)
    statistic = box.observed(config)
    assert statistic[0] > 0.1
    same = GlobalP.of(float(statistic[0]), statistic * (1 - 1e-13))
    assert same.beyond == 1
