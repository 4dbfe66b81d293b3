"""Patterns dealt in parts of the spectrum: enumeration, closed forms, and p-values that it mends.

Axes of arrays: S parts, P patterns, M bins.
"""

from collections import Counter
from itertools import permutations, product

import numpy as np
import pytest
from dealing import chi2_p, sample
from scipy import stats

from raybead.hunt.background import NonOutliers
from raybead.hunt.scan import BumpHunt, Windows
from raybead.hunt.toys import Look, Permutation, kernel, observed_statistics, statistics


def disjoint(n=3000, parts=2, bins=14):
    """Looks that no event is an outlier of twice: their counts are the patterns'."""
    place, _ = sample(n, bins)
    score = np.random.default_rng(3).random(n)
    flags = np.stack([score < 0.02, (score > 0.9) & (score < 0.98), score > 0.98], axis=1)
    return Permutation(place, flags, bins, parts=parts)


def free(null):
    """[P] events of patterns that no part is sure of."""
    return null.patterns.size - null.size.sum(axis=0)


def part_sums(null, counts_NM):
    return np.stack(
        [
            counts_NM[:, low:high].sum(axis=1)
            for low, high in zip(null.bounds, null.bounds[1:], strict=False)
        ],
        axis=1,
    )


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_parts_hold_about_as_many_events_and_their_share_of_each_pattern(parts):
    null = disjoint(parts=parts)
    events_S = part_sums(null, null.every[None])[0]
    assert len(events_S) == parts
    assert np.abs(events_S - 3000 / parts).max() <= null.every.max()
    wanted_SP = events_S[:, None] / 3000 * null.size.sum(axis=0)
    assert np.abs(null.size - wanted_SP).max() <= 1.5
    assert (null.size >= 0).all()
    assert (free(null) >= 0).all()
    assert null.size.sum() > 0.2 * null.patterns.size.sum()


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.usefixtures("how")
def test_margins_of_every_part_are_kept(parts):
    null, n = disjoint(parts=parts), 3000
    looks = null.draw(np.random.default_rng(0), n)
    room_S = part_sums(null, null.every[None])[0] - null.size.sum(axis=1)
    for outliers, others in looks:
        np.testing.assert_array_equal(outliers.sums + others.sums, np.tile(null.every, (n, 1)))
    for pattern, holds in enumerate(null.patterns.holds.T):
        (look,) = np.flatnonzero(holds)
        counts_NS = part_sums(null, looks[look][0].sums)
        assert (counts_NS.sum(axis=1) == null.patterns.size[pattern]).all()
        assert (counts_NS >= null.size[:, pattern]).all()
        spare = free(null)[pattern]
        for s in range(parts):
            law = stats.hypergeom(room_S.sum(), room_S[s], spare)
            spread = counts_NS[:, s].var()
            if spare == 0:
                assert spread == 0
            else:
                assert spread == pytest.approx(law.var(), rel=0.15)


@pytest.mark.usefixtures("how")
def test_every_deal_within_parts_is_as_likely_as_every_other():
    place = np.array([0, 0, 1, 2, 3, 3])
    flags = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [0, 1], [0, 0]], dtype=bool)
    null = Permutation(place, flags, 4, parts=2)
    np.testing.assert_array_equal(null.bounds, [0, 2, 4])
    kinds = [np.flatnonzero(holds)[0] for holds in null.patterns.holds.T]
    exact = Counter()
    for orders in product(permutations(range(3)), permutations(range(3, 6))):
        look_E = np.full(6, -1)
        for order, size_P in zip(orders, null.size, strict=True):
            look_E[list(order[: size_P.sum()])] = np.repeat(kinds, size_P)
        rest = np.flatnonzero(look_E < 0)
        for order in permutations(rest):
            dealt = look_E.copy()
            dealt[list(order[: free(null).sum()])] = np.repeat(kinds, free(null))
            by_look = [np.bincount(place[dealt == look], minlength=4) for look in (0, 1)]
            exact[tuple(np.concatenate(by_look))] += 1
    n = 20_000
    (first, _), (second, _) = null.draw(np.random.default_rng(4), n)
    drawn = Counter(map(tuple, np.concatenate([first.sums, second.sums], axis=1).tolist()))
    assert set(drawn) <= set(exact)
    keys = list(exact)
    chances = np.array([exact[k] for k in keys]) / sum(exact.values())
    assert len(keys) > 5
    assert chi2_p([drawn[k] for k in keys], chances) > 1e-3


def template_looks(null, number):
    scan = BumpHunt(Windows.of(null.n_bins, (2, 5)), supported=null.supported)
    return [Look(NonOutliers(*null.data()[0]), scan)] * number


def test_compiled_and_numpy_toys_in_parts_follow_one_law(monkeypatch):
    place, flags = sample(cuts=(0.8, 0.95))
    null = Permutation(place, flags, 14, parts=2)
    compiled = statistics(null, template_looks(null, 2), 6000, (1,))
    monkeypatch.setattr(kernel, "COMPILED", False)
    plain = statistics(null, template_looks(null, 2), 6000, (2,))
    for look in range(2):
        assert stats.ks_2samp(compiled[:, look], plain[:, look]).pvalue > 1e-3
    pairs = [np.corrcoef(s.T)[0, 1] for s in (compiled, plain)]
    assert pairs[0] == pytest.approx(pairs[1], abs=0.06)


@pytest.mark.usefixtures("how")
def test_tables_in_parts_say_what_a_scan_of_the_drawn_counts_says():
    place, flags = sample()
    null = Permutation(place, flags, 14, parts=2)
    looks = template_looks(null, 3)
    assert null.tables([look.statistic for look in looks]) is not None
    looked_up = statistics(null, looks, 700, (3,))
    spectra = null.draw(np.random.default_rng([3, 0]), 700)
    for k, (outliers, others) in enumerate(spectra):
        expected = others.sums * (outliers.sums.sum(axis=1) / others.sums.sum(axis=1))[:, None]
        scanned = looks[k].statistic.of(outliers, others, expected)
        np.testing.assert_allclose(looked_up[:, k], scanned, rtol=1e-9, atol=1e-9)
    assert np.isfinite(observed_statistics(null, looks, null.data())).all()


def test_one_part_is_no_part():
    """Patterns are then dealt among all events alike, as without parts."""
    whole, single = disjoint(parts=1), disjoint(parts=1)
    np.testing.assert_array_equal(whole.bounds, [0, 14])
    events = (whole.size.sum(axis=0) + free(whole), whole.patterns.size)
    np.testing.assert_array_equal(*events)
    looks = template_looks(whole, 3)
    plain = Permutation(single.bin, single.flags, 14)
    np.testing.assert_array_equal(
        statistics(whole, looks, 500, (1,)), statistics(plain, looks, 500, (1,))
    )
    # Two parts leave less to chance: wide windows fluctuate less.
    halves = [
        null.draw(np.random.default_rng(1), 4000)[1][0].sums[:, : disjoint().bounds[1]].sum(axis=1)
        for null in (whole, disjoint(parts=2))
    ]
    assert halves[1].var() < 0.8 * halves[0].var()
    assert halves[1].mean() == pytest.approx(halves[0].mean(), abs=1.0)
