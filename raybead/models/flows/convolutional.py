"""Convolutional flows: each number moved by a convolution of itself and those before it.

Axes: N items, Z numbers of the latent, K taps of the kernel, I of the context.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raybead.config.flow import ConvolutionalFlow
from raybead.models.flows.amortised import Amortised
from raybead.models.flows.chain import Chain, Map
from raybead.models.flows.rising import restraint, solve_rising


class Convolutional(Map):
    """z + u tanh(w * z + b) (arXiv:1711.02255), * a dilated causal convolution.

    The kernel w is one for the whole latent, u and b each number's, and all are each item's. The
    Jacobian is triangular, with 1 + u w_0 tanh' > 0 on its diagonal.
    """

    def __init__(self, latent: int, kernel: int, dilation: int, context: int) -> None:
        super().__init__()
        # Taps that would lie before the first number for all of them are none.
        taps = min(kernel, -(-latent // dilation))
        self.shifts = [tap * dilation for tap in range(taps)]
        self.amortised = Amortised(
            context,
            w=torch.randn(taps) / taps**0.5,
            u=torch.zeros(latent),
            b=torch.zeros(latent),
        )

    def forward(self, z_NZ: Tensor, context_NI: Tensor) -> tuple[Tensor, Tensor]:
        w_KN, u_ZN, b_ZN = self.parameters_of(context_NI)
        z_ZN = z_NZ.t()
        reach, size = self.shifts[-1], len(z_ZN)
        padded_ZN = torch.cat([z_ZN.new_zeros(reach, z_ZN.shape[1]), z_ZN])
        inside_ZN = b_ZN
        for w_N, shift in zip(w_KN.unbind(), self.shifts, strict=True):
            inside_ZN = inside_ZN + w_N * padded_ZN[reach - shift : reach - shift + size]
        tanh_ZN = torch.tanh(inside_ZN)
        return z_NZ + (u_ZN * tanh_ZN).t(), _log_det(w_KN, u_ZN, tanh_ZN)

    def inverse(self, z_NZ: Tensor, context_NI: Tensor) -> tuple[Tensor, Tensor]:
        w_KN, u_ZN, b_ZN = self.parameters_of(context_NI)
        found: list[Tensor] = []
        tanhs: list[Tensor] = []
        for place, (after_N, d_N) in enumerate(zip(z_NZ.t(), b_ZN, strict=True)):
            for w_N, shift in zip(w_KN[1:], self.shifts[1:], strict=True):
                if shift <= place:
                    d_N = d_N + w_N * found[place - shift]
            found.append(solve_rising(after_N, u_ZN[place], w_KN[0], d_N))
            tanhs.append(torch.tanh(w_KN[0] * found[-1] + d_N))
        return torch.stack(found, dim=1), _log_det(w_KN, u_ZN, torch.stack(tanhs))

    def parameters_of(self, context_NI: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """w, u and b, with u so that u w_0 > -1."""
        w_KN, u_ZN, b_ZN = self.amortised(context_NI)
        return w_KN, u_ZN * restraint(u_ZN * w_KN[0]), b_ZN


def _log_det(w_KN: Tensor, u_ZN: Tensor, tanh_ZN: Tensor) -> Tensor:
    return torch.log1p(u_ZN * w_KN[0] * (1 - tanh_ZN.square())).sum(dim=0)


def build(config: ConvolutionalFlow, latent: int, context: int) -> Chain:
    """The flow of a job: the dilation doubles after every second map, until it spans the
    latent, and begins anew."""
    dilations = [1 << step for step in range(max(1, (latent - 1).bit_length()))]
    maps = (
        Convolutional(latent, config.kernel, dilations[place // 2 % len(dilations)], context)
        for place in range(config.layers)
    )
    return Chain(maps, alternate=True)
