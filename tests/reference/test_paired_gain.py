"""Paired differences of two scores against scikit-learn, slow loops and a slow bootstrap."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from raybead.errors import HuntError
from raybead.hunt.evaluation.bootstrap import draws
from raybead.hunt.evaluation.paired import paired_gain


def events(n, seed=0, share=0.2):
    """Truth, a good score with ties, and one that has much in common with it."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    score = np.round(rng.normal(size=n) + 1.5 * truth, 1)
    return truth, score, np.round(score + rng.normal(size=n), 1)


def highest_improvement(truth, value, weight):
    fpr, tpr, thresholds = roc_curve(truth, value, sample_weight=weight, drop_intermediate=False)
    best = 0.0
    for f, t, threshold in zip(fpr, tpr, thresholds, strict=True):
        passed = weight[~truth & (value >= threshold)]
        if len(passed) and passed.sum() ** 2 / np.sum(passed**2) >= 20:
            best = max(best, t / np.sqrt(f))
    return best


def delong_by_hand(truth, one, other):
    """DeLong's error of a difference of areas, every signal event against every background."""
    psi = np.array([
        [[np.mean(s > b) + np.mean(s == b) / 2 for b in v[~truth]] for s in v[truth]]
        for v in (one, other)
    ])  # fmt: skip
    lead = psi[0] - psi[1]
    above, below = lead.mean(axis=1), lead.mean(axis=0)
    return np.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))


@pytest.mark.parametrize("weighted", [False, True])
def test_differences_are_those_of_scikit_learn_and_of_a_slow_bootstrap(weighted):
    truth, one, other = events(900)
    weight = np.random.default_rng(5).lognormal(0, 0.5, 900) if weighted else np.ones(900)
    gain = paired_gain(truth, weight, one, other, seed=3, replicas=60)
    area = [roc_auc_score(truth, v, sample_weight=weight) for v in (one, other)]
    best = [highest_improvement(truth, v, weight) for v in (one, other)]
    assert gain.auc == pytest.approx(area[0] - area[1], rel=1e-9)
    assert gain.sic == pytest.approx(best[0] - best[1], rel=1e-9)
    aucs, sics = [], []
    for r in range(60):
        index = draws(truth, 3, r)
        t, w = truth[index], weight[index]
        aucs.append(np.subtract(*(roc_auc_score(t, v[index], sample_weight=w)
                                  for v in (one, other))))  # fmt: skip
        sics.append(np.subtract(*(highest_improvement(t, v[index], w) for v in (one, other))))
    assert gain.sic_error == pytest.approx(np.std(sics, ddof=1), rel=1e-9)
    assert gain.auc_without == np.mean(np.array(aucs) <= 0)
    assert gain.sic_without == np.mean(np.array(sics) <= 0)
    assert gain.auc_error == pytest.approx(np.std(aucs, ddof=1), rel=0.3)
    assert gain.replicas == 60


def test_errors_of_areas_are_delongs_and_smaller_than_unpaired_ones():
    truth, one, other = events(200, share=0.3)
    gain = paired_gain(truth, np.ones(200), one, other, replicas=2)
    assert gain.auc_error == pytest.approx(delong_by_hand(truth, one, other), rel=1e-9)
    chance = np.random.default_rng(8).permutation(np.zeros(200))  # one value: an area of a half
    alone = [paired_gain(truth, np.ones(200), v, chance, replicas=2).auc_error
             for v in (one, other)]  # fmt: skip
    assert gain.auc_error < 0.8 * np.hypot(*alone)


def test_the_other_way_round_is_the_opposite_and_a_score_has_nothing_more_than_itself():
    truth, one, other = events(400)
    there = paired_gain(truth, np.ones(400), one, other, replicas=20)
    back = paired_gain(truth, np.ones(400), other, one, replicas=20)
    assert (back.auc, back.sic) == pytest.approx((-there.auc, -there.sic))
    assert (back.auc_error, back.sic_error) == pytest.approx((there.auc_error, there.sic_error))
    # A score is its ranking.
    same = paired_gain(truth, np.ones(400), one, np.exp(one), replicas=20)
    assert (same.auc, same.auc_error, same.sic, same.sic_error) == (0, 0, 0, 0)
    assert (same.auc_without, same.sic_without) == (1, 1)


def test_infinite_scores_have_their_ranks_and_missing_ones_are_refused():
    truth, one, other = events(300)
    high = np.where(one == one.max(), np.inf, one)
    args = truth, np.ones(300)
    assert paired_gain(*args, high, other, replicas=5) == paired_gain(
        *args, one, other, replicas=5
    )
    one[7] = np.nan
    with pytest.raises(HuntError, match="1 of 300 events"):
        paired_gain(*args, one, other)


def test_nothing_is_told_of_a_single_signal_event():
    truth = np.arange(50) == 3
    value = np.arange(50.0)
    assert paired_gain(truth, np.ones(50), value, value) is None
    assert paired_gain(np.zeros(50, bool), np.ones(50), value, value) is None
