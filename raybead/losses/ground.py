"""What every loss of optimal transport is made of: shares of momentum, costs, dense blocks.

Axes: B pairs of jets; N nodes of all first jets together, M of all second ones; in a block of G
pairs of like size, n and m nodes each, smaller jets filled up with nodes of no momentum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from raybead.errors import InputError
from raybead.graphs.momenta import Momenta

_FULL = 0.8
"""Jets of fewer nodes than this share of the largest one's aren't put beside it."""


@dataclass(frozen=True)
class Block:
    """Pairs of jets of like size, densely."""

    jets_G: Tensor
    """[G] which pairs they are"""
    share_Gn: Tensor
    """[G, n] nodes' shares of their jet's pT; 0 where there is no node"""
    share_Gm: Tensor
    """[G, m] of the second jets'"""
    eta_Gn: Tensor
    phi_Gn: Tensor
    eta_Gm: Tensor
    phi_Gm: Tensor

    def costs(self, radius: float, beta: float) -> Tensor:
        """[G, n, m] cost of carrying momentum from the first to the second."""
        first, second = (self.eta_Gn, self.phi_Gn), (self.eta_Gm, self.phi_Gm)
        return _costs(first, second, radius, beta)

    def costs_within(self, radius: float, beta: float) -> tuple[Tensor, Tensor]:
        """[G, n, n] and [G, m, m] costs within the first and within the second."""
        first, second = (self.eta_Gn, self.phi_Gn), (self.eta_Gm, self.phi_Gm)
        return _costs(first, first, radius, beta), _costs(second, second, radius, beta)


def in_double(of: Momenta) -> Momenta:
    """The same momenta in double precision, which small differences of large sums need."""
    return Momenta(of.pt_N.double(), of.eta_N.double(), of.phi_N.double())


def shares(pt_N: Tensor, ptr: Tensor) -> Tensor:
    """[N] nodes' pT in units of their jet's sum; the same for all nodes of a jet of no pT."""
    sizes = ptr.diff()
    total = torch.segment_reduce(pt_N, "sum", offsets=ptr, axis=0)
    whole = torch.repeat_interleave(total, sizes, output_size=len(pt_N))
    even = torch.repeat_interleave(1 / sizes.to(pt_N), sizes, output_size=len(pt_N))
    return torch.where(whole == 0, even, pt_N / whole.masked_fill(whole == 0, 1.0))


def ground_cost(d_eta: Tensor, d_phi: Tensor, radius: float, beta: float) -> Tensor:
    r"""Elementwise :math:`(\Delta R / R)^\beta`, the short way round.

    At no distance its slope counts as 0, the middle of its subgradients.
    """
    turn = 2 * torch.pi
    square = (d_eta.square() + (d_phi - turn * (d_phi / turn).round()).square()) / radius**2
    if beta == 2:
        return square
    apart = square != 0  # so that NaN counts as apart, and stays
    return torch.where(apart, square.where(apart, 1.0) ** (beta / 2), 0.0)


def collected(parts: list[tuple[Tensor, Tensor]], like: Tensor) -> Tensor:
    """[B] values of blocks, each given with its jets, in the order of jets and of a type."""
    if not parts:
        return like.new_zeros(0)
    jets, values = (torch.cat(column) for column in zip(*parts, strict=True))
    return values[jets.argsort()].to(like.dtype)


def blocks(
    ours: Momenta, theirs: Momenta, ptr: Tensor, ptr2: Tensor, max_pairs: int
) -> Iterator[Block]:
    """Every pair of jets once, in blocks of at most ``max_pairs`` pairs of nodes, or one jet.

    Args:
        ours: of the first jets' nodes.
        theirs: of the second jets'.
        ptr: [B + 1] offsets of the first jets.
        ptr2: [B + 1] offsets of the second.
        max_pairs: bound on a block's pairs.

    Raises:
        InputError: a jet without a node, or sides of unequal length.
    """
    sizes_B2 = torch.stack([ptr.diff(), ptr2.diff()], dim=1) if len(ptr) == len(ptr2) else None
    if sizes_B2 is None:
        raise InputError(f"distance of {len(ptr) - 1} jets from {len(ptr2) - 1}: not in pairs")
    if (sizes_B2 == 0).any():
        jet = int((sizes_B2 == 0).any(dim=1).nonzero()[0])
        raise InputError(f"distance of jets: jet {jet} of the batch has no constituent")
    share_N, share_M = shares(ours.pt_N, ptr), shares(theirs.pt_N, ptr2)
    for jets_G in _alike(sizes_B2, max_pairs):
        index_Gn, is_node_Gn = _padded(ptr, jets_G)
        index_Gm, is_node_Gm = _padded(ptr2, jets_G)
        yield Block(
            jets_G,
            share_N[index_Gn] * is_node_Gn,
            share_M[index_Gm] * is_node_Gm,
            ours.eta_N[index_Gn],
            ours.phi_N[index_Gn],
            theirs.eta_N[index_Gm],
            theirs.phi_N[index_Gm],
        )


def _costs(
    first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], radius: float, beta: float
) -> Tensor:
    d_eta, d_phi = (a[:, :, None] - b[:, None, :] for a, b in zip(first, second, strict=True))
    return ground_cost(d_eta, d_phi, radius, beta)


def _alike(sizes_B2: Tensor, max_pairs: int) -> Iterator[Tensor]:
    """Jets [G] of like size, large ones first."""
    order = sizes_B2.amax(dim=1).argsort(descending=True, stable=True)
    rows = sizes_B2[order].tolist()
    start = 0
    while start < len(rows):
        n, m = rows[start]
        stop = start + 1
        while stop < len(rows):
            n_next, m_next = rows[stop]
            wider_n, wider_m = max(n, n_next), max(m, m_next)
            if (stop + 1 - start) * wider_n * wider_m > max_pairs:
                break
            if n_next * m_next < _FULL**2 * wider_n * wider_m:
                break
            n, m, stop = wider_n, wider_m, stop + 1
        yield order[start:stop]
        start = stop


def _padded(ptr: Tensor, jets_G: Tensor) -> tuple[Tensor, Tensor]:
    """[G, n] nodes of jets, their first in place of none; whether there is one."""
    sizes_G = ptr[jets_G + 1] - ptr[jets_G]
    place = torch.arange(int(sizes_G.max()), device=ptr.device)
    is_node_Gn = place < sizes_G[:, None]
    return ptr[jets_G, None] + torch.where(is_node_Gn, place, 0), is_node_Gn
