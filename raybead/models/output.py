"""What every model returns."""

from __future__ import annotations

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


def at_least_single(x: Tensor) -> Tensor:
    """Single precision where autocast has left less: sums want that much."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
