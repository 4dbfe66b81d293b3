"""Bins of the spectrum that is hunted in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raybead.config import Hunt
from raybead.errors import HuntError

Array = NDArray[np.float64]

DIJET_EDGES = np.array([
    1, 3, 6, 10, 16, 23, 31, 40, 50, 61, 74, 88, 103, 119, 137, 156, 176, 197, 220, 244, 270, 296,
    325, 354, 386, 419, 453, 489, 526, 565, 606, 649, 693, 740, 788, 838, 890, 944, 1000, 1058,
    1118, 1181, 1246, 1313, 1383, 1455, 1530, 1607, 1687, 1770, 1856, 1945, 2037, 2132, 2231, 2332,
    2438, 2546, 2659, 2775, 2895, 3019, 3147, 3279, 3416, 3558, 3704, 3854, 4010, 4171, 4337, 4509,
    4686, 4869, 5058, 5253, 5455, 5663, 5877, 6099, 6328, 6564, 6808, 7060, 7320, 7589, 7866, 8152,
    8447, 8752, 9067, 9391, 9726, 10072, 10430, 10798, 11179, 11571, 11977, 12395, 12827, 13272,
    13732, 14000,
], dtype=np.float64)  # fmt: skip
"""Edges [GeV] of the bins that dijet searches of the LHC use; they follow the resolution."""


def edges_within(window: tuple[float, float]) -> Array:
    """The dijet edges that lie in a mass window [GeV], its ends included."""
    low, high = window
    return DIJET_EDGES[(low <= DIJET_EDGES) & (high >= DIJET_EDGES)]


def edges_of(config: Hunt, mass: Array | None = None) -> Array:
    """Edges [GeV] of the bins that a job asks for.

    Bins by resolution grow with the mass: there are as many of one relative width as fill the
    window, and that width is as near to ``config.resolution`` as a whole number of bins allows.

    Args:
        config: the window, how it is divided, and the narrowest window of the scan.
        mass: [E] of the events that are hunted in, of which some have to lie within.

    Raises:
        HuntError: too few bins for a scan, or no event in any of them.
    """
    low, high = config.mass_window
    match config.binning:
        case "dijet":
            edges = edges_within(config.mass_window)
        case "uniform":
            edges = np.linspace(low, high, config.bins + 1)
        case "resolution":
            # A bin of width r times its centre runs from c (1 - r/2) to c (1 + r/2).
            growth = np.log((2 + config.resolution) / (2 - config.resolution))
            edges = np.geomspace(low, high, max(round(np.log(high / low) / growth), 1) + 1)
    n_bins = max(len(edges) - 1, 0)
    window = f"hunt.mass_window = [{low:g}, {high:g}]"
    if n_bins < 2:
        number = "fewer than two dijet bins" if config.binning == "dijet" else "one bin only"
        raise HuntError(f"{window} holds {number}")
    if n_bins < config.widths[0]:
        raise HuntError(
            f"hunt.widths: windows of {config.widths[0]} bins are wider than the {n_bins} bins of"
            f" {window}"
        )
    if mass is not None and not np.any((mass >= edges[0]) & (mass < edges[-1])):
        reach = (
            f"they reach from {mass.min():g} to {mass.max():g}" if len(mass) else "there is none"
        )
        raise HuntError(
            f"no event of the search sample has {edges[0]:.0f} <= {config.observable} <"
            f" {edges[-1]:.0f} GeV: {reach}"
        )
    return edges
