"""What every model returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Output:
    """A reconstruction beside what it aims at, packed as a JetBatch is.

    Packing takes the place of a mask: what isn't a real node isn't there, so no loss can
    count padding. Axes: B jets, N reconstructed nodes of all jets together, F features.
    """

    reconstruction_NF: Tensor
    target_NF: Tensor
    ptr: Tensor
    """[B + 1] offsets of the jets in both"""
    latent: Tensor
    """[B, Z] where the bottleneck is the jet's, [T, Z] where every node has its own"""
    latent_ptr: Tensor | None = None
    """[B + 1] offsets of the jets in a latent of nodes; None where it is the jet's"""
    mu: Tensor | None = None
    """As latent: mean of a variational model's posterior"""
    log_variance: Tensor | None = None
    """As latent: log variance of that posterior"""
    concentration: Tensor | None = None
    """As latent: of a Dirichlet posterior, whose shares the latent then is"""
    z0: Tensor | None = None
    """[B, Z] what a flow made the latent of"""
    log_det_B: Tensor | None = None
    """[B] log-determinant of the flow's Jacobian at z0"""
    views: tuple[Output, ...] = ()
    """What the model made of altered views of the same items, where a loss asks for them"""

    def per_item(self, values: Tensor) -> Tensor:
        """[B, ...] of values that there is one of for each latent.

        The mean over the item's nodes where every node has a latent, 0 for an item of none.
        """
        if self.latent_ptr is None:
            return values
        return torch.segment_reduce(values, "mean", offsets=self.latent_ptr, axis=0, initial=0)

    def split(self, items: Sequence[int]) -> list[Output]:
        """One output for each so many items of a batch, in order; views aren't kept."""
        found: list[Output] = []
        first = 0
        for n in items:
            last = first + n
            nodes, latents = (
                slice(int(ptr[first]), int(ptr[last])) if ptr is not None else slice(first, last)
                for ptr in (self.ptr, self.latent_ptr)
            )
            found.append(
                Output(
                    reconstruction_NF=self.reconstruction_NF[nodes],
                    target_NF=self.target_NF[nodes],
                    ptr=self.ptr[first : last + 1] - self.ptr[first],
                    latent=self.latent[latents],
                    latent_ptr=None
                    if self.latent_ptr is None
                    else self.latent_ptr[first : last + 1] - self.latent_ptr[first],
                    mu=_of(self.mu, latents),
                    log_variance=_of(self.log_variance, latents),
                    concentration=_of(self.concentration, latents),
                    z0=_of(self.z0, latents),
                    log_det_B=_of(self.log_det_B, slice(first, last)),
                )
            )
            first = last
        return found


def _of(values: Tensor | None, part: slice) -> Tensor | None:
    return None if values is None else values[part]


def at_least_single(x: Tensor) -> Tensor:
    """Single precision where autocast has left less: sums want that much."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
