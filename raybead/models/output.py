"""What every model returns."""

from __future__ import annotations

from dataclasses import dataclass

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
