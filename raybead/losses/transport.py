"""Energy mover's distances as losses: features back to momenta, then the distance asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from raybead.config import DeepEmdLoss, EmdLoss, EmdNetworkLoss, Graph, SinkhornLoss
from raybead.graphs import Scaling
from raybead.models import Output


class Transport:
    """[B] distances of reconstructions from what they aim at."""

    def __init__(
        self,
        config: EmdLoss | SinkhornLoss | DeepEmdLoss | EmdNetworkLoss,
        graph: Graph,
        scaling: Scaling,
        device: str | torch.device,
    ) -> None:
        self.config, self.graph, self.scaling = config, graph, scaling
        self.device = device

    def __call__(self, output: Output) -> Tensor:
        raise NotImplementedError
