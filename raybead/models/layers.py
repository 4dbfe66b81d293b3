"""Layers that look at a jet's nodes and their neighbours, by the name that a job gives them.

torch-geometric's where it has them; the all-pairs EdgeConv, and the neighbours, are ours. Axes:
T nodes, I and O features in and out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from raybead.config import Autoencoder
from raybead.models.batch_norm import TeamBatchNorm
from raybead.models.edgeconv import AllPairsEdgeConv
from raybead.models.neighbours import nearest_neighbours

NEEDS_EDGES = frozenset({"gatv2", "transformer"})
"""Layers that want a list of all edges: memory grows with the square of a jet's nodes."""


def mlp(widths: Sequence[int], *, last_relu: bool, norm: str = "none") -> nn.Sequential:
    """Linear layers from width to width, ReLU between, and batch norm after each if wanted."""
    layers: list[nn.Module] = []
    for place, (inside, outside) in enumerate(pairwise(widths), start=2):
        layers.append(nn.Linear(inside, outside))
        if last_relu or place < len(widths):
            layers.append(nn.ReLU())
            if norm == "batch":
                layers.append(TeamBatchNorm(outside))
    return nn.Sequential(*layers)


class NodeLayer(nn.Module):
    """An MLP of each node alone."""

    def __init__(
        self, config: Autoencoder, inside: int, widths: Sequence[int], last_relu: bool
    ) -> None:
        super().__init__()
        self.nn = mlp((inside, *widths), last_relu=last_relu, norm=config.norm)

    def forward(self, x_TI: Tensor, _ptr: Tensor, _edges: Tensor | None) -> Tensor:
        return self.nn(x_TI)


class PairLayer(nn.Module):
    """EdgeConv over all pairs."""

    def __init__(
        self, config: Autoencoder, inside: int, widths: Sequence[int], last_relu: bool
    ) -> None:
        super().__init__()
        self.conv = AllPairsEdgeConv(
            inside,
            widths,
            last_relu=last_relu,
            aggregation=config.aggregation,
            norm=config.norm,
        )

    def forward(self, x_TI: Tensor, ptr: Tensor, _edges: Tensor | None) -> Tensor:
        return self.conv(x_TI, ptr)


class DynamicLayer(nn.Module):
    """EdgeConv over the nearest nodes in the layer's own features (arXiv:1801.07829, sec. 3.2)."""

    def __init__(
        self, config: Autoencoder, inside: int, widths: Sequence[int], last_relu: bool
    ) -> None:
        from torch_geometric.nn import EdgeConv

        super().__init__()
        self.neighbours = config.neighbours
        network = mlp((2 * inside, *widths), last_relu=last_relu, norm=config.norm)
        self.conv = EdgeConv(network, aggr=config.aggregation)

    def forward(self, x_TI: Tensor, ptr: Tensor, _edges: Tensor | None) -> Tensor:
        return self.conv(x_TI, nearest_neighbours(x_TI.detach(), ptr, self.neighbours))


class AttentionLayer(nn.Module):
    """Attention over all pairs: GATv2 (arXiv:2105.14491), or a transformer's (arXiv:2009.03509).

    The MLP's first width is the attention's, the others are of each node alone.
    """

    def __init__(
        self, config: Autoencoder, inside: int, widths: Sequence[int], last_relu: bool
    ) -> None:
        from torch_geometric.nn import GATv2Conv, TransformerConv

        super().__init__()
        first, *more = widths
        shared = {"heads": config.heads, "concat": False}
        self.conv = (
            GATv2Conv(inside, first, **shared)
            if config.layer == "gatv2"
            # A root weight gives a lone node something to look at: itself.
            else TransformerConv(inside, first, root_weight=True, **shared)
        )
        between = [nn.ReLU()] if more or last_relu else []
        norm = [TeamBatchNorm(first)] if between and config.norm == "batch" else []
        after = [mlp(widths, last_relu=last_relu, norm=config.norm)] if more else []
        self.rest = nn.Sequential(*between, *norm, *after)

    def forward(self, x_TI: Tensor, _ptr: Tensor, edges: Tensor | None) -> Tensor:
        assert edges is not None, "who builds the layers gives them their edges"
        return self.rest(self.conv(x_TI, edges))


def graph_layer(
    config: Autoencoder, inside: int, widths: Sequence[int], *, last_relu: bool
) -> nn.Module:
    """One layer of the kind that ``config.layer`` names, from ``inside`` features.

    Args:
        config: kind and options.
        inside: I.
        widths: of the layer's MLP; the last is O.
        last_relu: whether a ReLU follows the last, too.

    Returns:
        A module of (x_TI, ptr, edges) to x_TO.
    """
    match config.layer:
        case "edgeconv":
            return PairLayer(config, inside, widths, last_relu)
        case "dynamic":
            return DynamicLayer(config, inside, widths, last_relu)
        case "gatv2" | "transformer":
            return AttentionLayer(config, inside, widths, last_relu)
        case _:
            return NodeLayer(config, inside, widths, last_relu)


class Stack(nn.Module):
    """Layers one after another."""

    def __init__(
        self,
        config: Autoencoder,
        inside: int,
        layers: Sequence[Sequence[int]],
        *,
        last_relu: bool,
    ) -> None:
        super().__init__()
        into = [inside, *(widths[-1] for widths in layers)]
        self.layers = nn.ModuleList(
            graph_layer(config, start, widths, last_relu=last_relu or place < len(layers) - 1)
            for place, (start, widths) in enumerate(zip(into, layers, strict=False))
        )

    def forward(self, x_TF: Tensor, ptr: Tensor, edges: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x_TF = layer(x_TF, ptr, edges)
        return x_TF
