"""Curves, rejections and bands against scikit-learn and direct computations."""

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_curve
from slow_rates import fpr_by_hand

from raybead.errors import HuntError
from raybead.hunt import evaluate
from raybead.hunt.evaluation.bootstrap import draws
from raybead.hunt.evaluation.curves import Curve
from raybead.hunt.evaluation.rates import CENTRAL, EFFICIENCIES, LEVELS

WEIGHTS = {
    "ones": lambda _, n: np.ones(n),
    "lognormal": lambda rng, n: rng.lognormal(0, 0.7, n),
    "nlo": lambda rng, n: rng.choice([1.0, -1.0], n, p=[0.9, 0.1]),
}


def events(n, kind="ones", *, decimals=1, share=0.2, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    score = np.round(rng.normal(size=n) + 1.5 * truth, decimals)  # with ties
    return truth, score, WEIGHTS[kind](rng, n)


def evaluated(truth, score, weight, **kwargs):
    columns = {"truth": truth.astype(np.int8), "score": score, "weight": weight}
    found = evaluate(pa.table(columns), ("score",), **kwargs)
    assert found is not None
    json.dumps(found, allow_nan=False)
    return found["scores"]["score"]


@pytest.mark.parametrize("decimals", [1, 9], ids=["ties", "distinct"])
@pytest.mark.parametrize("kind", ["ones", "lognormal"])
def test_curves_are_scikit_learns(kind, decimals):
    truth, score, weight = events(1500, kind, decimals=decimals)
    curve = Curve.of(truth, score, weight)
    fpr, tpr, _ = roc_curve(truth, score, sample_weight=weight, drop_intermediate=False)
    np.testing.assert_allclose(curve.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(curve.tpr, tpr, atol=1e-12)
    precision, recall, _ = precision_recall_curve(truth, score, sample_weight=weight)
    # Theirs runs upwards and ends in (0, 1) by convention.
    np.testing.assert_allclose(curve.precision[1:], precision[-2::-1], atol=1e-12)
    np.testing.assert_allclose(curve.tpr[1:], recall[-2::-1], atol=1e-12)
    average = average_precision_score(truth, score, sample_weight=weight)
    assert curve.average_precision == pytest.approx(average, rel=1e-12)
    found = evaluated(truth, score, weight, replicas=20)
    assert found["average_precision"] == pytest.approx(average, rel=1e-12)
    told = found["precision_recall"]
    where = np.searchsorted(recall[::-1], np.array(told["recall"]) - 1e-12)
    assert len(where) <= 400
    assert set(np.round(told["precision"], 9)) <= set(np.round(precision, 9))


@pytest.mark.parametrize("kind", ["ones", "lognormal"])
def test_rejections_and_bands_are_those_of_the_slow_loop(kind):
    truth, score, weight = events(2000, kind, seed=1)
    found = evaluated(truth, score, weight, seed=4, replicas=40)
    rates = [
        [fpr_by_hand(truth[i], score[i], weight[i], level) for level in LEVELS[9::10]]
        for i in (draws(truth, 4, r) for r in range(40))
    ]
    low, high = np.quantile(rates, CENTRAL, axis=0)
    told = 0
    for rejection in found["rejection"]:
        level = rejection["efficiency"]
        number = round(10 * level) - 1
        fpr = fpr_by_hand(truth, score, weight, level)
        assert rejection["value"] == pytest.approx(1 / fpr)
        if rejection["high"] is not None:
            told += 1
            assert rejection["passing"] >= 20
            assert rejection["low"] == pytest.approx(1 / high[number])
            assert rejection["high"] == pytest.approx(1 / low[number])
            half = (1 / low[number] - 1 / high[number]) / 2
            assert rejection["error"] == pytest.approx(half)
    assert told >= 3
    assert [r["efficiency"] for r in found["rejection"]] == list(EFFICIENCIES)
    band = found["improvement"]
    where = {round(100 * level): i for i, level in enumerate(band["efficiency"])}
    for number in range(4, 10):
        i, level = where[10 * number + 10], (number + 1) / 10
        fpr = fpr_by_hand(truth, score, weight, level)
        assert band["value"][i] == pytest.approx(level / np.sqrt(fpr))
        assert band["low"][i] == pytest.approx(level / np.sqrt(high[number]))
        assert band["high"][i] == pytest.approx(level / np.sqrt(low[number]))


def test_bands_hold_the_truth_as_often_as_they_say():
    """Of Gaussian scores, whose curves are known, at one signal efficiency."""
    inside, level = 0, 0.8
    true = level / np.sqrt(stats.norm.sf(1.5 + stats.norm.ppf(0.2)))
    for seed in range(150):
        truth, score, weight = events(600, decimals=9, seed=seed, share=0.3)
        band = evaluated(truth, score, weight, seed=seed, replicas=60)["improvement"]
        i = band["efficiency"].index(level)
        inside += band["low"][i] <= true <= band["high"][i]
    assert inside / 150 == pytest.approx(0.683, abs=4 * np.sqrt(0.683 * 0.317 / 150))


def test_a_rejection_of_few_events_is_a_bound():
    truth = np.arange(1100) < 100
    score = np.where(truth, 1.0, 0.0)
    found = evaluated(truth, score, np.ones(1100), replicas=20)
    bound = 1000 / (stats.chi2.isf(stats.norm.sf(1.0), 2) / 2)  # none of 1000 has passed
    for rejection in found["rejection"]:
        assert rejection["value"] is None
        assert rejection["high"] is None
        assert rejection["error"] is None
        assert rejection["passing"] == 0
        assert rejection["low"] == pytest.approx(bound)
    assert found["improvement"]["efficiency"] == []
    score[100:110] = 2.0  # ten pass before any signal does
    for rejection in evaluated(truth, score, np.ones(1100), replicas=200)["rejection"]:
        assert rejection["value"] == pytest.approx(100)
        assert rejection["high"] is None
        assert rejection["low"] <= 1000 / stats.chi2.isf(stats.norm.sf(1.0), 22) * 2 + 1e-9


def test_of_a_constant_score_chance_is_told():
    truth, _, weight = events(500)
    found = evaluated(truth, np.full(500, 3.0), weight, replicas=20)
    assert found["auc"] == 0.5
    assert found["auc_error"] == 0.0
    assert found["average_precision"] == pytest.approx(truth.mean())
    for rejection in found["rejection"]:
        assert rejection["value"] == pytest.approx(1 / rejection["efficiency"])
    assert found["sic"] == 1.0
    assert found["precision_recall"] == {"recall": [1.0], "precision": [truth.mean()]}


def test_infinite_scores_are_the_highest_and_the_lowest():
    truth, score, weight = events(400, decimals=9)
    largest, least = score.argmax(), score.argmin()
    ours = evaluated(truth, score, weight, replicas=20)
    score[largest], score[least] = np.inf, -np.inf
    assert evaluated(truth, score, weight, replicas=20) == ours
    # Several at infinity are alike.
    highest = score > 1.5
    alike = evaluated(truth, np.where(highest, np.inf, score), weight, replicas=20)
    assert alike == evaluated(truth, np.where(highest, 99.0, score), weight, replicas=20)


def test_what_is_no_number_is_refused_in_words():
    truth, score, weight = events(200)
    score[3] = np.nan
    with pytest.raises(HuntError, match=r"score isn't a number for 1 of the 200 events"):
        evaluated(truth, score, weight)
    weight[7] = np.inf
    with pytest.raises(HuntError, match=r"weights of 1 of"):
        evaluated(truth, np.ones(200), weight)


@pytest.mark.parametrize("share", [0.0, 0.004, 0.996, 1.0])
def test_without_both_classes_there_is_no_evaluation(share):
    truth = np.arange(250) < round(250 * share)
    table = pa.table({"truth": truth.astype(np.int8), "score": np.ones(250),
                      "weight": np.ones(250)})  # fmt: skip
    assert evaluate(table, ("score",)) is None


@pytest.mark.parametrize("seed", range(4))
def test_negative_weights_give_finite_numbers(seed):
    truth, score, weight = events(300, "nlo", seed=seed)
    found = evaluated(truth, score, weight, replicas=30)
    assert 0 <= found["average_precision"] <= 1
    assert min(found["precision_recall"]["precision"]) >= 0
    assert max(found["precision_recall"]["precision"]) <= 1


def test_two_events_of_each_class_are_enough():
    truth = np.arange(4) < 2
    found = evaluated(truth, np.array([3.0, 1.0, 2.0, 0.0]), np.ones(4))
    assert found["auc"] == 0.75
    assert found["sic"] == 0.0  # fewer than 20 background events
    assert found["improvement"]["efficiency"] == []
    assert all(rejection["high"] is None for rejection in found["rejection"])


def test_the_prevalence_is_of_weights():
    truth, score, weight = events(300, "lognormal")
    table = pa.table({"truth": truth.astype(np.int8), "score": score, "weight": weight})
    found = evaluate(table, ("score",), replicas=20)
    assert found["prevalence"] == pytest.approx(weight[truth].sum() / weight.sum())
    assert found["efficiency"] is None
