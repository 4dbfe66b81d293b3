"""Evaluation with truth: how well scores separate. Nothing here feeds back into a hunt.

Axes: E events, P points of a curve.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

Array = NDArray[np.float64]

MIN_BACKGROUND = 20
"""Background events that have to be left for a significance improvement to be quoted."""
RESAMPLES = 200
CURVE_POINTS = 200


def evaluate(scores: pa.Table, names: tuple[str, ...], seed: int) -> dict[str, Any] | None:
    """ROC, AUC and maximum significance improvement of scores; None where truth is unknown.

    The significance improvement characteristic (SIC) is TPR / sqrt(FPR). Errors are bootstrap
    standard deviations; differences from the first score are paired: both are taken on the same
    resampled events.

    Args:
        scores: rows of event scores; those of unknown truth are left out.
        names: of the scores; the first is the model's, the others are controls.
        seed: of the bootstrap.
    """
    known = scores.filter(pc.field("truth").is_valid())
    truth = known.column("truth").to_numpy() > 0
    if len(known) == 0 or truth.all() or not truth.any():
        return None
    values = {name: known.column(name).to_numpy() for name in names}
    aucs = _bootstrap_aucs(truth, values, seed)
    curves = {}
    for name, value in values.items():
        fpr, tpr, _ = roc_curve(truth, value)
        auc = float(roc_auc_score(truth, value))
        allowed = fpr * (~truth).sum() >= MIN_BACKGROUND
        sic = np.where(allowed, tpr / np.sqrt(np.maximum(fpr, 1e-12)), 0.0)
        best = int(sic.argmax())
        curves[name] = {
            "auc": auc,
            "auc_error": float(aucs[name].std()),
            "sic": float(sic[best]),
            "sic_efficiency": float(tpr[best]),
            "beyond_first": float(auc - roc_auc_score(truth, values[names[0]])),
            "beyond_first_error": float((aucs[name] - aucs[names[0]]).std()),
            "roc": _thinned(fpr, tpr),
        }
    return {"signal": int(truth.sum()), "background": int((~truth).sum()), "scores": curves}


def _bootstrap_aucs(
    truth: NDArray[np.bool_], values: dict[str, Array], seed: int
) -> dict[str, Array]:
    rng = np.random.default_rng([seed, 7])
    signal, background = np.flatnonzero(truth), np.flatnonzero(~truth)
    found = {name: np.empty(RESAMPLES) for name in values}
    for i in range(RESAMPLES):
        # Within each class: the numbers of both are fixed, and neither can vanish.
        index = np.concatenate(
            [rng.choice(signal, len(signal)), rng.choice(background, len(background))]
        )
        for name, value in values.items():
            found[name][i] = roc_auc_score(truth[index], value[index])
    return found


def _thinned(fpr: Array, tpr: Array) -> dict[str, list[float]]:
    # Points evenly spread along both axes, logarithmically in FPR: enough to draw either way.
    along = np.concatenate(
        [
            np.searchsorted(fpr, np.geomspace(max(fpr[fpr > 0].min(), 1e-9), 1, CURVE_POINTS)),
            np.searchsorted(tpr, np.linspace(0, 1, CURVE_POINTS)),
        ]
    )
    index = np.unique(np.clip(along, 0, len(fpr) - 1))
    return {"fpr": fpr[index].tolist(), "tpr": tpr[index].tolist()}
