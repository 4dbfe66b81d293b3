"""MLPs, with dropout that doesn't depend on the number of workers.

Axes: N jets or nodes, I and H numbers each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from raybead.models.batch_norm import TeamBatchNorm
from raybead.models.noise import kept


class Dropout(nn.Module):
    """Dropout (arXiv:1207.0580) while training, drawn for whom ``keys_N`` [N] says."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x_NH: Tensor, keys_N: Tensor | None) -> Tensor:
        if not self.training or self.rate == 0:
            return x_NH
        assert keys_N is not None
        return x_NH * kept(keys_N, x_NH.shape[1], self.rate, x_NH)


class Mlp(nn.Sequential):
    """Layers one after another, of which those that drop something are told whose it is."""

    def forward(self, x_NI: Tensor, keys_N: Tensor | None = None) -> Tensor:  # type: ignore[override]
        for layer in self:
            x_NI = layer(x_NI, keys_N) if isinstance(layer, Dropout) else layer(x_NI)
        return x_NI


def mlp(
    widths: Sequence[int], *, last_relu: bool, norm: str = "none", dropout: float = 0.0
) -> Mlp:
    """Linear layers and ReLU between, and batch norm and dropout after each if wanted.

    Args:
        widths: the first is that of the input.
        last_relu: whether a ReLU, with what follows it, follows the last layer, too.
        norm: "batch" for a batch norm after every ReLU.
        dropout: share that drops out after it.
    """
    layers: list[nn.Module] = []
    for place, (inside, outside) in enumerate(pairwise(widths), start=2):
        layers.append(nn.Linear(inside, outside))
        if last_relu or place < len(widths):
            layers.append(nn.ReLU(inplace=True))
            if norm == "batch":
                layers.append(TeamBatchNorm(outside))
            if dropout > 0:
                layers.append(Dropout(dropout))
    return Mlp(*layers)
