"""Evaluation with truth: how well scores separate. Nothing here feeds back into a hunt.

Axes: E events, L signal efficiencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raybead.errors import HuntError
from raybead.hunt.evaluation.bootstrap import Separation, replicate
from raybead.hunt.evaluation.curves import Curve
from raybead.hunt.evaluation.efficiency import Cuts, efficiencies
from raybead.hunt.evaluation.placements import Placements
from raybead.hunt.evaluation.rates import LEVELS, improvement, rejections
from raybead.hunt.weights import effective, relative, shared_weight

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

MIN_BACKGROUND = 20
"""Background events that have to be left for a significance improvement to be quoted; effective
ones, (sum w)^2 / sum w^2, where they are weighted."""


def evaluate(
    scores: pa.Table,
    names: Sequence[str],
    *,
    cuts: Cuts | None = None,
    seed: int = 0,
    replicas: int | None = None,
) -> dict[str, Any] | None:
    """How well scores and the hunt's cuts separate; None where truth is unknown.

    Of every score: ROC, AUC, precision against recall, background rejection at some signal
    efficiencies, and the significance improvement characteristic (SIC), TPR / sqrt(FPR).
    ``auc_error`` and ``beyond_first_error`` are those of DeLong, DeLong and Clarke-Pearson
    (Biometrics 44 (1988) 837), with weights those of weighted means of the placement values; all
    other errors are those of a bootstrap, and so are those of ``gain``, what the first score has
    more than each other. Differences are paired, on the same events. ``without`` is the share of
    replicas in which the first score has no gain. Weights enter every rate; one that all events
    share changes none of them. A score is its ranking: infinite ones are the highest or lowest.

    Args:
        scores: rows of event scores; those of unknown truth are left out.
        names: of the scores; the first is the model's, the others are controls.
        cuts: of the hunt, for their efficiencies against the observable.
        seed: of the bootstrap.
        replicas: of the bootstrap; as many as the events allow if not given.

    Returns:
        Numbers that are finite, or None. None in all where there are fewer than two effective
        events of signal or of background.

    Raises:
        HuntError: a score or a weight is no number, or the weights of signal or background don't
            sum to a positive one.
    """
    known = scores.filter(pc.field("truth").is_valid())
    truth = known.column("truth").to_numpy() > 0
    if len(known) == 0 or truth.sum() < 2 or (~truth).sum() < 2:
        return None
    weights = known.column("weight").to_numpy()
    classes = _of_classes(truth, weights)
    if any(effective(weight) < 2 for weight in classes.values()):
        return None  # one event weighs more than all others: there is nothing to take errors from
    rated, counted = relative(weights), shared_weight(weights) == 1
    values = {name: _ranks(known, name) for name in names}
    replicated = replicate(
        truth, rated, values, MIN_BACKGROUND, levels=LEVELS, seed=seed, replicas=replicas
    )
    drawn = len(replicated[names[0]].auc)
    if drawn < 2:
        raise HuntError(
            "evaluation: the weights of signal and of background sum to positive numbers in only"
            f" {drawn} replicas of the bootstrap, which gives no errors"
        )
    placed = {name: Placements.of(truth, value, rated) for name, value in values.items()}
    first = placed[names[0]]
    n_background = effective(rated[~truth])
    found: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        curve, of_replicas = Curve.of(truth, value, rated), replicated[name]
        sic = curve.improvement(MIN_BACKGROUND)
        best, index = int(sic.argmax()), curve.thinned()
        roc = {"fpr": curve.fpr[index].tolist(), "tpr": curve.tpr[index].tolist()}
        if not counted:
            roc["effective"] = curve.passing[index].tolist()
        recalled = index[index > 0]
        found[name] = {
            "auc": placed[name].auc,
            "auc_error": placed[name].error,
            "sic": float(sic[best]),
            "sic_error": _spread(of_replicas.sic),
            "sic_efficiency": float(curve.tpr[best]),
            "average_precision": curve.average_precision,
            "average_precision_error": _spread(of_replicas.average_precision),
            "rejection": rejections(curve, of_replicas.fpr_RL, n_background, MIN_BACKGROUND),
            "beyond_first": placed[name].auc - first.auc,
            "beyond_first_error": placed[name].less(first).error,
            "roc": roc,
            "precision_recall": {
                "recall": curve.tpr[recalled].tolist(),
                "precision": curve.precision[recalled].tolist(),
            },
            "improvement": improvement(curve, of_replicas.fpr_RL, MIN_BACKGROUND),
        }
        if name != names[0]:
            model = found[names[0]]
            gain = {key: model[key] - found[name][key] for key in ("auc", "sic")}
            lead = replicated[names[0]].less(of_replicas)
            found[name]["gain"] = _gain(gain, lead)
    totals = {k: len(w) if counted else float(w.sum()) for k, w in classes.items()}
    return {
        **totals,
        "prevalence": float(rated[truth].sum() / rated.sum()),
        "replicas": drawn,
        "scores": found,
        "efficiency": None if cuts is None else efficiencies(scores, cuts),
    }


def _of_classes(truth: Flags, weights: Array) -> dict[str, Array]:
    """The weights of signal and background events, of which rates can be told."""
    broken = np.count_nonzero(~np.isfinite(weights))
    if broken:
        raise HuntError(
            f"evaluation: the weights of {broken} of the search sample's events aren't numbers"
        )
    classes = {"signal": weights[truth], "background": weights[~truth]}
    for which, weight in classes.items():
        if weight.sum() <= 0:
            raise HuntError(
                f"evaluation: the weights of the {len(weight)} {which} events of the search sample"
                f" sum to {weight.sum():g}, which is not above 0"
            )
    return classes


def _ranks(known: pa.Table, name: str) -> Array:
    """[E] places of a score's values among its distinct ones, so that infinite ones have theirs.

    Raises:
        HuntError: a value isn't a number.
    """
    value = known.column(name).to_numpy()
    broken = np.count_nonzero(np.isnan(value))
    if broken:
        raise HuntError(
            f"evaluation: {name} isn't a number for {broken} of the {len(value)} events of known"
            " truth, which leaves them without a rank"
        )
    return np.unique(value, return_inverse=True)[1].astype(np.float64)


def _gain(gain: dict[str, float], lead: Separation) -> dict[str, dict[str, float]]:
    """Of the model over a control: as measured, and what its replicas say of that."""
    return {
        key: {"value": gain[key], "error": _spread(of), "without": float(np.mean(of <= 0))}
        for key, of in (("auc", lead.auc), ("sic", lead.sic))
    }


def _spread(replicas: Array) -> float:
    return float(replicas.std(ddof=1))
