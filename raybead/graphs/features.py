"""Node features: of constituents, of jets, and of events.

Axes: T nodes, F features.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from raybead.config import NAMES, FeatureSet


def node_features(
    kind: FeatureSet,
    pt: NDArray[np.float32],
    eta: NDArray[np.float32],
    phi: NDArray[np.float32],
    axis_eta: NDArray[np.float32],
    axis_phi: NDArray[np.float32],
    btag: NDArray[np.float32],
    pt_power: float = 1.0,
) -> NDArray[np.float32]:
    """Features [T, F] of constituents.

    Args:
        kind: see :data:`raybead.config.NAMES`. Constituents count as massless: ``p4``'s E is
            pT cosh(eta), and ``p4-cylindrical``'s m is 0.
        pt: [T] transverse momentum, GeV.
        eta: [T] pseudorapidity.
        phi: [T] azimuth, radians.
        axis_eta: [T] pseudorapidity of the constituent's jet.
        axis_phi: [T] azimuth of the constituent's jet.
        btag: [T] b-tag of the constituent's jet.
        pt_power: that ``jet-axis`` raises pT to.
    """
    match kind:
        case "jet-axis":
            d_phi = (phi - axis_phi + np.pi) % (2 * np.pi) - np.pi
            weight = pt if pt_power == 1 else pt**pt_power
            columns = (weight * (eta - axis_eta), weight * d_phi, weight)
        case "cartesian":
            columns = (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta))
        case "cylindrical":
            columns = (pt, eta, phi)
        case "p4":
            columns = (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta))
        case "p4-cylindrical":
            columns = (pt, eta, phi, np.zeros_like(pt))
        case "p4-btag":
            columns = (pt, eta, phi, btag)
        case "jet" | "event":
            raise ValueError(f"features {kind!r} aren't of constituents")
    return np.stack(columns, axis=1).astype(np.float32, copy=False)


def jet_features(kind: FeatureSet, jet: Mapping[str, NDArray]) -> NDArray[np.float32]:
    """Features [T, F] of jets, of their own momenta: masses and energies are real ones.

    Args:
        kind: see :data:`raybead.config.NAMES`; not ``jet-axis``, which needs another axis.
        jet: columns [T] by name, ``n``, ``btag``, ``pt``, ``eta``, ``phi``, ``mass``, ``px``,
            ``py``, ``pz`` and ``e``; GeV and radians.
    """
    if kind in ("jet-axis", "event"):
        raise ValueError(f"features {kind!r} aren't of jets")
    names = ("mass" if name == "m" else name for name in NAMES[kind])
    return np.stack([jet[name] for name in names], axis=1).astype(np.float32)


def event_features(
    met: NDArray[np.floating],
    met_phi: NDArray[np.floating],
    n_jets: NDArray[np.integer],
    ht: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Features ``event`` [T, 4] of events.

    Args:
        met: [T] missing transverse momentum, GeV.
        met_phi: [T] its azimuth, radians.
        n_jets: [T] jets.
        ht: [T] sum of the jets' transverse momenta, GeV.
    """
    return np.stack([met, met_phi, n_jets, ht], axis=1).astype(np.float32)
