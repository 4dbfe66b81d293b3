"""Evaluation with truth: how well scores separate. Nothing here feeds back into a hunt.

Axes: E events, P points of a curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from raybead.errors import HuntError
from raybead.hunt.evaluation.bootstrap import Separation, replicate
from raybead.hunt.weights import effective, relative, shared_weight

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

MIN_BACKGROUND = 20
"""Background events that have to be left for a significance improvement to be quoted; effective
ones, (sum w)^2 / sum w^2, where they are weighted."""
CURVE_POINTS = 200


def evaluate(
    scores: pa.Table, names: tuple[str, ...], *, seed: int = 0, replicas: int | None = None
) -> dict[str, Any] | None:
    """ROC, AUC and maximum significance improvement of scores; None where truth is unknown.

    The significance improvement characteristic (SIC) is TPR / sqrt(FPR). ``auc_error`` and
    ``beyond_first_error`` are those of DeLong, DeLong and Clarke-Pearson (Biometrics 44 (1988)
    837), with weights those of weighted means of the placement values; ``sic_error`` and the
    errors of ``gain``, what the first score has more than each other, are those of a bootstrap.
    Differences are paired, on the same events. ``without`` is the share of replicas in which the
    first score has no gain. Weights enter every rate; one that all events share changes none of
    them.

    Args:
        scores: rows of event scores; those of unknown truth are left out.
        names: of the scores; the first is the model's, the others are controls.
        seed: of the bootstrap.
        replicas: of the bootstrap; as many as the events allow if not given.

    Raises:
        HuntError: the weights of signal or background don't sum to a positive number.
    """
    known = scores.filter(pc.field("truth").is_valid())
    truth = known.column("truth").to_numpy() > 0
    if len(known) == 0 or truth.sum() < 2 or (~truth).sum() < 2:
        return None
    weights = known.column("weight").to_numpy()
    classes = {"signal": weights[truth], "background": weights[~truth]}
    for which, weight in classes.items():
        if weight.sum() <= 0:
            raise HuntError(
                f"evaluation: the weights of the {len(weight)} {which} events of the search sample"
                f" sum to {weight.sum():g}, which is not above 0"
            )
    if any(effective(weight) < 2 for weight in classes.values()):
        return None  # one event weighs more than all others: there is nothing to take errors from
    rated, counted = relative(weights), shared_weight(weights) == 1
    values = {name: known.column(name).to_numpy() for name in names}
    placed = {name: _Placements.of(truth, value, rated) for name, value in values.items()}
    first = placed[names[0]]
    replicated = replicate(truth, rated, values, MIN_BACKGROUND, seed=seed, replicas=replicas)
    curves: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        fpr, tpr, threshold = roc_curve(truth, value, sample_weight=rated, drop_intermediate=False)
        auc, passing = placed[name].auc, _passing(value[~truth], rated[~truth], fpr, threshold)
        sic = np.where(passing >= MIN_BACKGROUND, tpr / np.sqrt(np.maximum(fpr, 1e-12)), 0.0)
        best = int(sic.argmax())
        index = _thinned(fpr, tpr)
        roc = {"fpr": fpr[index].tolist(), "tpr": tpr[index].tolist()}
        if not counted:
            roc["effective"] = passing[index].tolist()
        curves[name] = {
            "auc": auc,
            "auc_error": placed[name].error,
            "sic": float(sic[best]),
            "sic_error": _spread(replicated[name].sic),
            "sic_efficiency": float(tpr[best]),
            "beyond_first": auc - first.auc,
            "beyond_first_error": placed[name].less(first).error,
            "roc": roc,
        }
        if name != names[0]:
            model = curves[names[0]]
            gain = {key: model[key] - curves[name][key] for key in ("auc", "sic")}
            lead = replicated[names[0]].less(replicated[name])
            curves[name]["gain"] = _gain(gain, lead)
    totals = {k: len(w) if counted else float(w.sum()) for k, w in classes.items()}
    return {**totals, "replicas": len(replicated[names[0]].auc), "scores": curves}


def _gain(gain: dict[str, float], lead: Separation) -> dict[str, dict[str, float]]:
    """Of the model over a control: as measured, and what its replicas say of that."""
    return {
        key: {"value": gain[key], "error": _spread(of), "without": float(np.mean(of <= 0))}
        for key, of in (("auc", lead.auc), ("sic", lead.sic))
    }


def _spread(replicas: Array) -> float:
    return float(replicas.std(ddof=1))


@dataclass(frozen=True)
class _Placements:
    """DeLong's placement values, with the weights of signal [S] and background [B] events.

    The share of the other class that each event lies above (background: below), ties counting a
    half. The mean of either is the AUC, and their variances give that of the AUC.
    """

    above: Array
    below: Array
    signal: Array
    background: Array

    @classmethod
    def of(cls, truth: Flags, value: Array, weight: Array) -> _Placements:
        signal, background = weight[truth], weight[~truth]
        above = _share_below(value[truth], value[~truth], background)
        below = 1 - _share_below(value[~truth], value[truth], signal)
        return cls(above, below, signal, background)

    def less(self, other: _Placements) -> _Placements:
        """Of the difference of two scores of the same events."""
        above, below = self.above - other.above, self.below - other.below
        return _Placements(above, below, self.signal, self.background)

    @property
    def auc(self) -> float:
        return float(np.sum(self.signal * self.above) / self.signal.sum())

    @property
    def error(self) -> float:
        """Standard deviation of the AUC, or of the difference of two."""
        return float(
            np.sqrt(
                _variance_of_mean(self.above, self.signal)
                + _variance_of_mean(self.below, self.background)
            )
        )


def _share_below(value: Array, others: Array, weight: Array) -> Array:
    """The share of others' weight that lies below each value, ties counting a half."""
    order = np.argsort(others, kind="stable")
    ordered, running = others[order], np.concatenate([[0.0], np.cumsum(weight[order])])
    low, high = (running[np.searchsorted(ordered, value, side)] for side in ("left", "right"))
    return (low + high) / 2 / running[-1]


def _variance_of_mean(values: Array, weight: Array) -> float:
    """Of a weighted mean: sum w^2 (x - mean)^2 / (sum w)^2, times n_eff / (n_eff - 1)."""
    total, n = weight.sum(), effective(weight)
    rest = values - np.sum(weight * values) / total
    return float(np.sum((weight * rest) ** 2) * (n / total) ** 2 / (n - 1) / n)


def _passing(background: Array, weight: Array, fpr: Array, threshold: Array) -> Array:
    """Effective background events at or above every threshold of a ROC curve."""
    order = np.argsort(-background, kind="stable")
    n = np.searchsorted(-background[order], -threshold, side="right")
    sums, squares = (
        np.concatenate([[0.0], np.cumsum(w)])[n] for w in (weight[order], weight[order] ** 2)
    )
    filled = sums > 0
    per_event = np.where(filled, squares, 1.0) / np.where(filled, sums, 1.0)
    return np.where(filled, fpr * weight.sum() / per_event, 0.0)


def _thinned(fpr: Array, tpr: Array) -> NDArray[np.int64]:
    """Points evenly spread along both axes, logarithmically in FPR: enough to draw either way."""
    # Negative weights can make a rate fall for a while; points are sought along its maximum.
    fpr, tpr = np.maximum.accumulate(fpr), np.maximum.accumulate(tpr)
    along = np.concatenate(
        [
            np.searchsorted(fpr, np.geomspace(max(fpr[fpr > 0].min(), 1e-9), 1, CURVE_POINTS)),
            np.searchsorted(tpr, np.linspace(0, 1, CURVE_POINTS)),
        ]
    )
    return np.unique(np.clip(along, 0, len(fpr) - 1))
