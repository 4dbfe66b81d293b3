"""What the terms of a loss know of the features that they compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from raybead.config import Graph
from raybead.graphs import JetBatch, Scaling
from raybead.models import Output

Term = Callable[[Output, JetBatch], Tensor]
"""[B] losses of the jets of a batch."""


@dataclass(frozen=True)
class Space:
    """The features that a model sees."""

    graph: Graph
    scaling: Scaling
    """That the features went through."""
    device: torch.device | str = "cpu"
    """Where the jets will be."""
