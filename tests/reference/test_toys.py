"""Pseudo-experiments, compiled and not, against enumeration, closed forms and a slow scan."""

import contextlib
import io
from collections import Counter
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pyBumpHunter
import pytest
from dealing import chi2_p, sample
from scipy import stats

from raybead.errors import HuntError
from raybead.hunt import Histogram
from raybead.hunt.background import NonOutliers
from raybead.hunt.scan import BumpHunt, Windows
from raybead.hunt.toys import (
    Look,
    Permutation,
    Poisson,
    Thinned,
    kernel,
    observed_statistics,
    statistics,
)
from raybead.hunt.toys.permutation import Patterns


@dataclass(frozen=True)
class Fixed:
    """A prediction that follows nothing."""

    expected: np.ndarray

    def refit(self, _outliers, _others):
        return self.expected[None]


class SlowTemplate:
    """The scaled others, toy by toy."""

    def refit(self, outliers, others):
        rows = zip(outliers.sums, others.sums, strict=True)
        return np.stack([b * (a.sum() / b.sum()) for a, b in rows])


@pytest.mark.usefixtures("how")
def test_every_deal_is_as_likely_as_every_other():
    place = np.array([0, 0, 1, 2, 2, 2])
    flags = np.array([[1, 0], [1, 1], [0, 0], [1, 0], [0, 0], [0, 1]], dtype=bool)
    null = Permutation(place, flags, 3)
    exact = Counter()
    for order in permutations(range(6)):
        dealt = flags[list(order)]
        exact[tuple(np.concatenate([np.bincount(place[f], minlength=3) for f in dealt.T]))] += 1
    n = 20_000
    (first, rest), (second, _) = null.draw(np.random.default_rng(4), n)
    drawn = Counter(map(tuple, np.concatenate([first.sums, second.sums], axis=1).tolist()))
    assert set(drawn) <= set(exact)
    keys = list(exact)
    assert chi2_p([drawn[k] for k in keys], np.array([exact[k] for k in keys]) / 720) > 1e-3
    np.testing.assert_array_equal(first.sums + rest.sums, np.tile([2, 1, 3], (n, 1)))


@pytest.mark.parametrize(
    ("every", "drawn"),
    [
        ((2000, 800, 150, 30, 7, 0, 13), (600, 40)),
        ((40, 900), (800,)),  # most of them
        ((250_000, 40_000, 9_000, 12), (30_000, 2_500)),  # beyond the table of factorials
    ],
)
@pytest.mark.usefixtures("how")
def test_counts_of_a_bin_are_hypergeometric(every, drawn):
    place = np.repeat(np.arange(len(every)), every)
    flags = np.zeros((len(place), len(drawn)), dtype=bool)
    flags[: drawn[0], 0] = True
    if len(drawn) > 1:
        flags[drawn[0] : sum(drawn), 1] = True
    n = 20_000 if len(place) < 10_000 else 4000
    if kernel._DIRECT == 10**9 and len(place) > 10_000:
        n = 1000
    looks = Permutation(place, flags, len(every)).draw(np.random.default_rng(1), n)
    for look, (outliers, others) in enumerate(looks):
        assert (outliers.sums.sum(axis=1) == drawn[look]).all()
        assert (outliers.sums >= 0).all()
        assert (others.sums >= 0).all()
        for m, events in enumerate(every):
            law = stats.hypergeom(len(place), events, drawn[look])
            low, high = int(law.ppf(1e-12)), int(law.isf(1e-12))
            seen = np.bincount(outliers.sums[:, m], minlength=high + 1)
            assert seen[:low].sum() + seen[high + 1 :].sum() == 0
            values = np.arange(low, high + 1)
            assert chi2_p(seen[low : high + 1], law.pmf(values)) > 1e-4


@pytest.mark.parametrize("direction", ["excess", "deficit"])
@pytest.mark.parametrize("sidebands", [None, 0, 1])
@pytest.mark.usefixtures("how")
def test_tables_say_what_a_scan_says(direction, sidebands):
    place, flags = sample()
    place[place == 11] = 10  # an empty bin amid others, and the last
    null = Permutation(place, flags, 15)
    scan = BumpHunt(
        Windows.of(15, (2, 5)), direction, sidebands is not None, sidebands or 0, null.supported
    )
    template = NonOutliers(*null.data()[0])
    looked_up = statistics(null, [Look(template, scan)] * 3, 1500, (3,))
    assert null.tables([scan] * 3) is not None
    scanned = statistics(null, [Look(SlowTemplate(), scan)] * 3, 1500, (3,))
    np.testing.assert_allclose(looked_up, scanned, rtol=1e-9, atol=1e-9)
    assert (scanned.std(axis=0) > 0.1).all()
    data = null.data()
    np.testing.assert_allclose(
        observed_statistics(null, [Look(template, scan)] * 3, data),
        observed_statistics(null, [Look(SlowTemplate(), scan)] * 3, data),
        rtol=1e-9,
    )


def test_compiled_and_numpy_toys_follow_one_law(monkeypatch):
    place, flags = sample(cuts=(0.8, 0.95))
    null = Permutation(place, flags, 14)
    scan = BumpHunt(Windows.of(14, (1, 4)), supported=null.supported)
    looks = [Look(NonOutliers(*null.data()[0]), scan)] * 2
    compiled = statistics(null, looks, 6000, (1,))
    monkeypatch.setattr(kernel, "COMPILED", False)
    plain = statistics(null, looks, 6000, (2,))
    for look in range(2):
        assert stats.ks_2samp(compiled[:, look], plain[:, look]).pvalue > 1e-3
    pairs = [np.corrcoef(s.T)[0, 1] for s in (compiled, plain)]
    assert pairs[0] == pytest.approx(pairs[1], abs=0.06)
    assert pairs[0] > 0.1  # nested cuts share their outliers


def test_a_toy_equal_to_the_data_ties_with_it():
    place = np.array([0] * 6 + [1] * 4 + [2] * 3)
    flags = np.zeros((13, 1), dtype=bool)
    flags[[0, 6, 7, 10]] = True
    null = Permutation(place, flags, 3)
    scan = BumpHunt(Windows.of(3, (1, 2)), supported=null.supported)
    looks = [Look(NonOutliers(*null.data()[0]), scan)]
    observed = observed_statistics(null, looks, null.data())
    toys = statistics(null, looks, 1000, (8,))[:, 0]
    ((drawn, _),) = null.draw(np.random.default_rng([8, 0]), 1000)
    same = (drawn.sums == null.data()[0][0].sums).all(axis=1)
    assert same.sum() > 50
    assert (toys[same] == observed[0]).all()


def test_data_far_beyond_all_toys_are_tabled_too():
    place = np.repeat(np.arange(10), 2000)
    flags = np.zeros((len(place), 1), dtype=bool)
    flags[2000:3200] = True  # bin 1 alone: 9 events elsewhere would be its share
    flags[::100] = True
    null = Permutation(place, flags, 10)
    scan = BumpHunt(Windows.of(10, (1, 2)), supported=null.supported)
    data = null.data()
    looks = [Look(NonOutliers(*data[0]), scan)]
    expected = SlowTemplate().refit(*data[0])
    slow = scan.of(*data[0], expected)
    assert slow[0] > 300
    np.testing.assert_allclose(observed_statistics(null, looks, data), slow, rtol=1e-9)


@pytest.mark.parametrize("tabled", [True, False])
def test_toys_do_not_depend_on_how_they_are_shared_out(tabled):
    place, flags = sample(n=800)
    null = Permutation(place, flags, 14)
    scan = BumpHunt(Windows.of(14, (2, 3)), supported=null.supported)
    looks = [Look(NonOutliers(*null.data()[0]) if tabled else SlowTemplate(), scan)] * 3
    whole = statistics(null, looks, 2500, (3, 1))
    parts = [statistics(null, looks, 1000, (3, 1)), statistics(null, looks, 1500, (3, 1), first=1)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert not np.array_equal(whole[:1000], whole[1000:2000])


def test_patterns_are_those_of_the_events_also_of_many_looks():
    rng = np.random.default_rng(0)
    for looks in (1, 3, 9, 70):
        kinds = rng.random((5, looks)) > 0.6
        kinds[0] = False
        flags = kinds[rng.integers(0, 5, 400)]
        patterns = Patterns.of(flags)
        found = {
            tuple(holds): size for holds, size in zip(patterns.holds.T, patterns.size, strict=True)
        }
        assert found == {k: v for k, v in Counter(map(tuple, flags)).items() if any(k)}
        assert (np.diff(patterns.size) >= 0).all()


@pytest.mark.usefixtures("how")
def test_weighted_events_are_dealt_with_what_they_weigh():
    place, weight = np.array([0, 0, 1, 1, 2]), np.array([1.0, 2.0, 4.0, -0.5, 16.0])
    flags = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [0, 0]], dtype=bool)
    null = Permutation(place, flags, 3, weight)
    exact = Counter()
    for order in permutations(range(5)):
        dealt = flags[list(order)]
        sums = [np.bincount(place, weight * f, 3) for f in dealt.T]
        exact[tuple(np.concatenate(sums))] += 1
    looks = null.draw(np.random.default_rng(4), 20_000)
    drawn = Counter(
        map(tuple, np.concatenate([outliers.sums for outliers, _ in looks], axis=1).tolist())
    )
    assert set(drawn) <= set(exact)
    keys = list(exact)
    assert chi2_p([drawn[k] for k in keys], np.array([exact[k] for k in keys]) / 120) > 1e-3
    for outliers, others in looks:
        np.testing.assert_allclose(outliers.sums + others.sums, np.tile([3, 3.5, 16], (20_000, 1)))
        squares = outliers.squares + others.squares
        np.testing.assert_allclose(squares, np.tile([5, 16.25, 256], (20_000, 1)))
        assert (others.squares >= 0).all()


def test_of_a_bin_without_events_left_no_rounding_is_left():
    rng = np.random.default_rng(0)
    place, weight = np.repeat([0, 1], [3, 50]), rng.uniform(0.1, 1.0, 53)
    flags = rng.random((53, 1)) < 0.5
    ((outliers, others),) = Permutation(place, flags, 2, weight).draw(rng, 4000)
    all_gone = np.isclose(outliers.sums[:, 0], weight[:3].sum(), rtol=1e-12)
    assert all_gone.sum() > 100
    assert (others.sums[all_gone, 0] == 0).all()
    assert (others.squares[all_gone, 0] == 0).all()


def test_weighted_statistics_of_equal_weights_are_those_of_counts():
    place, flags = sample(n=1500, cuts=(0.8, 0.9))
    scan = BumpHunt(Windows.of(14, (2, 4)), supported=np.bincount(place, minlength=14) > 0)
    looks = [Look(SlowTemplate(), scan)] * 2
    counted = statistics(Permutation(place, flags, 14), looks, 3000, (1,))
    weighed = statistics(Permutation(place, flags, 14, np.full(1500, 0.7)), looks, 3000, (2,))
    for look in range(2):
        assert stats.ks_2samp(counted[:, look], weighed[:, look]).pvalue > 1e-3


def test_events_beyond_the_bins_are_refused():
    with pytest.raises(HuntError, match="none of the 3 bins"):
        Permutation(np.array([0, 3]), np.ones((2, 1), dtype=bool), 3)
    with pytest.raises(HuntError, match="no events"):
        Permutation(np.zeros(0, dtype=np.int64), np.ones((0, 1), dtype=bool), 3)
    with pytest.raises(HuntError, match="2 events have flags of 3"):
        Permutation(np.array([0, 1]), np.ones((3, 1), dtype=bool), 3)


@pytest.mark.usefixtures("how")
def test_poisson_counts_are_poisson():
    expected = np.array([0.0, 0.02, 3.5, 60.0, 4000.0])
    null = Poisson(expected, Histogram.counted(np.arange(5)))
    ((outliers, others),) = null.draw(np.random.default_rng(2), 20_000)
    np.testing.assert_array_equal(others.sums[[0, -1]], [np.arange(5)] * 2)
    for m, mu in enumerate(expected):
        high = int(stats.poisson.isf(1e-12, mu)) + 1
        seen = np.bincount(outliers.sums[:, m], minlength=high + 1)
        assert len(seen) == high + 1
        assert chi2_p(seen, stats.poisson.pmf(np.arange(high + 1), mu)) > 1e-4
    assert np.abs(np.corrcoef(outliers.sums[:, 2:].T) - np.eye(3)).max() < 0.03


@pytest.mark.parametrize("sidebands", [False, True])
@pytest.mark.usefixtures("how")
def test_poisson_toys_are_pybumphunters(sidebands):
    expected = 400 * np.exp(-np.arange(20) / 4.0)
    null = Poisson(expected, Histogram.counted(np.zeros(20, dtype=np.int64)))
    scan = BumpHunt(Windows.of(20, (2, 5)), sidebands=sidebands)
    ours = statistics(null, [Look(Fixed(expected), scan)], 4000, (1,))[:, 0]
    oracle = pyBumpHunter.BumpHunter1D(
        width_min=2, width_max=5, npe=800, nworker=1, seed=5, use_sideband=sidebands
    )
    with contextlib.redirect_stdout(io.StringIO()):
        oracle.bump_scan(np.rint(expected).astype(int), expected, is_hist=True)
    assert stats.ks_2samp(ours, oracle.t_ar[1:]).pvalue > 1e-3
    ((outliers, others),) = null.draw(np.random.default_rng([1, 0]), 1000)
    np.testing.assert_allclose(ours[:1000], scan.of(outliers, others, expected[None]), rtol=1e-9)


@pytest.mark.parametrize("every", [None, np.array([900, 300, 60, 0])])
def test_thinned_counts_have_their_predictions_as_means(every):
    loose, tight, other = (
        np.array([90.0, 40.0, 6.0, 0.0]),
        np.array([40.0, 44.0, 1.0, 0.0]),  # in one bin above the looser cut
        np.array([30.0, 20.0, 5.0, 0.0]),
    )
    null = Thinned((tight, other, loose), ((2, 0), (1,)), every)
    n = 20_000
    spectra = null.draw(np.random.default_rng(0), n)
    for (outliers, others), mean in zip(spectra, null.expected, strict=True):
        spread = np.sqrt(mean * (1 if every is None else 1 - mean / np.maximum(every, 1)))
        np.testing.assert_array_less(
            np.abs(outliers.sums.mean(axis=0) - mean), 5 * spread / np.sqrt(n) + 1e-12
        )
        np.testing.assert_allclose(outliers.sums.std(axis=0), spread, rtol=0.03)
        if every is not None:
            np.testing.assert_array_equal(outliers.sums + others.sums, np.tile(every, (n, 1)))
    a, b, c = (outliers.sums for outliers, _ in spectra)
    assert (a[:, [0, 2, 3]] <= c[:, [0, 2, 3]]).all()
    shared = np.corrcoef(a[:, 0], c[:, 0])[0, 1]
    q, p = 40 / 90, 0.0 if every is None else 0.1
    assert shared == pytest.approx(np.sqrt(q * (1 - p) / (1 - p * q)), abs=0.03)
    assert abs(np.corrcoef(b[:, 0], c[:, 0])[0, 1]) < 0.03


def test_thinned_weighted_sums_fluctuate_as_they_should():
    mean, weigh = np.array([12.0, 3.0]), np.array([2.0, 0.1])
    null = Thinned((mean, mean / 3), ((0, 1),), per_event=(weigh, weigh))
    (loose, _), (tight, others) = null.draw(np.random.default_rng(0), 20_000)
    np.testing.assert_allclose(tight.sums.mean(axis=0), mean / 3, rtol=0.02)
    np.testing.assert_allclose(loose.sums.var(axis=0), mean * weigh, rtol=0.05)
    np.testing.assert_allclose(loose.squares, loose.sums * weigh)
    assert (tight.sums <= loose.sums).all()
    assert not others.sums.any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"chains": ((0,),)}, "each of the looks once"),
        ({"every": np.array([5, 5])}, "look 0: it predicts more outliers"),
        ({"expected": (np.array([9.0, np.nan]), np.ones(2))}, "look 0: its prediction"),
        ({"every": np.array([50, 50]), "per_event": (np.ones(2), np.ones(2))}, "weighted events"),
    ],
)
def test_impossible_predictions_are_refused(wrong, message):
    right = {"expected": (np.array([9.0, 3.0]), np.ones(2)), "chains": ((0, 1),)}
    with pytest.raises(HuntError, match=message):
        Thinned(**(right | wrong))
