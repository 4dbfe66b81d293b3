import numpy as np
import pytest
from scipy import stats

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt import (
    GlobalP,
    Histogram,
    Sample,
    Scores,
    hunt_here,
    hunt_once,
    joint_statistics,
    prepare_box,
)
from raybead.hunt.background import NonOutliers, RatioPolynomial
from raybead.hunt.binning import edges_within
from raybead.hunt.result import conclude
from raybead.hunt.scan import BumpHunt, Windows
from raybead.hunt.toys import Permutation, combine


def sample(n, seed, signal=0, mass=3500.0):
    """Falling m_jj; the score drifts with mass, and is high for a resonance."""
    rng = np.random.default_rng(seed)
    mjj = np.concatenate([2500 + rng.exponential(500, n), rng.normal(mass, 80, signal)])
    score = 0.8 * np.log(mjj / 3000) + rng.normal(0, 1, n + signal)
    score[n:] += 3
    return Sample(np.arange(n + signal), mjj, score, np.ones(n + signal))


def box_of(search, background, config):
    return prepare_box([Scores("run", search, background)], config)


def p_of(search, background, config, toys):
    return hunt_once(box_of(search, background, config), config, toys, (1,)).p


@pytest.mark.parametrize("mass", [3100.0, 3500.0, 4400.0])
@pytest.mark.parametrize("threshold_fit", ["background", "search"])
def test_a_resonance_is_found_at_its_mass(mass, threshold_fit):
    search, background = sample(4000, 1, signal=100, mass=mass), sample(6000, 2)
    config = Hunt(cuts=(0.9,), threshold_fit=threshold_fit, toys=400, precision=0.0)
    (result,) = hunt_here([Scores("run", search, background)], config, 1)["cuts"]
    assert result["window"]["low"] <= mass <= result["window"]["high"]
    assert result["global"]["beyond"] == 0
    if threshold_fit == "background":  # on the search sample the signal lifts its own threshold
        error = result["window"]["excess_error"]
        assert result["window"]["excess"] == pytest.approx(95, abs=3 * error)


def test_p_values_are_uniform_without_a_signal():
    """Thresholds known beforehand: the pseudo-experiments are then exact."""
    config = Hunt(cuts=(0.9,), threshold_fit="background", threshold_order=1)
    background = sample(20_000, 7)
    p = np.array([p_of(sample(3000, 10 + i), background, config, 150) for i in range(150)])
    assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize(("cuts", "toys"), [((0.9,), 150), ((0.9, 0.95, 0.99), 300)])
def test_p_values_are_nearly_uniform_with_thresholds_from_the_data(cuts, toys):
    """Never too small; and not so large that a signal would go unseen."""
    config = Hunt(cuts=cuts)
    background = sample(100, 500)
    p = np.array([p_of(sample(3000, 10 + i), background, config, toys) for i in range(150)])
    assert stats.kstest(p, "uniform", alternative="greater").pvalue > 0.01
    assert np.mean(p < 0.1) >= 0.03


def test_a_fixed_cut_sculpts_and_a_conditional_one_does_not():
    search, background = sample(40_000, 1), sample(40_000, 2)
    passed = {}
    for conditional in ("mjj", "none"):
        (cut,) = box_of(search, background, Hunt(cuts=(0.9,), conditional=conditional)).cuts
        share = cut.outliers.sums / (cut.outliers + cut.others).sums
        passed[conditional] = share[12:16].mean() / share[:3].mean()
    assert passed["none"] > 1.5
    assert passed["mjj"] == pytest.approx(1, abs=0.15)


def test_toys_keep_what_is_known_and_fluctuate_together():
    outliers, others = np.array([30, 20, 10]), np.array([300, 220, 90])
    every = outliers + others
    flags = np.concatenate([np.arange(n) < k for n, k in zip(every, outliers, strict=True)])
    null = Permutation(np.repeat(np.arange(3), every), flags[:, None], 3)
    ((dealt, rest),) = null.draw(np.random.default_rng(0), 4000)
    template = NonOutliers(*(Histogram.counted(n) for n in (outliers, others))).refit(dealt, rest)
    counts = dealt.sums
    assert (counts.sum(axis=1) == 60).all()
    assert (counts >= 0).all()
    np.testing.assert_allclose(counts.mean(axis=0), 60 * every / every.sum(), rtol=0.03)
    # What one toy has more of in its outliers, its template has less of.
    assert np.corrcoef(counts[:, 0], template[:, 0])[0, 1] == pytest.approx(-1)
    np.testing.assert_allclose(template.sum(axis=1), 60)


@pytest.mark.parametrize("background", ["non-outliers", "dijet", "ratio-polynomial"])
def test_toys_do_not_depend_on_how_they_are_shared_out(background):
    config = Hunt(background=background, cuts=(0.8, 0.9))
    boxes = [box_of(sample(1500, seed), sample(100, 2), config) for seed in (1, 5)]
    whole = joint_statistics(boxes, config, 2500, 3, 0)
    parts = [
        joint_statistics(boxes, config, 1000, 3, 0),
        joint_statistics(boxes, config, 1500, 3, 1),
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert whole.shape == (2500, 4)
    # Neither chunks nor boxes share their chances.
    assert not np.array_equal(whole[:1000], whole[1000:2000])
    assert abs(np.corrcoef(whole[:, 0], whole[:, 2])[0, 1]) < 0.1


def test_a_global_p_is_never_zero_and_counts_ties():
    toys = np.array([1.0, 2.0, 3.0, 3.0])
    assert GlobalP.of(3.0, toys).p == pytest.approx(3 / 5)
    none = GlobalP.of(9.0, toys)
    assert (none.p, none.beyond, none.low) == (0.2, 0, 0.0)
    assert none.high > 0


def test_empty_predictions_are_not_discoveries():
    scan = BumpHunt(Windows.of(3, (1, 1)))
    counts, expected = Histogram.counted(np.array([[0, 3, 1]])), np.array([[2.0, 1.0, 0.0]])
    p = scan.local_p(counts, expected)
    assert p[0, 2] == 1.0
    assert scan.of(counts, counts, expected)[0] == pytest.approx(-np.log(p[0, 1]))


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
        box_of(sample(n, 1), sample(n, 2), config)


def test_looking_at_several_cuts_is_paid_for():
    """Independent looks cost their number, equal ones nothing."""
    chances = (0.2, 0.01, 0.5)
    cuts = [{"global": {"p": p}, "window": {"low": p}} for p in chances]
    independent = np.random.default_rng(0).random((50_000, 3))
    for toys, price in ((independent, 1 - 0.99**3), (independent[:, [0, 0, 0]], 0.01)):
        found = conclude(cuts, combine(1 - np.array(chances), toys))
        assert found["p"] == pytest.approx(price, rel=0.1)
        assert found["best_cut"] == 1
        assert found["window"] == {"low": 0.01}
        assert found["bonferroni"] == pytest.approx(0.03)
        assert found["looks"] == 3
        assert found["resolved"]


def test_a_best_cut_that_no_toy_reaches_leaves_a_bound():
    """Its p is that of the other cuts' most extreme toys: three, however many toys there are."""
    cuts = [{"global": {"p": p}, "window": {}} for p in (0.5, 1e-3, 0.5)]
    for n in (999, 9999):
        toys = np.random.default_rng(0).random((n, 3))
        found = conclude(cuts, combine(np.array([0.1, 5.0, 0.1]), toys))
        assert found["p"] == pytest.approx(3 / (n + 1))
        assert (found["beyond"], found["resolved"]) == (2, False)
