"""AUCs and their errors against scikit-learn and the bootstrap."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from raybead.hunt import evaluate


def table(seed=0, n=700):
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.15).astype(np.int8)
    score = np.round(rng.normal(size=n) + 1.5 * truth, 1)  # with ties
    other = score + rng.normal(size=n)
    return pa.table({"truth": truth, "score": score, "other": other, "weight": np.ones(n)})


def test_aucs_and_errors():
    scores = table()
    truth, score, other = (scores[name].to_numpy() for name in ("truth", "score", "other"))
    found = evaluate(scores, ("score", "other"))["scores"]
    assert found["score"]["auc"] == pytest.approx(roc_auc_score(truth, score))
    assert found["other"]["auc"] == pytest.approx(roc_auc_score(truth, other))
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(400):
        index = rng.integers(0, len(truth), len(truth))
        pair = [roc_auc_score(truth[index], value[index]) for value in (score, other)]
        drawn.append((pair[0], pair[1] - pair[0]))
    spread = np.std(drawn, axis=0)
    assert found["score"]["auc_error"] == pytest.approx(spread[0], rel=0.15)
    assert found["other"]["beyond_first_error"] == pytest.approx(spread[1], rel=0.15)
    difference = found["other"]["auc"] - found["score"]["auc"]
    assert found["other"]["beyond_first"] == pytest.approx(difference)


def test_significance_improvement_needs_background_left():
    truth = np.r_[np.ones(50), np.zeros(1000)].astype(np.int8)
    perfect = pa.table(
        {"truth": truth, "score": truth.astype(float), "weight": np.ones(len(truth))}
    )
    best = evaluate(perfect, ("score",))["scores"]["score"]
    assert best["auc"] == 1.0
    assert best["sic"] <= 1 / np.sqrt(20 / 1000) + 1e-9


def test_without_truth_there_is_no_evaluation():
    unknown = pa.table(
        {"truth": pa.nulls(5, pa.int8()), "score": np.arange(5.0), "weight": np.ones(5)}
    )
    assert evaluate(unknown, ("score",)) is None
