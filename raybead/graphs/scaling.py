"""Scaling of node features, fitted once on training background, kept with the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from raybead.config import Graph
from raybead.graphs.jetbatch import JetBatch


@dataclass(frozen=True)
class Scaling:
    """x -> (x - shift) / scale, feature by feature."""

    shift: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, graph: Graph, x_TF: Tensor) -> Scaling:
        """The scaling that a job asks for, fitted on nodes of training background.

        Args:
            graph: ``none`` gives the identity, ``standard`` zero mean and unit variance.
            x_TF: [T, F] unscaled features.
        """
        if graph.scaling == "none":
            return cls((0.0,) * x_TF.shape[1], (1.0,) * x_TF.shape[1])
        precise = x_TF.double()
        spread = precise.std(dim=0, correction=0)
        spread = torch.where(spread > 0, spread, torch.ones_like(spread))
        return cls(tuple(precise.mean(dim=0).tolist()), tuple(spread.tolist()))

    def apply(self, batch: JetBatch) -> JetBatch:
        """The batch with scaled features."""
        shift, scale = batch.x_TF.new_tensor(self.shift), batch.x_TF.new_tensor(self.scale)
        return replace(batch, x_TF=(batch.x_TF - shift) / scale)

    def invert(self, x_TF: Tensor) -> Tensor:
        """Scaled features back in their own units."""
        return x_TF * x_TF.new_tensor(self.scale) + x_TF.new_tensor(self.shift)

    def as_dict(self) -> dict[str, Any]:
        return {"shift": list(self.shift), "scale": list(self.scale)}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Scaling:
        return cls(tuple(raw["shift"]), tuple(raw["scale"]))
