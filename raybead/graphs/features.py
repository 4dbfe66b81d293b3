"""Node features of a jet's constituents.

Axes: T constituents, F features.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

FeatureSet = Literal["jet-axis", "cartesian", "cylindrical"]

NAMES: dict[FeatureSet, tuple[str, ...]] = {
    "jet-axis": ("pt_deta", "pt_dphi", "pt"),
    "cartesian": ("px", "py", "pz"),
    "cylindrical": ("pt", "eta", "phi"),
}
"""Names of the features, in order; momenta in GeV, angles in radians."""


def node_features(
    kind: FeatureSet,
    pt: NDArray[np.float32],
    eta: NDArray[np.float32],
    phi: NDArray[np.float32],
    axis_eta: NDArray[np.float32],
    axis_phi: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Features [T, F] of constituents.

    Args:
        kind: ``jet-axis``: (pT d-eta, pT d-phi, pT) about the jet's axis; ``cartesian``:
            (px, py, pz); ``cylindrical``: (pT, eta, phi).
        pt: [T] transverse momentum, GeV.
        eta: [T] pseudorapidity.
        phi: [T] azimuth, radians.
        axis_eta: [T] pseudorapidity of the constituent's jet.
        axis_phi: [T] azimuth of the constituent's jet.
    """
    match kind:
        case "jet-axis":
            d_phi = (phi - axis_phi + np.pi) % (2 * np.pi) - np.pi
            columns = (pt * (eta - axis_eta), pt * d_phi, pt)
        case "cartesian":
            columns = (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta))
        case "cylindrical":
            columns = (pt, eta, phi)
    return np.stack(columns, axis=1).astype(np.float32, copy=False)
