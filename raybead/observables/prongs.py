"""A no-learning control: whether a jet has two prongs rather than one.

Axes: J jets, C constituents of all jets together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raybead.events.particles import members_of, offsets_of
from raybead.observables.substructure import n_subjettiness

LEADING = 30
"""Constituents that are looked at. The time of N-subjettiness is that of clustering, which these
take well below half of; and they separate as well as all."""
_NARROW = 1e-6
"""tau_1 of jets whose constituents' directions differ by rounding alone."""


def tau21_of_leading(
    pt: NDArray[np.floating],
    eta: NDArray[np.floating],
    phi: NDArray[np.floating],
    offsets: NDArray[np.integer],
    *,
    leading: int = LEADING,
) -> NDArray[np.float64]:
    r"""N-subjettiness ratio :math:`\tau_{21} = \tau_2 / \tau_1` (arXiv:1011.2268), beta = 1.

    About the axes of exclusive kt subjets. Two prongs have a low one; it is at least 0, and about
    1 at most.

    Args:
        pt: [C] constituents' transverse momenta, GeV, falling within each jet; those of none
            count for nothing.
        eta: [C] their pseudorapidities.
        phi: [C] their azimuths, radians.
        offsets: [J + 1] first constituent of each jet.
        leading: constituents of each jet that are looked at.

    Returns:
        [J]; 1, a single prong, where :math:`\tau_1` is 0 but for rounding: a single constituent,
        or all in one direction.
    """
    hard = np.concatenate([[0], np.cumsum(pt > 0)])
    counts = np.minimum(hard[offsets[1:]] - hard[offsets[:-1]], leading)
    member = members_of(offsets[:-1], counts)
    pt, eta, phi = (values[member].astype(np.float64) for values in (pt, eta, phi))
    tau_J2 = n_subjettiness(pt, eta, phi, offsets_of(counts), n_max=2)
    spread = tau_J2[:, 0] > _NARROW
    return np.divide(tau_J2[:, 1], tau_J2[:, 0], out=np.ones(len(counts)), where=spread)
