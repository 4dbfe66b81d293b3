"""Weighted events that are outliers by chance, against enumeration."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from dealing import chi2_p

from raybead.errors import HuntError
from raybead.hunt.toys import Marked

PLACE, WEIGHT = np.array([0, 0, 1, 2, 2]), np.array([1.0, 2.0, -0.5, 8.0, 16.0])
LOOSE, TIGHT = np.array([0.5, 0.8, 0.3]), np.array([0.2, 0.5, 0.3])


def test_every_choice_of_events_has_its_chance():
    null = Marked(PLACE, WEIGHT, (LOOSE, TIGHT), ((0, 1),))
    n = 20_000
    looks = null.draw(np.random.default_rng(0), n)
    exact = Counter()
    # Of every event: no outlier, one of the looser cut, or one of both.
    for marks in product(range(3), repeat=5):
        kind = np.array(marks)
        chance = np.prod(np.stack([1 - LOOSE, LOOSE - TIGHT, TIGHT])[kind, PLACE])
        sums = [np.bincount(PLACE, WEIGHT * (kind >= least), 3) for least in (1, 2)]
        exact[tuple(np.concatenate(sums))] += chance
    drawn = Counter(
        map(tuple, np.concatenate([outliers.sums for outliers, _ in looks], axis=1).tolist())
    )
    keys = [key for key, chance in exact.items() if chance > 0]
    assert set(drawn) <= set(keys)
    assert chi2_p([drawn[k] for k in keys], np.array([exact[k] for k in keys])) > 1e-3
    for outliers, others in looks:
        np.testing.assert_allclose(outliers.sums + others.sums, np.tile([3, -0.5, 24], (n, 1)))
        squares = outliers.squares + others.squares
        np.testing.assert_allclose(squares, np.tile([5, 0.25, 320], (n, 1)))


def test_other_chains_have_chances_of_their_own():
    shares = (LOOSE, TIGHT)
    (loose, _), (tight, _) = Marked(PLACE, WEIGHT, shares, ((0,), (1,))).draw(
        np.random.default_rng(0), 20_000
    )
    assert abs(np.corrcoef(loose.sums[:, 0], tight.sums[:, 0])[0, 1]) < 0.03
    np.testing.assert_allclose(tight.sums.mean(axis=0), [0.6, -0.25, 7.2], rtol=0.03)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"chains": ((0,),)}, "each of the looks once"),
        ({"share": (LOOSE, np.array([0.1, 1.2, 0]))}, "look 1: its shares of all events"),
        ({"share": (np.array([0.1, np.nan, 0]), TIGHT)}, "look 0: its shares of all events"),
    ],
)
def test_impossible_shares_are_refused(wrong, says):
    right = {"bin": PLACE, "weight": WEIGHT, "share": (LOOSE, TIGHT), "chains": ((0, 1),)}
    with pytest.raises(HuntError, match=says):
        Marked(**(right | wrong))
