"""Grids of places, from packed nodes and back.

Axes: B items, T nodes, N nodes that have a place, D places an item, F numbers each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from raybead.graphs import JetBatch


@dataclass(frozen=True)
class Slots:
    """Where the nodes of a batch lie in the grid of ``JetBatch.dense``: found once, used often."""

    width: int
    """D"""
    ptr: Tensor
    """[B + 1] offsets of the items among the N"""
    place_N: Tensor
    """[N] in the flattened grid, rising"""
    node_N: Tensor | None = None
    """[N] which nodes have a place; None for all"""

    @classmethod
    def of(cls, batch: JetBatch, width: int) -> Slots:
        """Those of a batch; nodes beyond the grid's end have no place."""
        jet_T = batch.jet_of_node()
        slot_T = batch.slot_T
        if slot_T is None:
            slot_T = torch.arange(len(jet_T), device=jet_T.device) - batch.ptr[jet_T]
        fits_T = slot_T < width
        place_T = jet_T * width + slot_T
        if bool(fits_T.all()):
            return cls(width, batch.ptr, place_T)
        node_N = fits_T.nonzero().squeeze(1)
        ptr = torch.cat([batch.ptr.new_zeros(1), fits_T.cumsum(0)])[batch.ptr]
        return cls(width, ptr, place_T[node_N], node_N)

    def kept(self, x_TF: Tensor) -> Tensor:
        """[N, F] what belongs to the nodes that have a place."""
        return x_TF if self.node_N is None else x_TF.index_select(0, self.node_N)

    def spread(self, x_TF: Tensor) -> Tensor:
        """[B, D, F] the grid: zeros where there is no node."""
        items = len(self.ptr) - 1
        grid = x_TF.new_zeros(items * self.width, x_TF.shape[1])
        return grid.index_copy_(0, self.place_N, self.kept(x_TF)).view(
            items, self.width, x_TF.shape[1]
        )

    def packed(self, grid_BDF: Tensor) -> Tensor:
        """[N, F] what a grid holds at the places that are taken."""
        return grid_BDF.flatten(0, 1).index_select(0, self.place_N)

    def mask(self, like: Tensor) -> Tensor:
        """[B, D] 1 where there is a node, else 0, of the type of ``like``."""
        items = len(self.ptr) - 1
        flat = torch.zeros(items * self.width, dtype=like.dtype, device=like.device)
        return flat.index_fill_(0, self.place_N, 1).view(items, self.width)
