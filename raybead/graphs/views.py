"""Altered views of scaled jets: the same physics, seen otherwise (arXiv:2108.04253).

What is drawn belongs to the jet (:mod:`raybead.graphs.noise`), so that views don't depend on
where in a batch, or with which worker, it lies. Axes: B items, T nodes, S scaled features; G jets
of all items together: the items themselves, or each one's jets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import torch
from torch import Tensor

from raybead.config import Graph
from raybead.errors import JobError
from raybead.graphs.jetbatch import JetBatch
from raybead.graphs.momenta import Momenta, features_of, unscaled_momenta
from raybead.graphs.noise import (
    keys_of_jets,
    keys_of_nodes,
    keys_within,
    normal_noise,
    uniform_noise,
)
from raybead.graphs.scaling import Scaling

Alteration = Literal["noise", "rotation", "shift", "splitting"]


@dataclass(frozen=True)
class Alterations:
    """How a view comes about; called with a scaled batch, it draws one.

    Only what the model sees as nodes is altered (and, by noise, energy flow polynomials, which
    the other alterations leave as they are): ``p4_B4`` and ``n_constituents_B`` stay the item's.
    """

    graph: Graph
    scaling: Scaling
    kinds: Sequence[Alteration] = ("noise",)
    """One after another"""
    noise: float = 0.1
    """Standard deviation, of every scaled feature"""
    shift: float = 0.5
    """Largest in eta"""
    splitting: float = 0.1
    """Share of constituents that split"""

    def __call__(self, batch: JetBatch) -> JetBatch:
        """One view of each item.

        Raises:
            JobError: the features don't lead back to constituents' momenta, or an event's nodes
                to its jets.
        """
        for is_noise, some in groupby(self.kinds, lambda one: one == "noise"):
            batch = self._noisy(batch) if is_noise else self._moved(batch, list(some))
        return batch

    def _noisy(self, batch: JetBatch) -> JetBatch:
        x_TS, efps_BJE = batch.x_TF, batch.efps_BJE
        x_TS = x_TS + self.noise * normal_noise(keys_of_nodes(batch), x_TS.shape[1], x_TS)
        if efps_BJE is not None and batch.has_jet_BJ is not None:
            n = efps_BJE.shape[1] * efps_BJE.shape[2]
            drawn = normal_noise(keys_of_jets(batch), n, efps_BJE).view_as(efps_BJE)
            efps_BJE = efps_BJE + self.noise * drawn * batch.has_jet_BJ[:, :, None]
        return replace(batch, x_TF=x_TS, efps_BJE=efps_BJE)

    def _moved(self, batch: JetBatch, kinds: Sequence[Alteration]) -> JetBatch:
        told_apart = self.graph.jets == 1 or batch.slot_T is not None
        if self.graph.level == "event" and not told_apart and set(kinds) != {"shift"}:
            raise JobError("an event's jets can't be told apart by their nodes: no slots")
        # In double precision: a rotation forth and back of float32 features would show.
        x_TS = batch.x_TF.double()
        momenta = unscaled_momenta(self.graph, self.scaling, x_TS)
        btag_T = torch.zeros_like(momenta.pt_N)
        if "btag" in self.graph.columns:
            btag_T = self.scaling.invert(x_TS)[:, self.graph.columns.index("btag")]
        nodes = _Nodes.of(batch, self.graph, momenta, btag_T)
        for one in kinds:
            match one:
                case "rotation":
                    nodes = nodes.rotated()
                case "shift":
                    nodes = nodes.shifted(self.shift, relative=self.graph.features == "jet-axis")
                case "splitting":
                    nodes = nodes.split(self.splitting)
                case "noise":
                    raise AssertionError("noise is of scaled features")
        x_TF = features_of(self.graph.features, nodes.momenta, nodes.btag_T, self.graph.pt_power)
        x_TS = self.scaling.scaled(x_TF).to(batch.x_TF.dtype)
        return replace(nodes.batch, x_TF=x_TS)


@dataclass(frozen=True)
class _Nodes:
    """Constituents of a batch as momenta, and which jets they are of."""

    batch: JetBatch
    """Up to its features"""
    momenta: Momenta
    btag_T: Tensor
    group_T: Tensor
    """[T] which of all items' jets, rising"""
    width: int
    """Jets an item"""
    cap: int | None
    """Nodes a jet"""

    @classmethod
    def of(cls, batch: JetBatch, graph: Graph, momenta: Momenta, btag_T: Tensor) -> _Nodes:
        item_T = batch.jet_of_node()
        cap = None if graph.nodes == "all" else graph.nodes
        if graph.level == "jet" or cap is None or batch.slot_T is None:
            return cls(batch, momenta, btag_T, item_T, 1, cap)
        group_T = item_T * graph.jets + batch.slot_T // cap
        return cls(batch, momenta, btag_T, group_T, graph.jets, cap)

    @property
    def ptr_G(self) -> Tensor:
        """[G + 1] offsets of the jets."""
        edges = torch.arange(len(self.batch) * self.width + 1, device=self.group_T.device)
        return torch.searchsorted(self.group_T, edges)

    def rotated(self) -> _Nodes:
        """Each jet by an angle of its own about its pT-weighted axis."""
        ptr_G, of_T = self.ptr_G, self.group_T
        pt_T, eta_T = self.momenta.pt_N, self.momenta.eta_N
        # Azimuths from the leading constituent's, so that their mean makes sense.
        start_T = self.momenta.phi_N[ptr_G[of_T]]
        phi_T = _wrapped(self.momenta.phi_N - start_T)
        moments_T3 = torch.stack([pt_T, pt_T * eta_T, pt_T * phi_T], dim=1)
        sums_G3 = torch.segment_reduce(moments_T3, "sum", offsets=ptr_G, axis=0, initial=0)
        axis_T2 = (sums_G3[:, 1:] / sums_G3[:, :1])[of_T]
        x_T, y_T = eta_T - axis_T2[:, 0], phi_T - axis_T2[:, 1]
        item_T = of_T // self.width
        keys_T = keys_within(self.batch, item_T, of_T - item_T * self.width)
        angle_T = 2 * math.pi * uniform_noise(keys_T, 1)[:, 0].to(pt_T)
        sine_T, cosine_T = angle_T.sin(), angle_T.cos()
        eta_T = axis_T2[:, 0] + cosine_T * x_T - sine_T * y_T
        phi_T = start_T + axis_T2[:, 1] + sine_T * x_T + cosine_T * y_T
        return replace(self, momenta=Momenta(pt_T, eta_T, phi_T))

    def shifted(self, most: float, relative: bool) -> _Nodes:
        """Each item in eta by up to so much, and in phi; not what is relative to an axis."""
        drawn_B2 = uniform_noise(keys_of_jets(self.batch), 2).to(self.momenta.pt_N)
        if relative:  # drawn all the same, so that other alterations don't depend on it
            return self
        eta_B, phi_B = most * (2 * drawn_B2[:, 0] - 1), 2 * math.pi * drawn_B2[:, 1]
        item_T = self.group_T // self.width
        old = self.momenta
        return replace(
            self,
            momenta=Momenta(old.pt_N, old.eta_N + eta_B[item_T], old.phi_N + phi_B[item_T]),
        )

    def split(self, share: float) -> _Nodes:
        """Some constituents into two collinear ones; leading ones first, as many as are kept."""
        drawn_T2 = uniform_noise(keys_of_nodes(self.batch), 2).to(self.momenta.pt_N)
        splits_T = drawn_T2[:, 0] < share
        all_T = torch.arange(len(splits_T), device=splits_T.device)
        both = torch.cat([all_T, all_T[splits_T]])
        part = torch.where(splits_T, drawn_T2[:, 1], 1.0)
        pt = self.momenta.pt_N[both] * torch.cat([part, 1 - drawn_T2[splits_T, 1]])
        order = pt.argsort(descending=True, stable=True)
        order = order[self.group_T[both[order]].argsort(stable=True)]
        whole = replace(self, group_T=self.group_T[both[order]])
        rank = torch.arange(len(order), device=order.device) - whole.ptr_G[whole.group_T]
        kept = rank < (len(order) if self.cap is None else self.cap)
        node = both[order][kept]
        group_T, rank_T = whole.group_T[kept], rank[kept]
        items = torch.arange(len(self.batch) + 1, device=order.device)
        slot_T = None
        if self.batch.slot_T is not None:
            slot_T = group_T % self.width * (self.cap or 0) + rank_T
        return replace(
            self,
            # Its features are in nobody's way: they are made of the momenta at last.
            batch=replace(
                self.batch,
                x_TF=self.batch.x_TF[node],
                ptr=torch.searchsorted(group_T // self.width, items),
                slot_T=slot_T,
            ),
            momenta=Momenta(pt[order][kept], self.momenta.eta_N[node], self.momenta.phi_N[node]),
            btag_T=self.btag_T[node],
            group_T=group_T,
        )


def _wrapped(angle: Tensor) -> Tensor:
    return (angle + math.pi).remainder(2 * math.pi) - math.pi
