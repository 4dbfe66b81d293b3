import numpy as np
import pytest
from scipy import stats

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt import (
    GlobalP,
    Histogram,
    NonOutliers,
    RatioPolynomial,
    Sample,
    Windows,
    conclude,
    conclude_cut,
    edges_within,
    local_p,
    prepare_cut,
    test_statistic,
    toy_statistics,
)


def sample(n, seed, signal=0, mass=3500.0):
    """Falling m_jj; the score drifts with mass, and is high for a resonance."""
    rng = np.random.default_rng(seed)
    mjj = np.concatenate([2500 + rng.exponential(500, n), rng.normal(mass, 80, signal)])
    score = 0.8 * np.log(mjj / 3000) + rng.normal(0, 1, n + signal)
    score[n:] += 3
    return Sample(np.arange(n + signal), mjj, score, np.ones(n + signal))


def non_outliers(outliers, others):
    return NonOutliers(*(Histogram.counted(np.array(counts)) for counts in (outliers, others)))


def hunt_once(search, background, config, toys=400):
    cut = prepare_cut(search, background, config.cuts[0], config)
    return conclude_cut(cut, toy_statistics(cut.background, cut.windows, toys, (1,)))


@pytest.mark.parametrize("mass", [3100.0, 3500.0, 4400.0])
@pytest.mark.parametrize("threshold_fit", ["background", "search"])
def test_a_resonance_is_found_at_its_mass(mass, threshold_fit):
    search, background = sample(4000, 1, signal=100, mass=mass), sample(6000, 2)
    config = Hunt(cuts=(0.9,), threshold_fit=threshold_fit)
    result = hunt_once(search, background, config)
    assert result["window"]["low"] <= mass <= result["window"]["high"]
    assert result["global"]["beyond"] == 0
    if threshold_fit == "background":  # on the search sample the signal lifts its own threshold
        error = result["window"]["excess_error"]
        assert result["window"]["excess"] == pytest.approx(95, abs=3 * error)


def test_p_values_are_uniform_without_a_signal():
    """Thresholds known beforehand: the pseudo-experiments are then exact."""
    config = Hunt(cuts=(0.9,), threshold_fit="background", threshold_order=1)
    background = sample(60_000, 7)
    p = np.array(
        [
            hunt_once(sample(3000, 10 + i), background, config, 150)["global"]["p"]
            for i in range(150)
        ]
    )
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_p_values_are_no_smaller_than_uniform_with_thresholds_from_the_data():
    config = Hunt(cuts=(0.9,))
    p = np.array(
        [
            hunt_once(sample(3000, 10 + i), sample(100, 500), config, 150)["global"]["p"]
            for i in range(150)
        ]
    )
    assert stats.kstest(p, "uniform", alternative="greater").pvalue > 0.01


def test_a_fixed_cut_sculpts_and_a_conditional_one_does_not():
    search, background = sample(40_000, 1), sample(40_000, 2)
    passed = {}
    for conditional in ("mjj", "none"):
        cut = prepare_cut(search, background, 0.9, Hunt(conditional=conditional))
        share = cut.outliers.sums / (cut.outliers + cut.others).sums
        passed[conditional] = share[12:16].mean() / share[:3].mean()
    assert passed["none"] > 1.5
    assert passed["mjj"] == pytest.approx(1, abs=0.15)


def test_toys_keep_what_is_known_and_fluctuate_together():
    background = non_outliers([30, 20, 10], [300, 220, 90])
    dealt, template = background.toys(np.random.default_rng(0), 4000)
    counts = dealt.sums
    assert (counts.sum(axis=1) == 60).all()
    assert (counts >= 0).all()
    every = (background.outliers + background.others).sums
    np.testing.assert_allclose(counts.mean(axis=0), 60 * every / every.sum(), rtol=0.03)
    # What one toy has more of in its outliers, its template has less of.
    assert np.corrcoef(counts[:, 0], template[:, 0])[0, 1] == pytest.approx(-1)
    np.testing.assert_allclose(template.sum(axis=1), 60)


def test_toys_do_not_depend_on_how_they_are_shared_out():
    background = non_outliers([30, 20, 10, 5], [300, 220, 90, 40])
    windows = Windows.of(4, (1, 2))
    whole = toy_statistics(background, windows, 2500, (3, 1))
    parts = [
        toy_statistics(background, windows, 1000, (3, 1), first=0),
        toy_statistics(background, windows, 1500, (3, 1), first=1),
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_a_global_p_is_never_zero_and_counts_ties():
    toys = np.array([1.0, 2.0, 3.0, 3.0])
    assert GlobalP.of(3.0, toys).p == pytest.approx(3 / 5)
    none = GlobalP.of(9.0, toys)
    assert (none.p, none.beyond, none.low) == (0.2, 0, 0.0)
    assert none.high > 0


def test_empty_predictions_are_not_discoveries():
    p = local_p(
        Histogram.counted(np.array([[0, 3, 1]])),
        np.array([[2.0, 1.0, 0.0]]),
        Windows.of(3, (1, 1)),
    )
    assert p[0, 2] == 1.0
    assert test_statistic(p)[0] == pytest.approx(-np.log(p[0, 1]))


def test_a_ratio_polynomial_never_predicts_less_than_nothing():
    edges = edges_within((2659, 6099))
    rng = np.random.default_rng(0)
    others = rng.poisson(400 * np.exp(-np.arange(len(edges) - 1) / 3))
    outliers = rng.poisson(others * np.linspace(0.2, 0.01, len(others)))
    fit = RatioPolynomial.fit(Histogram.counted(outliers), Histogram.counted(others), edges)
    assert (fit.expected >= 0).all()


@pytest.mark.parametrize(
    ("config", "n", "says"),
    [
        (Hunt(cuts=(0.999,)), 2000, "take a softer cut"),
        (Hunt(mass_window=(2600.0, 2800.0)), 2000, "fewer than two dijet bins"),
        (Hunt(mass_window=(9000.0, 14000.0)), 2000, "no event of the search sample"),
        (Hunt(widths=(40, 50)), 2000, "wider than the 21 bins"),
    ],
)
def test_hunts_that_cannot_be_are_refused_in_words(config, n, says):
    with pytest.raises(HuntError, match=says):
        prepare_cut(sample(n, 1), sample(n, 2), config.cuts[0], config)


def test_looking_at_several_cuts_is_paid_for():
    cuts = [
        {"global": {"p": p, "beyond": 5}, "local": {"p": p}, "window": {"low": 1}}
        for p in (0.2, 0.01, 0.5)
    ]
    found = conclude(cuts)
    assert found["p"] == pytest.approx(0.03)
    assert found["best_cut"] == 1
