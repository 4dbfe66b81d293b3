"""Maps in which each number follows from itself, those before it and the context: zuko's.

Axes: N items, Z numbers of the latent, I of the context.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Transform

from raybead.models.flows.amortised import SPREAD
from raybead.models.flows.chain import Map


class Autoregressive(Map):
    """A masked network says how each number is mapped.

    Forward is one pass, which makes it quick where samples are drawn; inverse takes Z.
    """

    def __init__(
        self,
        latent: int,
        context: int,
        hidden: Sequence[int],
        univariate: Callable[..., Transform],
        shapes: Sequence[Sequence[int]],
    ) -> None:
        """Set the map up.

        Args:
            latent: Z.
            context: I.
            hidden: widths of the masked network.
            univariate: from parameters to a rising function, the identity where all are 0.
            shapes: of these parameters.
        """
        from zuko.flows import MaskedAutoregressiveTransform

        super().__init__()
        self.conditioned = MaskedAutoregressiveTransform(
            latent,
            context,
            univariate=univariate,
            shapes=[torch.Size(shape) for shape in shapes],
            hidden_features=hidden,
        )
        last = cast("Sequence[nn.Linear]", self.conditioned.hyper)[-1]
        with torch.no_grad():
            last.weight *= SPREAD
            last.bias.zero_()

    def forward(self, z_NZ: Tensor, context_NI: Tensor) -> tuple[Tensor, Tensor]:
        n = len(z_NZ)
        z_NZ, context_NI = _some(z_NZ), _some(context_NI)
        there_NZ, log_det_N = self.conditioned(context_NI).call_and_ladj(z_NZ)
        return there_NZ[:n], log_det_N[:n]

    def inverse(self, z_NZ: Tensor, context_NI: Tensor) -> tuple[Tensor, Tensor]:
        n = len(z_NZ)
        z_NZ, context_NI = _some(z_NZ), _some(context_NI)
        there = self.conditioned(context_NI)
        before_NZ = there.inv(z_NZ)
        return before_NZ[:n], there.call_and_ladj(before_NZ)[1][:n]


def _some(x_NS: Tensor) -> Tensor:
    """One row where there is none: torch's distributions can't take the sum of none."""
    return x_NS if len(x_NS) else x_NS.new_zeros(1, x_NS.shape[1])
