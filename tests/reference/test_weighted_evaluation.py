"""Weighted rates against scikit-learn, repeated events and the bootstrap."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from raybead.errors import HuntError
from raybead.hunt import evaluate


def scores_of(n, seed, weight):
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.2).astype(np.int8)
    score = np.round(rng.normal(size=n) + 1.2 * truth, 1)  # with ties
    columns = {"truth": truth, "score": score, "other": score + rng.normal(size=n)}
    return pa.table({**columns, "weight": weight(rng, n)})


@pytest.mark.parametrize(
    "weight",
    [
        lambda rng, n: rng.lognormal(0, 0.8, n),
        lambda rng, n: rng.choice([1.0, -1], n, p=[0.9, 0.1]),
    ],
    ids=["lognormal", "nlo"],
)
def test_weighted_aucs_and_errors(weight):
    table = scores_of(900, 0, weight)
    truth, score, other, weights = (
        table.column(name).to_numpy() for name in ("truth", "score", "other", "weight")
    )
    found = evaluate(table, ("score", "other"))["scores"]

    signal, background = truth == 1, truth == 0

    def auc(value, times=1.0):
        apart = value[signal][:, None] - value[background]
        over = (apart > 0) + 0.5 * (apart == 0)
        s, b = (times * weights)[signal], (times * weights)[background]
        return (s @ over @ b) / s.sum() / b.sum()

    if (weights > 0).all():  # scikit-learn takes no curve that goes back
        assert auc(score) == pytest.approx(roc_auc_score(truth, score, sample_weight=weights))
    assert found["score"]["auc"] == pytest.approx(auc(score))
    assert found["other"]["beyond_first"] == pytest.approx(auc(other) - auc(score))
    rng, drawn = np.random.default_rng(1), []
    for _ in range(300):
        times = np.bincount(rng.integers(0, 900, 900), minlength=900).astype(float)
        first = auc(score, times)
        drawn.append((first, auc(other, times) - first))
    spread = np.std(drawn, axis=0)
    assert found["score"]["auc_error"] == pytest.approx(spread[0], rel=0.15)
    assert found["other"]["beyond_first_error"] == pytest.approx(spread[1], rel=0.15)


def test_whole_weights_rate_as_repeated_events():
    table = scores_of(600, 2, lambda rng, n: rng.integers(1, 5, n).astype(float))
    times = table.column("weight").to_numpy().astype(int)
    repeated = table.take(np.repeat(np.arange(600), times))
    repeated = repeated.set_column(3, "weight", pa.array(np.ones(len(repeated))))
    ours, theirs = (evaluate(t, ("score", "other")) for t in (table, repeated))
    assert ours["signal"] == theirs["signal"]
    assert ours["background"] == theirs["background"]
    assert isinstance(ours["signal"], float)
    assert isinstance(theirs["signal"], int)
    for name in ("score", "other"):
        mine, other = ours["scores"][name], theirs["scores"][name]
        assert mine["roc"]["fpr"] == other["roc"]["fpr"]
        assert mine["roc"]["tpr"] == other["roc"]["tpr"]
        assert mine["auc"] == pytest.approx(other["auc"], rel=1e-12)


def test_a_significance_improvement_counts_effective_background():
    table = scores_of(2000, 3, lambda rng, n: rng.lognormal(0, 1, n))
    truth, score, weight = (table.column(n).to_numpy() for n in ("truth", "score", "weight"))
    fpr, tpr, thresholds = roc_curve(truth, score, sample_weight=weight)
    best = 0.0
    for f, t, threshold in zip(fpr, tpr, thresholds, strict=True):
        passed = weight[(truth == 0) & (score >= threshold)]
        if len(passed) and passed.sum() ** 2 / np.sum(passed**2) >= 20:
            best = max(best, t / np.sqrt(f))
    assert evaluate(table, ("score",))["scores"]["score"]["sic"] == pytest.approx(best)


def test_a_weight_that_all_share_changes_no_rate():
    ones, tens = (scores_of(500, 4, lambda _, n, w=w: np.full(n, w)) for w in (1.0, 0.1))
    ours, theirs = (evaluate(t, ("score", "other"))["scores"] for t in (ones, tens))
    for name in ours:
        theirs[name]["roc"].pop("effective")
    assert ours == theirs


def test_classes_that_weigh_nothing_are_refused_in_words():
    table = scores_of(100, 0, lambda _, n: -np.ones(n))
    with pytest.raises(HuntError, match=r"weights of the .* signal events"):
        evaluate(table, ("score",))
