"""How well a prediction describes the outliers.

Axes: M bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from raybead.hunt.background.prediction import Background
from raybead.hunt.histogram import Histogram


@dataclass(frozen=True)
class Agreement:
    """How well a prediction describes the outliers, away from the most significant window."""

    chi2: float
    ndf: int
    p: float


def agreement(outliers: Histogram, background: Background, without: slice) -> Agreement:
    """Pearson chi2 of bins with at least 5 (effective) expected events, the window left out.

    The prediction is normalised to the bins compared, so that a signal in the window isn't
    held against it; one degree of freedom is spent on that.
    """
    used = background.expected / background.per_event >= 5
    used[without] = False
    predicted = float(background.expected[used].sum())
    seen = float(outliers.sums[used].sum())
    scale = seen / predicted if predicted and seen > 0 else 1.0
    expected = scale * background.expected
    own = expected[used] * background.per_event[used]
    variance = own + (scale * background.uncertainty[used]) ** 2
    chi2 = float(np.sum((outliers.sums[used] - expected[used]) ** 2 / variance))
    ndf = max(int(used.sum()) - 1, 0)
    return Agreement(chi2, ndf, float(stats.chi2.sf(chi2, ndf)) if ndf else 1.0)
