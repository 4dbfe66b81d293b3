"""What cuts keep, bin by bin, against counting by hand, scipy's intervals and toys."""

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from raybead.hunt import evaluate
from raybead.hunt.evaluation import Cuts
from raybead.hunt.evaluation.efficiency import efficiencies, efficiency

EDGES = np.array([2000.0, 2500.0, 3000.0, 4000.0, 9000.0])
ONE_SIGMA = 1 - 2 * stats.norm.sf(1.0)


def scores_of(n, weight, seed=0):
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.3).astype(np.int8)
    mass = np.where(truth, rng.normal(2900, 200, n), rng.uniform(1800, 3900, n))
    score = rng.normal(size=n) + truth
    return pa.table({"truth": truth, "mjj": mass, "score": score, "weight": weight(rng, n)})


@pytest.mark.parametrize(
    "weight",
    [lambda _, n: np.full(n, 0.3), lambda rng, n: rng.lognormal(0, 0.6, n)],
    ids=["shared", "lognormal"],
)
def test_shares_of_every_bin_are_counted(weight):
    table = scores_of(800, weight)
    truth, mass, score, w = (table[c].to_numpy() for c in ("truth", "mjj", "score", "weight"))
    outlier = score > 0.8
    found = evaluate(table, ("score",), cuts=Cuts(EDGES, {0.9: outlier}), replicas=10)
    rated = found["efficiency"]
    json.dumps(rated, allow_nan=False)
    assert rated["edges"] == EDGES.tolist()
    (cut,) = rated["cuts"]
    assert cut["cut"] == 0.9
    for which, label in (("signal", 1), ("background", 0)):
        total = passed = 0.0
        for i in range(4):
            here = (mass >= EDGES[i]) & (mass < EDGES[i + 1]) & (truth == label)
            if not here.any():
                assert cut[which]["value"][i] is None
                assert cut[which]["low"][i] is None
                continue
            total += w[here].sum()
            passed += w[here & outlier].sum()
            share = w[here & outlier].sum() / w[here].sum()
            assert cut[which]["value"][i] == pytest.approx(share)
            if (w == w[0]).all():
                n, k = here.sum(), (here & outlier).sum()
                interval = stats.binomtest(k, n).proportion_ci(ONE_SIGMA)
                assert cut[which]["low"][i] == pytest.approx(interval.low)
                assert cut[which]["high"][i] == pytest.approx(interval.high)
                assert cut[which]["effective"][i] == pytest.approx(n)
            else:
                assert cut[which]["effective"][i] <= here.sum()
        assert cut[which]["total"]["value"] == pytest.approx(passed / total)
        assert cut[which]["total"]["low"] < passed / total < cut[which]["total"]["high"]


def test_events_of_unknown_truth_or_outside_the_bins_have_no_say():
    table = scores_of(300, lambda _, n: np.ones(n))
    outlier = table["score"].to_numpy() > 1
    cuts = Cuts(EDGES, {0.9: outlier})
    more = pa.table({
        "truth": pa.array([None, None, 1, 0], pa.int8()), "mjj": [2600.0, 3100.0, 1999.0, 9000.0],
        "score": np.full(4, 9.0), "weight": np.ones(4),
    })  # fmt: skip
    both = pa.concat_tables([table, more])
    flags = np.concatenate([outlier, np.ones(4, dtype=bool)])
    assert efficiencies(both, Cuts(EDGES, {0.9: flags})) == efficiencies(table, cuts)


@pytest.mark.parametrize("k", [0, 7])
def test_none_and_all_have_one_sided_intervals(k):
    found = efficiency(np.array([[k], [k]], float), np.array([[7 - k], [7 - k]], float))
    interval = stats.binomtest(k, 7).proportion_ci(ONE_SIGMA)
    assert found["low"][0] == pytest.approx(interval.low)
    assert found["high"][0] == pytest.approx(interval.high)
    assert found["value"][0] == k / 7


def test_weighted_intervals_hold_the_truth():
    """At least as often as they say: they are as cautious as those of counts."""
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(400):
        weight = rng.lognormal(0, 0.8, 120)
        passes = rng.random(120) < 0.3
        sides = [np.array([[w.sum()], [np.sum(w**2)]]) for w in (weight[passes], weight[~passes])]
        found = efficiency(*sides)
        inside.append(found["low"][0] <= 0.3 <= found["high"][0])
    assert 0.64 < np.mean(inside) < 0.85


def test_negative_weights_leave_no_share_outside_of_0_and_1():
    passed = np.array([[-1.0, 5.0, 2.0], [1.0, 5.0, 2.0]])
    failed = np.array([[3.0, -2.0, -3.0], [3.0, 2.0, 3.0]])
    found = efficiency(passed, failed)
    assert all(np.isnan(values).all() for values in found.values())
