"""No-learning controls: how far a jet's momentum is spread about its axis.

A learned score that doesn't beat these has learned nothing that they don't know.
Axes: T constituents of all jets together, B jets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Spread:
    """Moments of B jets' constituents about the jets' axes."""

    width: NDArray[np.float64]
    r"""[B] :math:`\sum_i p_{T,i} \Delta R_i / \sum_i p_{T,i}`, rad: the pT-weighted spread (jet
    width, girth; the angularity of beta = 1 in arXiv:1408.3122)."""
    moment: NDArray[np.float64]
    r"""[B] mean over constituents of :math:`p_{T,i}^2 \Delta R_i^2`, GeV^2 rad^2: up to a
    constant the mse, in jet-axis features, of a reconstruction that puts all on the axis."""


def spread_about_axis(
    pt: Array,
    eta: Array,
    phi: Array,
    axis_eta: Array,
    axis_phi: Array,
    offsets: NDArray[np.integer],
) -> Spread:
    """The spread of jets.

    Args:
        pt: [T] constituents' transverse momenta, GeV.
        eta: [T] their pseudorapidities.
        phi: [T] their azimuths, radians.
        axis_eta: [B] jets' pseudorapidities.
        axis_phi: [B] jets' azimuths.
        offsets: [B + 1] first constituent of each jet; every jet has one.
    """
    counts = np.diff(offsets)
    momentum = pt.astype(np.float64)
    d_eta = eta - np.repeat(axis_eta, counts)
    d_phi = (phi - np.repeat(axis_phi, counts) + np.pi) % (2 * np.pi) - np.pi
    arm = momentum * np.hypot(d_eta, d_phi)
    starts = offsets[:-1]
    return Spread(
        width=np.add.reduceat(arm, starts) / np.add.reduceat(momentum, starts),
        moment=np.add.reduceat(arm**2, starts) / counts,
    )
