"""Evaluation with truth: how well scores separate. Nothing here feeds back into a hunt.

Axes: E events, P points of a curve.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_curve

Array = NDArray[np.float64]

MIN_BACKGROUND = 20
"""Background events that have to be left for a significance improvement to be quoted."""
CURVE_POINTS = 200


def evaluate(scores: pa.Table, names: tuple[str, ...]) -> dict[str, Any] | None:
    """ROC, AUC and maximum significance improvement of scores; None where truth is unknown.

    The significance improvement characteristic (SIC) is TPR / sqrt(FPR). Errors are those of
    DeLong, DeLong and Clarke-Pearson (Biometrics 44 (1988) 837); differences from the first
    score are paired, on the same events.

    Args:
        scores: rows of event scores; those of unknown truth are left out.
        names: of the scores; the first is the model's, the others are controls.
    """
    known = scores.filter(pc.field("truth").is_valid())
    truth = known.column("truth").to_numpy() > 0
    if len(known) == 0 or truth.sum() < 2 or (~truth).sum() < 2:
        return None
    values = {name: known.column(name).to_numpy() for name in names}
    placed = {name: _placements(truth, value) for name, value in values.items()}
    first = placed[names[0]]
    curves = {}
    for name, value in values.items():
        fpr, tpr, _ = roc_curve(truth, value)
        auc = float(placed[name][0].mean())
        allowed = fpr * (~truth).sum() >= MIN_BACKGROUND
        sic = np.where(allowed, tpr / np.sqrt(np.maximum(fpr, 1e-12)), 0.0)
        best = int(sic.argmax())
        curves[name] = {
            "auc": auc,
            "auc_error": _auc_error(*placed[name]),
            "sic": float(sic[best]),
            "sic_efficiency": float(tpr[best]),
            "beyond_first": float(auc - first[0].mean()),
            "beyond_first_error": _auc_error(
                placed[name][0] - first[0], placed[name][1] - first[1]
            ),
            "roc": _thinned(fpr, tpr),
        }
    return {"signal": int(truth.sum()), "background": int((~truth).sum()), "scores": curves}


def _placements(truth: NDArray[np.bool_], value: Array) -> tuple[Array, Array]:
    """DeLong's placement values of the signal [S] and of the background [B] events.

    The share of the other class that each event lies above, ties counting a half: the mean of
    either is the AUC, and their variances give that of the AUC. By midranks, so n log n.
    """
    signal, background = value[truth], value[~truth]
    among_all = stats.rankdata(np.concatenate([signal, background]))
    above = (among_all[: len(signal)] - stats.rankdata(signal)) / len(background)
    below = 1 - (among_all[len(signal) :] - stats.rankdata(background)) / len(signal)
    return above, below


def _auc_error(above: Array, below: Array) -> float:
    """Standard deviation of an AUC, or of a difference of two, from its placement values."""
    return float(np.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)))


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
