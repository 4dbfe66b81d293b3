"""Layers that look at a jet's nodes and their neighbours, by the name that a job gives them.

torch-geometric's where it has them; the all-pairs EdgeConv, and the neighbours, are ours. Axes:
T nodes, I and O features in and out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from raybead.config import Autoencoder
from raybead.graphs import complete_edges
from raybead.models.batch_norm import TeamBatchNorm
from raybead.models.edgeconv import AllPairsEdgeConv
from raybead.models.neighbours import nearest_neighbours

EDGES = 1 << 20
"""Edges that attention has in memory at a time, or one jet's where that is more."""


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

    def forward(self, x_TI: Tensor, _ptr: Tensor) -> Tensor:
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

    def forward(self, x_TI: Tensor, ptr: Tensor) -> Tensor:
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

    def forward(self, x_TI: Tensor, ptr: Tensor) -> Tensor:
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

    def forward(self, x_TI: Tensor, ptr: Tensor) -> Tensor:
        groups = _groups(ptr)
        if len(groups) < 2:
            return self.rest(self.conv(x_TI, complete_edges(ptr)))
        parts = [
            self.conv(x_TI[part[0] : part[-1]], complete_edges(part - part[0])) for part in groups
        ]
        return self.rest(torch.cat(parts))


def _groups(ptr: Tensor) -> list[Tensor]:
    """Offsets of consecutive jets, cut where their edges become too many."""
    sizes = ptr.diff().cpu()
    if int((sizes * sizes).sum()) <= EDGES:
        return [ptr]
    starts, edges = [0], 0
    for jet, pairs in enumerate((sizes * sizes).tolist()):
        if edges + pairs > EDGES and jet > starts[-1]:
            starts.append(jet)
            edges = 0
        edges += pairs
    return [ptr[a : b + 1] for a, b in pairwise([*starts, len(sizes)])]


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
        A module of (x_TI, ptr) to x_TO.
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

    def forward(self, x_TF: Tensor, ptr: Tensor) -> Tensor:
        for layer in self.layers:
            x_TF = layer(x_TF, ptr)
        return x_TF
