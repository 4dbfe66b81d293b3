r"""The learned energy mover's distance (arXiv:2111.12849): a graph network of two jets at once.

All particles of a pair are one graph. Each has its share of its jet's pT, its place, and a flag
+1 or -1 that says whose it is. Three DynamicEdgeConv layers, a mean over particles and an MLP
give a number h, the same for both ways to set the flags because both are evaluated and averaged.

Two things are other than in the study. It centres each jet on itself, which makes the distance
blind to a shift between a jet and its reconstruction; here both are seen from the middle of their
two centroids. And its network knows nothing of what a distance is at 0, where a good
reconstruction lies; here h multiplies the sliced distance s (:mod:`raybead.models.sliced`), so
that what is learned is the ratio of the two, a number of about one:

=========  ============================
output     distance
=========  ============================
free       :math:`s (1 + h)`
softplus   :math:`s \, softplus(h + c)`, c such that it is s at h = 0
relu       :math:`s \, max(0, 1 + h)`
=========  ============================

Each is 0 for jets with the same energy in the same places, and the last two are nowhere negative.
Equal in all three: symmetric in the jets, no matter the order of particles, whole turns of phi,
or a common factor of a jet's pT.

Axes: B pairs, N particles, F features (share, eta, phi, flag), H hidden.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from raybead.config import Emd
from raybead.graphs.clouds import Clouds
from raybead.models.neighbour_conv import NeighbourEdgeConv
from raybead.models.neighbours import nearest_neighbours
from raybead.models.sliced import sliced_distance

FEATURES = 4
PAIRS_ON_CPU = 8
"""Pairs evaluated at a time: their edges stay in the cache, which is worth a factor of three."""
ONE = math.log(math.e - 1)
"""Whose softplus is 1."""
HUNDRED_GEV = 100.0
TENTHS = 10.0
SMALLEST_SPREAD = 1e-4
"""In units of R: what a pair's spread is taken for where all lies in one place."""
FARTHEST = 10.0
"""Spreads beyond which the network doesn't look: a reconstruction may throw a particle anywhere,
and one of hardly any pT mustn't rule the mean. The sliced distance sees where it is."""


class PairGraph(NamedTuple):
    """B pairs of jets, each one graph; the first jets' particles before the second's."""

    share_N: Tensor
    """[N] of the jet's pT"""
    position_N2: Tensor
    """[N, 2] eta and phi from the middle of the pair's centroids, in units of R"""
    flag_N: Tensor
    """[N] +1 for the first jet's, -1 for the second's"""
    ptr: Tensor
    """[B + 1]"""
    total_B2: Tensor
    """[B, 2] both jets' pT, in 100 GeV"""


def pair_graph(ours: Clouds, theirs: Clouds, radius: float) -> PairGraph:
    """Both sides of B pairs, put together.

    Args:
        ours: the first jets. Negative pT counts as none.
        theirs: the second jets, as many.
        radius: R.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} jets on one side, {len(theirs)} on the other")
    sides = [_Side.of(jets) for jets in (ours, theirs)]
    first, second = sides
    middle_eta_B = (first.eta_B + second.eta_B) / 2
    middle_phi_B = first.phi_B + wrapped(second.phi_B - first.phi_B) / 2
    jet_N = torch.cat([side.jet_N for side in sides])
    order = torch.argsort(jet_N, stable=True)
    jet_N = jet_N[order]
    eta_N = torch.cat([ours.eta_N, theirs.eta_N])[order] - middle_eta_B[jet_N]
    phi_N = torch.cat([ours.phi_N, theirs.phi_N])[order] - middle_phi_B[jet_N]
    share_N = torch.cat([side.share_N for side in sides])[order]
    flags = [torch.ones_like(first.share_N), -torch.ones_like(second.share_N)]
    return PairGraph(
        share_N=share_N,
        position_N2=torch.stack([eta_N, wrapped(phi_N)], dim=1) / radius,
        flag_N=torch.cat(flags)[order],
        ptr=ours.ptr + theirs.ptr,
        total_B2=torch.stack([side.total_B for side in sides], dim=1) / HUNDRED_GEV,
    )


def wrapped(angle: Tensor) -> Tensor:
    """An angle in the turn about 0; its slope is 1."""
    return angle - 2 * math.pi * torch.round(angle.detach() / (2 * math.pi))


def sliced_of(pairs: PairGraph) -> Tensor:
    """[B] sliced distances of pairs."""
    return sliced_distance(pairs.position_N2, pairs.share_N * pairs.flag_N, pairs.ptr)


class _Side(NamedTuple):
    """Shares and centroids of one side's jets."""

    jet_N: Tensor
    share_N: Tensor
    total_B: Tensor
    eta_B: Tensor
    phi_B: Tensor

    @classmethod
    def of(cls, jets: Clouds) -> _Side:
        jet_N = jets.jet_of_particle()

        def total(values_N: Tensor) -> Tensor:
            return torch.segment_reduce(values_N, "sum", offsets=jets.ptr, axis=0)

        pt_N = jets.pt_N.clamp(min=0)
        total_B = total(pt_N)
        share_N = pt_N / torch.where(total_B > 0, total_B, 1.0)[jet_N]
        # The mean direction, whose angle knows no border; a jet of none has it at 0.
        cos_B, sin_B = (total(share_N * turn) for turn in (jets.phi_N.cos(), jets.phi_N.sin()))
        tiny = torch.where(total_B > 0, 0.0, 1.0).to(cos_B.dtype)
        return cls(
            jet_N, share_N, total_B, total(share_N * jets.eta_N), torch.atan2(sin_B, cos_B + tiny)
        )


class EmdNetwork(nn.Module):
    """The network of a job's ``[emd]``; see the head of this file."""

    def __init__(self, config: Emd) -> None:
        super().__init__()
        self.config = config
        convs, features = [], FEATURES
        for width in config.widths:
            convs.append(NeighbourEdgeConv(features, (width,) * config.edge_layers))
            features = width + FEATURES  # the input again
        self.convs = nn.ModuleList(convs)
        pooled = config.widths[-1] + (2 if config.total_pt else 0)
        self.head = nn.Sequential(
            nn.Linear(pooled, config.head), nn.ReLU(), nn.Linear(config.head, 1)
        )

    def forward(self, ours: Clouds, theirs: Clouds) -> Tensor:
        """[B] distances; gradients flow to both sides' pT, eta and phi.

        Args:
            ours: the first jets, of one particle at least each. Negative pT counts as none.
            theirs: the second jets, as many.
        """
        if len(ours) != len(theirs):
            raise ValueError(f"{len(ours)} jets on one side, {len(theirs)} on the other")
        if len(ours) == 0:
            return ours.pt_N.new_empty(0)
        at_once = PAIRS_ON_CPU if ours.pt_N.device.type == "cpu" else max(1, len(ours))
        parts = torch.arange(len(ours), device=ours.ptr.device).split(at_once)
        found = [self._distance(ours.select(part), theirs.select(part)) for part in parts]
        return torch.cat([ours.pt_N.new_empty(0), *found])

    def _distance(self, ours: Clouds, theirs: Clouds) -> Tensor:
        pairs = pair_graph(ours, theirs, self.config.radius)
        sliced_B = sliced_of(pairs)
        # Nothing about who is near whom changes with the signs of the flags, at first.
        edges = nearest_neighbours(_input(pairs, 1.0), pairs.ptr, self.config.neighbours)
        both = [self._number(pairs, sign, edges) for sign in (1.0, -1.0)]
        h_B = (both[0] + both[1]) / 2
        match self.config.output:
            case "free":
                return sliced_B * (1 + h_B)
            case "softplus":
                return sliced_B * functional.softplus(h_B + ONE)
            case "relu":
                return sliced_B * (1 + h_B).relu()

    def _number(self, pairs: PairGraph, sign: float, edges: Tensor) -> Tensor:
        """[B] the head's number, for one way to set the flags and the first layer's edges."""
        x_NF = input_NF = _input(pairs, sign)
        for place, conv in enumerate(self.convs):
            if place > 0:
                x_NF = torch.cat([x_NF, input_NF], dim=1)
                edges = nearest_neighbours(x_NF, pairs.ptr, self.config.neighbours)
            x_NF = conv(x_NF, edges)
        pooled_BH = torch.segment_reduce(x_NF, "mean", offsets=pairs.ptr, axis=0)
        if self.config.total_pt:
            totals = pairs.total_B2 if sign > 0 else pairs.total_B2.flip(1)
            pooled_BH = torch.cat([pooled_BH, totals], dim=1)
        return self.head(pooled_BH)[:, 0]


def _input(pairs: PairGraph, sign: float) -> Tensor:
    """[N, F], flags times a sign.

    Places are in units of the pair's own spread, since the ratio that is learned doesn't know of
    sizes, and shares in tenths: all features are of about one, so that neither the flag nor the
    place alone decides who is near.
    """
    moment_N = pairs.share_N * pairs.position_N2.square().sum(dim=1)
    moment_B = torch.segment_reduce(moment_N, "sum", offsets=pairs.ptr, axis=0)
    spread_B = (moment_B / 2 + SMALLEST_SPREAD**2).sqrt()
    spread_N = torch.repeat_interleave(spread_B, pairs.ptr.diff(), output_size=len(moment_N))
    return torch.cat(
        [
            TENTHS * pairs.share_N[:, None],
            (pairs.position_N2 / spread_N[:, None]).clamp(-FARTHEST, FARTHEST),
            sign * pairs.flag_N[:, None],
        ],
        dim=1,
    )
