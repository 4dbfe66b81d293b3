"""The sliced energy mover's distance: a closed form beside the one that has to be solved for.

Axes: B pairs of jets, N particles of all pairs together, W particles of the largest pair, D
directions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

DIRECTIONS = 8


def sliced_distance(position_N2: Tensor, share_N: Tensor, ptr: Tensor) -> Tensor:
    r"""[B] mean over directions in the plane of the distance between the jets' projections.

    On a line, energy flows as :math:`\int |F_a(t) - F_b(t)| dt` with cumulative shares F. Times
    pi/2 it is, up to the number of directions, the energy mover's distance of jets that are moved
    against one another as a whole, and below it for all others (Rabin et al., sliced Wasserstein).
    Zero where all energy lies in the same places, however it is cut into particles.

    Args:
        position_N2: [N, 2] in units of R.
        share_N: [N] share of the jet's pT, negative for particles of the pair's second jet.
        ptr: [B + 1] offsets of the pairs.
    """
    sizes = ptr.diff()
    width = max(1, int(sizes.max())) if len(sizes) else 1
    slot = torch.arange(width, device=ptr.device)
    real_BW = slot < sizes[:, None]
    # Slots beyond a pair's end repeat its first particle, with no share of it.
    index_BW = (ptr[:-1, None] + slot * real_BW).clamp(max=max(len(share_N) - 1, 0))
    share_BW = share_N[index_BW] * real_BW
    angle_D = torch.arange(DIRECTIONS, device=ptr.device, dtype=share_N.dtype) * (
        math.pi / DIRECTIONS
    )
    along_ND = position_N2 @ torch.stack([angle_D.cos(), angle_D.sin()])
    along_BWD, order = torch.sort(along_ND[index_BW], dim=1)
    share_BWD = torch.gather(share_BW[:, :, None].expand_as(along_BWD), 1, order)
    flow_BWD = share_BWD.cumsum(dim=1)[:, :-1].abs()
    return (flow_BWD * along_BWD.diff(dim=1)).sum(dim=1).mean(dim=1) * (math.pi / 2)
