"""The way back from node features to momenta, with gradients that stay finite.

What a model gives back is any number, not a particle: momenta can come out negative or zero, and
directions of such aren't known. Nodes that are jets count as massless, too.

Axes: N nodes, F features before scaling, S after it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from raybead.config import FeatureSet, Graph
from raybead.errors import JobError
from raybead.graphs.scaling import Scaling

_LEAST = 0.01
"""GeV; momenta below it are bent so that they stay above 0. No detector sees so little."""
_MOST = 1e7
"""GeV, and rad GeV: what is beyond counts as this, so that squares stay finite in float32."""
_STEEPEST = 100.0
"""Largest pseudorapidity; asinh(pz / pT) of such momenta is below 30."""


@dataclass(frozen=True)
class Momenta:
    """Massless momenta of N constituents, or of jets as nodes."""

    pt_N: Tensor
    """[N] transverse momentum, GeV; at least 0"""
    eta_N: Tensor
    """[N] pseudorapidity, of jet-axis features less the axis's"""
    phi_N: Tensor
    """[N] azimuth, radians, in any turn; of jet-axis features less the axis's"""


def momenta_of(kind: FeatureSet, x_NF: Tensor, pt_power: float = 1.0) -> Momenta:
    """Momenta of node features: what :func:`raybead.graphs.node_features` was made of.

    Above 0.01 GeV exactly, which is every constituent there is. A pT below, as only a model
    gives, comes out as a small one that falls towards 0 and is never 0: such a node weighs next
    to nothing, a jet of nothing but such nodes can still be normalised, and the gradient still
    says that more pT is more. Where (pT d-eta, pT d-phi) belong to no direction within half a
    turn of the axis, the direction is cut there and has no gradient. E of ``p4``, m of
    ``p4-cylindrical``, the b-tag and a jet's number of constituents take no part. NaN stays NaN.

    Args:
        kind: which features.
        x_NF: [N, F] unscaled.
        pt_power: that ``jet-axis`` has raised pT to.

    Raises:
        JobError: nodes that aren't particles, which have no momenta.
    """
    most = _MOST ** max(pt_power, 1.0) if kind == "jet-axis" else _MOST
    columns = x_NF.clamp(-most, most).unbind(dim=1)
    match kind:
        case "jet-axis":
            weight_N = _above_zero(columns[2], _LEAST**pt_power)
            d_eta, d_phi = ((arm / weight_N).clamp(-math.pi, math.pi) for arm in columns[:2])
            pt_N = weight_N
            if pt_power != 1:
                pt_N = weight_N.clamp(max=_MOST**pt_power) ** (1 / pt_power)
            return Momenta(pt_N, d_eta, d_phi)
        case "cartesian" | "p4":
            px, py, pz = columns[:3]
            # Along the beam there is no azimuth: one is chosen, which has no gradient.
            square = px.square() + py.square()
            along = square < _LEAST**2
            px, py = px.masked_fill(along, _LEAST), py.masked_fill(along, 0.0)
            pt_N = (px.square() + py.square()).sqrt()
            return Momenta(pt_N, torch.asinh(pz / pt_N), torch.atan2(py, px))
        case "cylindrical" | "p4-cylindrical" | "p4-btag":
            pt_N, eta_N, phi_N = columns[:3]
            return _of_angles(pt_N, eta_N, phi_N)
        case "jet":
            return _of_angles(*columns[2:])
        case "event":
            raise JobError("graph.features event: an event as a whole has no momenta")


def features_of(
    kind: FeatureSet, momenta: Momenta, btag_N: Tensor, pt_power: float = 1.0
) -> Tensor:
    """[N, F] unscaled node features of constituents: what :func:`momenta_of` undoes.

    Args:
        kind: which features.
        momenta: whose azimuths come out between -pi and pi; of ``jet-axis`` less the axis's.
        btag_N: [N] of the constituents' jets.
        pt_power: that ``jet-axis`` raises pT to.

    Raises:
        JobError: features that constituents don't have.
    """
    pt_N, eta_N = momenta.pt_N, momenta.eta_N
    phi_N = (momenta.phi_N + math.pi).remainder(2 * math.pi) - math.pi
    px_N, py_N, pz_N = pt_N * phi_N.cos(), pt_N * phi_N.sin(), pt_N * eta_N.sinh()
    match kind:
        case "jet-axis":
            weight_N = pt_N if pt_power == 1 else pt_N**pt_power
            columns = (weight_N * eta_N, weight_N * phi_N, weight_N)
        case "cartesian":
            columns = (px_N, py_N, pz_N)
        case "cylindrical":
            columns = (pt_N, eta_N, phi_N)
        case "p4":
            columns = (px_N, py_N, pz_N, pt_N * eta_N.cosh())
        case "p4-cylindrical":
            columns = (pt_N, eta_N, phi_N, torch.zeros_like(pt_N))
        case "p4-btag":
            columns = (pt_N, eta_N, phi_N, btag_N)
        case "jet" | "event":
            raise JobError(f"graph.features {kind}: constituents don't have these")
    return torch.stack(columns, dim=1)


def unscaled_momenta(graph: Graph, scaling: Scaling, x_NS: Tensor) -> Momenta:
    """Momenta of scaled features, as a model takes and gives them.

    A node that a scaling's inverse carries beyond all floats (``log``, ``power``) counts as one
    at the bound and has no gradient, rather than one that isn't a number. Nor have features
    beyond the ends of ``quantile``.

    Args:
        graph: whose features they are.
        scaling: what they were scaled by; one with ``l2`` can't be undone.
        x_NS: [N, S] scaled.

    Raises:
        JobError: the scaling can't be undone, or the features have no momenta.
    """
    x_NF = scaling.invert(x_NS)
    beyond_N = x_NF.isinf().any(dim=1, keepdim=True)
    if beyond_N.any():
        within_NF = scaling.invert(x_NS.masked_fill(beyond_N, 0.0))
        x_NF = torch.where(beyond_N, x_NF.detach(), within_NF)
    return momenta_of(graph.features, x_NF, graph.pt_power)


def _of_angles(pt_N: Tensor, eta_N: Tensor, phi_N: Tensor) -> Momenta:
    return Momenta(_above_zero(pt_N), eta_N.clamp(-_STEEPEST, _STEEPEST), phi_N)


def _above_zero(pt_N: Tensor, least: float = _LEAST) -> Tensor:
    """The same from ``least`` on; below, a hyperbola that goes on with its value and slope."""
    below = least / (2 - pt_N.clamp(max=least) / least)
    return torch.where(pt_N < least, below, pt_N)
