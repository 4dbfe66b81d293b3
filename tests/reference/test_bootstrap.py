"""Replicas against scikit-learn on the same resampled events, and DeLong's errors."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from slow_rates import fpr_by_hand

from raybead.hunt import evaluate
from raybead.hunt.evaluation.bootstrap import draws, replicas_for, replicate


def events(n, seed=0, share=0.2):
    """Truth, and a good and a worse score with ties."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    score = np.round(rng.normal(size=n) + 1.5 * truth, 1)
    return truth, {"score": score, "other": np.round(score + rng.normal(size=n), 1)}


def by_hand(truth, value, weight, min_background):
    """AUC and maximum significance improvement of events that may be there several times."""
    fpr, tpr, thresholds = roc_curve(truth, value, sample_weight=weight, drop_intermediate=False)
    best = 0.0
    for f, t, threshold in zip(fpr, tpr, thresholds, strict=True):
        passed = weight[~truth & (value >= threshold)]
        if len(passed) and passed.sum() ** 2 / np.sum(passed**2) >= min_background:
            best = max(best, t / np.sqrt(f))
    return roc_auc_score(truth, value, sample_weight=weight), best


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [300, 2500])
def test_every_replica_is_that_of_the_slow_loop(n, weighted):
    truth, values = events(n)
    weight = np.random.default_rng(5).lognormal(0, 0.7, n) if weighted else np.ones(n)
    levels = np.array([0.05, 0.3, 0.5, 1.0])
    found = replicate(truth, weight, values, 20, levels=levels, seed=3, replicas=6)
    for r in range(6):
        index = draws(truth, 3, r)
        assert truth[index].sum() == truth.sum()  # each class is drawn by itself
        for name, value in values.items():
            auc, sic = by_hand(truth[index], value[index], weight[index], 20)
            assert found[name].auc[r] == pytest.approx(auc, rel=1e-12)
            assert found[name].sic[r] == pytest.approx(sic, rel=1e-12)
            of_replica = truth[index], value[index], weight[index]
            precision = average_precision_score(*of_replica[:2], sample_weight=of_replica[2])
            assert found[name].average_precision[r] == pytest.approx(precision, rel=1e-12)
            rates = [fpr_by_hand(*of_replica, level) for level in levels]
            np.testing.assert_allclose(found[name].fpr_RL[r], rates, rtol=1e-9, atol=1e-15)
    lead = found["score"].less(found["other"])
    np.testing.assert_array_equal(lead.auc, found["score"].auc - found["other"].auc)


def test_errors_are_delongs_and_gains_are_paired():
    truth, values = events(3000)
    table = pa.table({"truth": truth.astype(np.int8), "weight": np.ones(3000), **values})
    found = evaluate(table, ("score", "other"))
    drawn = replicate(truth, np.ones(3000), values, 20)
    assert found["replicas"] == 500
    score, other = found["scores"]["score"], found["scores"]["other"]
    assert drawn["score"].auc.std(ddof=1) == pytest.approx(score["auc_error"], rel=0.1)
    gain = other["gain"]["auc"]
    assert gain["value"] == pytest.approx(-other["beyond_first"])
    assert gain["error"] == pytest.approx(other["beyond_first_error"], rel=0.1)
    # Paired: what both scores have in common doesn't count.
    assert gain["error"] < 0.8 * np.hypot(score["auc_error"], other["auc_error"])
    assert gain["without"] == 0.0
    assert other["gain"]["sic"]["value"] == pytest.approx(score["sic"] - other["sic"])
    assert score["sic_error"] == drawn["score"].sic.std(ddof=1)
    assert "gain" not in score
    assert evaluate(table, ("score", "other")) == found  # no chance is left in it


def test_a_model_that_is_its_control_gains_nothing():
    truth, values = events(500)
    same = {"score": values["score"], "control": values["score"]}
    table = pa.table({"truth": truth.astype(np.int8), "weight": np.ones(500), **same})
    gain = evaluate(table, ("score", "control"), replicas=50)["scores"]["control"]["gain"]
    nothing = {"value": 0.0, "error": 0.0, "without": 1.0}
    assert gain == {"auc": nothing, "sic": nothing}


def test_the_share_without_gain_is_a_chance_of_that():
    """Of two scores that are equally good in truth, it is spread evenly from 0 to 1."""
    shares = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        truth = np.arange(300) % 3 == 0
        values = {name: rng.normal(size=300) + truth for name in ("score", "other")}
        found = replicate(truth, np.ones(300), values, 20, seed=seed, replicas=60)
        shares.append(np.mean(found["score"].less(found["other"]).auc <= 0))
    assert np.mean(shares) == pytest.approx(0.5, abs=4 / np.sqrt(12 * 120))
    assert np.std(shares) == pytest.approx(1 / np.sqrt(12), rel=0.25)


def test_classes_whose_replicas_weigh_nothing_leave_them_out():
    truth = np.arange(60) < 6
    weight = np.where(truth, np.where(np.arange(60) % 3, 1.0, -1.0), 1.0)  # in sum 2
    value = np.random.default_rng(0).normal(size=60)
    found = replicate(truth, weight, {"score": value}, 20, replicas=200)["score"]
    kept = [r for r in range(200) if weight[draws(truth, 0, r)][:6].sum() > 0]
    assert 0 < len(kept) < 200
    assert len(found.auc) == len(found.sic) == len(kept)
    assert np.isfinite(found.auc).all()


def test_large_samples_have_fewer_replicas():
    assert replicas_for(10_000) == 500
    assert replicas_for(100_000) == 200
    assert replicas_for(10**7) == 50
