"""Planar flows: the latent is moved along one direction, by how far it lies along another.

Axes: N items, Z numbers of the latent, I of the context.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raybead.config.flow import PlanarFlow
from raybead.models.flows.amortised import Amortised
from raybead.models.flows.chain import Chain, Map
from raybead.models.flows.rising import restrained, solve_rising

_TINY = 1e-12


class Planar(Map):
    """z + u tanh(w z + b) (arXiv:1505.05770, eq. 10)."""

    def __init__(self, latent: int, context: int) -> None:
        super().__init__()
        self.amortised = Amortised(
            context,
            u=torch.zeros(latent),
            w=torch.randn(latent) / latent**0.5,
            b=torch.zeros(()),
        )

    def forward(self, z_NZ: Tensor, context_NI: Tensor) -> tuple[Tensor, Tensor]:
        u_ZN, w_ZN, b_N, along_N = self._corrected(context_NI)
        tanh_N = torch.tanh((w_ZN * z_NZ.t()).sum(dim=0) + b_N)
        return z_NZ + (u_ZN * tanh_N).t(), _log_det(along_N, tanh_N)

    def inverse(self, z_NZ: Tensor, context_NI: Tensor) -> tuple[Tensor, Tensor]:
        u_ZN, w_ZN, b_N, along_N = self._corrected(context_NI)
        after_N = (w_ZN * z_NZ.t()).sum(dim=0)
        before_N = solve_rising(after_N, along_N, torch.ones_like(b_N), b_N)
        tanh_N = torch.tanh(before_N + b_N)
        return z_NZ - (u_ZN * tanh_N).t(), _log_det(along_N, tanh_N)

    def _corrected(self, context_NI: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """u, w, b, and w u: u altered along w so that w u > -1 (the u-hat of app. A.1)."""
        u_ZN, w_ZN, b_N = self.amortised(context_NI)
        along_N = (w_ZN * u_ZN).sum(dim=0)
        aim_N = restrained(along_N)
        change_N = (aim_N - along_N) / w_ZN.square().sum(dim=0).clamp_min(_TINY)
        return u_ZN + change_N * w_ZN, w_ZN, b_N, aim_N


def _log_det(along_N: Tensor, tanh_N: Tensor) -> Tensor:
    return torch.log1p(along_N * (1 - tanh_N.square()))


def build(config: PlanarFlow, latent: int, context: int) -> Chain:
    """The flow of a job."""
    return Chain(Planar(latent, context) for _ in range(config.layers))
