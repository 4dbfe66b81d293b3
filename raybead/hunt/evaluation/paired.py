"""What one score has more than another, on the same events.

Two scores of the same events err together: the error of their difference is that of the
difference, event by event or replica by replica, and mostly much less than that of either.
Axes: E events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.errors import HuntError
from raybead.hunt.evaluation.bootstrap import replicate
from raybead.hunt.evaluation.curves import Curve
from raybead.hunt.evaluation.placements import Placements
from raybead.hunt.evaluation.separation import MIN_BACKGROUND
from raybead.hunt.weights import effective, relative

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Gain:
    """What one score has more than another, and the errors of that."""

    auc: float
    auc_error: float
    """DeLong's, of the difference."""
    sic: float
    """Of the maxima of TPR / sqrt(FPR)."""
    sic_error: float
    """Of the bootstrap, both scores on the same replicas."""
    auc_without: float
    """Share of the replicas in which the first has no larger AUC."""
    sic_without: float
    """Share of the replicas in which the first has no larger maximum."""
    replicas: int


def paired_gain(
    truth: Flags,
    weight: Array,
    one: Array,
    other: Array,
    *,
    seed: int = 0,
    replicas: int | None = None,
) -> Gain | None:
    """What a score has more than another of the same events; None where nothing can be told.

    Nothing can be told of fewer than two effective events of either class. Infinite values are
    the highest or lowest.

    Args:
        truth: [E] whether signal.
        weight: [E]
        one: [E] values of a score.
        other: [E] values of the other.
        seed: of the bootstrap.
        replicas: of the bootstrap; as many as the events allow if not given.

    Raises:
        HuntError: a value isn't a number.

    References:
        DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837.
    """
    for value in (one, other):
        if np.isnan(value).any():
            raise HuntError(
                f"{np.isnan(value).sum()} of {len(value)} events of known truth have no score"
            )
    if any(effective(weight[of]) < 2 or weight[of].sum() <= 0 for of in (truth, ~truth)):
        return None
    rated = relative(weight)
    ranks = [np.unique(v, return_inverse=True)[1].astype(np.float64) for v in (one, other)]
    first, second = (Placements.of(truth, rank, rated) for rank in ranks)
    best = [
        float(Curve.of(truth, rank, rated).improvement(MIN_BACKGROUND).max()) for rank in ranks
    ]
    values = {"one": ranks[0], "other": ranks[1]}
    drawn = replicate(truth, rated, values, MIN_BACKGROUND, seed=seed, replicas=replicas)
    lead = drawn["one"].less(drawn["other"])
    if len(lead.auc) < 2:
        return None
    return Gain(
        auc=first.auc - second.auc,
        auc_error=first.less(second).error,
        sic=best[0] - best[1],
        sic_error=float(lead.sic.std(ddof=1)),
        auc_without=float(np.mean(lead.auc <= 0)),
        sic_without=float(np.mean(lead.sic <= 0)),
        replicas=len(lead.auc),
    )
