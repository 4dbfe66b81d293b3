"""Constituents that exchange their pT.

Axes: J jets, C constituents of all jets together.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from raybead.sweeping.corruptions.clouds import Clouds
from raybead.sweeping.corruptions.draws import Draws


def shuffled(clouds: Clouds, draws: Draws, radius: float) -> Clouds:
    """Each jet's pT dealt out anew among its constituents; never as they were.

    Args:
        clouds: of the jets.
        draws: of the jets.
        radius: R of the jets: where their axis moves so far that one is beyond, and none was, all
            are drawn together.
    """
    from_C = _permutation(clouds, draws)
    # The list of pT stays as it is, leading first; directions change places.
    dealt = replace(
        clouds,
        eta_C=clouds.eta_C[from_C],
        phi_C=clouds.phi_C[from_C],
        row_C=clouds.row_C[from_C],
    )
    return dealt.within(np.maximum(clouds.farthest(), radius))


def _permutation(clouds: Clouds, draws: Draws) -> NDArray[np.int64]:
    """[C] which constituent of the same jet comes into each place."""
    jet_C, place_C = clouds.jet_C, np.arange(len(clouds.pt_C))
    from_C = np.lexsort((draws.of_constituents(clouds.sizes_J), jet_C))
    moved_J = clouds.sums((from_C != place_C) * 1.0) > 0
    start_C = clouds.offsets[:-1][jet_C]
    next_C = start_C + (place_C - start_C + 1) % clouds.sizes_J[jet_C]
    return np.where(moved_J[jet_C], from_C, next_C)
