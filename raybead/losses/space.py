"""What the terms of a loss know of the features that they compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from raybead.config import Graph
from raybead.graphs import JetBatch, Momenta, Scaling, unscaled_momenta
from raybead.models import EmdBundle, Output, at_least_single

Term = Callable[[Output, JetBatch], Tensor]
"""[B] losses of the jets of a batch."""
Penalty = Callable[[nn.Module], Tensor]
"""[] of a model's weights."""
Views = Callable[[JetBatch], list[JetBatch]]
"""Altered views of the jets of a scaled batch."""


@dataclass(frozen=True)
class Space:
    """The features that a model sees."""

    graph: Graph
    scaling: Scaling
    """That the features went through."""
    device: torch.device | str = "cpu"
    """Where the jets will be."""
    emd: EmdBundle | None = None
    """A learned distance at hand; a loss that needs one looks for it where the job says, if not"""

    def momenta(self, x_NS: Tensor) -> Momenta:
        """Of features as a model takes and gives them."""
        return unscaled_momenta(self.graph, self.scaling, at_least_single(x_NS))

    def between_momenta(self, distance: Callable[[Momenta, Momenta, Tensor], Tensor]) -> Term:
        """The distance of reconstructions from what they aim at, as momenta of the same jets."""

        def term(output: Output, _batch: JetBatch) -> Tensor:
            ours, theirs = map(self.momenta, (output.reconstruction_NF, output.target_NF))
            return distance(ours, theirs, output.ptr)

        return term
