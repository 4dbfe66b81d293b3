"""Jets as clouds of massless particles, packed one after another.

Axes: B jets, N particles of all jets together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from raybead.graphs.owners import owners


@dataclass(frozen=True)
class Clouds:
    """B jets of any sizes; jet b owns particles ``ptr[b]:ptr[b + 1]``, in any order."""

    pt_N: Tensor
    """[N] GeV, at least 0"""
    eta_N: Tensor
    """[N]"""
    phi_N: Tensor
    """[N] radians, in any turn"""
    ptr: Tensor
    """[B + 1] int64"""

    def __len__(self) -> int:
        return len(self.ptr) - 1

    def to(self, device: torch.device | str) -> Clouds:
        """The same on a device."""
        return Clouds(*(x.to(device, non_blocking=True) for x in vars(self).values()))

    def select(self, index_B: Tensor) -> Clouds:
        """The jets at ``index_B``, in that order."""
        sizes = self.ptr.diff()[index_B]
        ptr = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        total = int(ptr[-1])
        shift = torch.repeat_interleave(self.ptr[index_B] - ptr[:-1], sizes, output_size=total)
        picked = torch.arange(total, device=ptr.device) + shift
        return Clouds(self.pt_N[picked], self.eta_N[picked], self.phi_N[picked], ptr)

    def jet_of_particle(self) -> Tensor:
        """[N] which jet each particle belongs to."""
        return owners(self.ptr, len(self.pt_N))
