"""Predictions of the outliers' spectrum without a resonance, and how good they are."""

from __future__ import annotations

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt.background.dijet import Dijet, InWindows
from raybead.hunt.background.goodness import Agreement, LikelihoodRatio, agreement
from raybead.hunt.background.prediction import Background, Outside
from raybead.hunt.background.ratio import RatioPolynomial
from raybead.hunt.background.runs import Runs, run_test
from raybead.hunt.background.template import NonOutliers
from raybead.hunt.histogram import Array, Histogram

__all__ = [
    "Agreement",
    "Background",
    "Dijet",
    "InWindows",
    "LikelihoodRatio",
    "NonOutliers",
    "Outside",
    "RatioPolynomial",
    "Runs",
    "agreement",
    "predict",
    "run_test",
]


def predict(outliers: Histogram, others: Histogram, edges: Array, config: Hunt) -> Background:
    """The background that a job asks for.

    Args:
        outliers: of the mass window.
        others: its other events.
        edges: of the bins [GeV].
        config: which background, and of how many parameters.

    Raises:
        HuntError: the histograms don't allow it.
    """
    if not outliers.squares.any():
        raise HuntError("no event in the mass window passes the cut; take a softer one")
    _has_total("outliers", outliers)
    if config.background == "dijet":
        return Dijet.fit(outliers, others, edges, config.sqrt_s, config.parameters)
    if not others.squares.any():
        raise HuntError("every event in the mass window passes the cut: nothing predicts them")
    _has_total("other events", others)
    match config.background:
        case "non-outliers":
            return NonOutliers(outliers, others)
        case "ratio-polynomial":
            return RatioPolynomial.fit(outliers, others, edges)


def _has_total(which: str, part: Histogram) -> None:
    if (total := part.total().sums) <= 0:
        raise HuntError(
            f"the weights of the {which} in the mass window sum to {total:g}, which is not"
            " above 0: nothing can be normalised to them; take a softer cut or more events"
        )
