"""Nearest neighbours within ragged jets, exact, without a compiled companion library.

Axes: B jets, T nodes of all jets together, F features, E edges; in a tile G jets of n nodes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raybead.graphs import tiles

MAX_PAIRS = 1 << 18


@torch.no_grad()
def nearest_neighbours(x_TF: Tensor, ptr: Tensor, k: int) -> Tensor:
    """Edges from the k nodes of a jet that are nearest to each of its nodes.

    As in torch-geometric's ``DynamicEdgeConv`` a node counts among its own neighbours, and a jet
    of fewer than k nodes gives all of them. Which nodes are near has no gradient.

    Args:
        x_TF: [T, F] where the nodes are; Euclidean distance.
        ptr: [B + 1] offsets of the jets.
        k: neighbours a node, 1 at least.

    Returns:
        [2, E] (neighbour, centre), as torch-geometric takes it. Centres ascend, and each one's
        neighbours lie nearest first, of equally near ones the lower index first.
    """
    if k < 1:
        raise ValueError(f"{k} neighbours: one at least")
    sizes = ptr.diff()
    kept_T = torch.repeat_interleave(sizes.clamp(max=k), sizes, output_size=len(x_TF))
    edge_ptr = torch.cat([kept_T.new_zeros(1), kept_T.cumsum(0)])
    total = int(edge_ptr[-1])
    nodes = torch.arange(len(x_TF), device=x_TF.device)
    centre_E = torch.repeat_interleave(nodes, kept_T, output_size=total)
    neighbour_E = torch.empty_like(centre_E)
    for nodes_Gn, rows in tiles(ptr, MAX_PAIRS):
        centres = nodes_Gn[:, rows]
        apart = _squares(x_TF[nodes_Gn], rows)
        kept = min(k, nodes_Gn.shape[1])
        # A full sort and not topk, whose choice among equals isn't fixed.
        near = torch.sort(apart, dim=2, stable=True).indices[:, :, :kept]
        place = edge_ptr[centres][:, :, None] + torch.arange(kept, device=x_TF.device)
        neighbour_E[place] = nodes_Gn[:, :1, None] + near
    return torch.stack([neighbour_E, centre_E])


def _squares(x_GnF: Tensor, rows: slice) -> Tensor:
    """[G, rows, n] squared distances, by one product of matrices.

    In double precision and seen from one of the nodes: what cancels then is below what single
    precision can tell apart, and whole numbers stay whole. Differences themselves would take
    some ten times as long.
    """
    x_GnF = x_GnF.double()
    x_GnF = x_GnF - x_GnF[:, :1]
    square_Gn = x_GnF.square().sum(dim=2)
    centres = x_GnF[:, rows]
    return torch.baddbmm(
        square_Gn[:, rows, None] + square_Gn[:, None, :],
        centres,
        x_GnF.transpose(1, 2),
        alpha=-2.0,
    )
