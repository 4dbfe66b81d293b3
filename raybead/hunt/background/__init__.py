"""Predictions of the outliers' spectrum without a resonance, and how good they are."""

from __future__ import annotations

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt.background.goodness import Agreement, agreement
from raybead.hunt.background.prediction import Background
from raybead.hunt.background.ratio import RatioPolynomial
from raybead.hunt.background.template import Events, NonOutliers
from raybead.hunt.histogram import Array, Histogram

__all__ = [
    "Agreement",
    "Background",
    "Events",
    "NonOutliers",
    "RatioPolynomial",
    "agreement",
    "predict",
]


def predict(
    outliers: Histogram, others: Histogram, events: Events | None, edges: Array, config: Hunt
) -> Background:
    """The background that a job asks for.

    Args:
        outliers: of the mass window.
        others: its other events.
        events: all of them, one by one, where the histograms aren't counts.
        edges: of the bins [GeV].
        config: which background.

    Raises:
        HuntError: the histograms don't allow it.
    """
    if not outliers.squares.any():
        raise HuntError("no event in the mass window passes the cut; take a softer one")
    if not others.squares.any():
        raise HuntError("every event in the mass window passes the cut: nothing predicts them")
    for which, part in (("outliers", outliers), ("other events", others)):
        if (total := part.total().sums) <= 0:
            raise HuntError(
                f"the weights of the {which} in the mass window sum to {total:g}, which is not"
                " above 0: nothing can be normalised to them; take a softer cut or more events"
            )
    match config.background:
        case "non-outliers":
            return NonOutliers(outliers, others, events)
        case "ratio-polynomial":
            return RatioPolynomial.fit(outliers, others, edges)
        case "dijet":
            raise HuntError("hunt.background: dijet functions are not here yet")
