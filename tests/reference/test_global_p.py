"""P-values of many looks against their definition, their spread, and uniformity."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from raybead.hunt import Histogram
from raybead.hunt.background import NonOutliers
from raybead.hunt.scan import BumpHunt, Windows
from raybead.hunt.toys import (
    CHUNK,
    GlobalP,
    Look,
    Permutation,
    combine,
    enough,
    observed_statistics,
    schedule,
    statistics,
    until,
)


def slow_combination(observed, toys):
    """Of data and toys alike: each look's rank, the least of them, and the data's rank of that."""
    rows = np.vstack([observed, toys])
    least = [
        min(np.mean(rows[:, look] >= row[look]) for look in range(rows.shape[1])) for row in rows
    ]
    return np.mean([p <= least[0] for p in least])


@given(
    st.integers(1, 4).flatmap(
        lambda looks: st.lists(
            st.lists(st.integers(0, 6), min_size=looks, max_size=looks), min_size=2, max_size=40
        )
    ),
    st.sampled_from([np.float32, np.float64]),
)
def test_the_combination_is_its_definition(rows, kind):
    rows = np.array(rows, dtype=kind) / 3
    combined = combine(rows[0], rows[1:])
    assert combined.overall.p == pytest.approx(slow_combination(rows[0], rows[1:]))
    for look, single in enumerate(combined.per_look):
        assert single == GlobalP.of(float(rows[0, look]), rows[1:, look])
        assert combined.per_look[combined.best].p <= single.p
    overall = combined.overall
    assert combined.per_look[combined.best].p <= overall.p
    assert overall.p <= rows.shape[1] * combined.per_look[combined.best].p + 1e-12
    assert 0 <= overall.low <= overall.high <= 1


def test_one_look_combines_to_itself():
    toys = np.random.default_rng(0).exponential(size=(3000, 1))
    combined = combine(np.array([4.0]), toys)
    assert combined.overall == combined.per_look[0]
    assert combined.effective == combined.overall.beyond


def test_rounding_tells_no_ties_apart():
    toys = np.random.default_rng(0).integers(0, 9, (2000, 2)).astype(float)
    shaken = toys * (1 + 1e-14 * np.random.default_rng(1).normal(size=toys.shape))
    for observed in (np.array([7.0, 3.0]), np.array([5.0, 8.0])):
        assert combine(observed, shaken) == combine(observed, toys)
        assert combine(observed, shaken.astype(np.float32)) == combine(observed, toys)


@pytest.mark.parametrize("shared", [0.0, 0.8, 1.0])
def test_the_interval_covers_and_the_error_is_the_spread(shared):
    """Three looks that have nothing, much, and everything in common."""
    rng = np.random.default_rng(2)
    mixed = [np.sqrt(1 - shared**2), shared]
    level = stats.norm.isf(0.02)
    whole = rng.normal(size=(400_000, 3)) * mixed[0] + rng.normal(size=(400_000, 1)) * mixed[1]
    true = np.mean((whole > level).any(axis=1))
    covered, found, effective = [], [], []
    for _ in range(400):
        toys = rng.normal(size=(2000, 3)) * mixed[0] + rng.normal(size=(2000, 1)) * mixed[1]
        combined = combine(np.array([level, 0.0, 0.5]), toys)
        covered.append(combined.overall.low <= true <= combined.overall.high)
        found.append(combined.overall.p)
        effective.append(combined.effective)
    assert 0.60 < np.mean(covered) < 0.78
    assert np.std(np.log(found)) == pytest.approx(np.mean(np.power(effective, -0.5)), rel=0.15)


def test_nothing_beyond_is_bounded_by_bonferroni():
    toys = np.random.default_rng(0).random((999, 3))
    combined = combine(np.array([0.1, 5.0, 0.1]), toys)
    assert combined.best == 1
    assert combined.per_look[1].beyond == combined.effective == combined.overall.low == 0
    # The highest toy of either other look is as rare as the data's best.
    assert combined.overall.p == pytest.approx(3 / 1000)
    assert combined.overall.high == pytest.approx(3 * combined.per_look[1].high)


@dataclass(frozen=True)
class Made:
    """Events of two models whose scores are correlated and know nothing of the mass."""

    place: np.ndarray
    flags: np.ndarray

    @classmethod
    def of(cls, seed, n=1200, bins=12):
        rng = np.random.default_rng([77, seed])
        share = np.exp(-np.arange(bins) / 4.0)
        place = rng.choice(bins, n, p=share / share.sum())
        scores = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], n)
        cuts = stats.norm.isf([0.3, 0.15, 0.05])
        return cls(place, (scores[:, :, None] > cuts).reshape(n, 6))


def test_combined_p_values_are_uniform_and_bonferronis_are_not():
    """Six looks: three nested cuts of each of two models that agree on much."""
    overall, bonferroni = [], []
    for seed in range(300):
        made = Made.of(seed)
        null = Permutation(made.place, made.flags, 12)
        scan = BumpHunt(Windows.of(12, (2, 3)), supported=null.supported)
        counts = Histogram.counted(np.ones((1, 12), dtype=np.int64))
        looks = [Look(NonOutliers(counts, counts), scan)] * 6
        observed = observed_statistics(null, looks, null.data())
        combined = combine(observed, statistics(null, looks, 400, (seed,)))
        overall.append(combined.overall.p)
        bonferroni.append(min(1.0, 6 * combined.per_look[combined.best].p))
    assert stats.kstest(overall, "uniform").pvalue > 0.01
    assert np.mean(np.array(overall) < 0.1) == pytest.approx(0.1, abs=0.05)
    assert stats.kstest(bonferroni, "uniform").pvalue < 1e-6
    assert np.mean(bonferroni) > 0.65


def test_toys_are_counted_at_numbers_fixed_beforehand():
    numbers = schedule(10_000_000)
    assert numbers[0] == CHUNK
    assert numbers[-1] == 10_000_000
    assert all(n % CHUNK == 0 for n in numbers)
    assert all(a < b <= max(a + CHUNK, 1.25 * a) for a, b in pairwise(numbers))
    assert schedule(700) == (700,)
    assert schedule(2500) == (1000, 2000, 2500)


def exponential(seed):
    def more(first, n):
        parts = [
            np.random.default_rng([seed, first + k]).exponential(size=(min(CHUNK, n - s), 2))
            for k, s in enumerate(range(0, n, CHUNK))
        ]
        return np.concatenate(parts)

    return more


def test_toys_end_where_the_error_is_reached_and_not_before():
    observed = np.array([3.0, 0.5])
    toys = until(observed, exponential(0), 500_000, 0.1)
    np.testing.assert_array_equal(toys, exponential(0)(0, len(toys)))
    numbers = schedule(500_000)
    asked = numbers[: numbers.index(len(toys)) + 1]
    assert [enough(observed, toys[:n], 0.1) for n in asked] == [False] * (len(asked) - 1) + [True]
    assert combine(observed, toys).effective >= 100
    assert len(until(np.array([30.0, 0.0]), exponential(0), 3500, 0.1)) == 3500
    assert len(until(observed, exponential(0), 3500, 0.0)) == 3500


def test_stopping_overestimates_p_by_little():
    level, precision = 4.0, 0.1
    true = 1 - (1 - np.exp(-level)) ** 2
    found = [
        combine(np.array([level, 0.0]), until(np.array([level, 0.0]), exponential(s), 10**6, 0.1))
        for s in range(1, 150)
    ]
    ratio = np.array([c.overall.p for c in found]) / true
    error = ratio.std() / np.sqrt(len(ratio))
    assert 1 - 2 * error < ratio.mean() < 1 + 3 * precision**2 + 2 * error
    assert ratio.std() < 1.3 * precision
