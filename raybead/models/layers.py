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
from raybead.models.mlp import Dropout, mlp
from raybead.models.neighbours import nearest_neighbours
from raybead.models.transformer import TransformerBlock

EDGES = 1 << 20
"""Edges that attention has in memory at a time, or one jet's where that is more."""


class NodeLayer(nn.Module):
    """An MLP of each node alone."""

    def __init__(
        self, config: Autoencoder, inside: int, widths: Sequence[int], last_relu: bool
    ) -> None:
        super().__init__()
        self.nn = mlp((inside, *widths), last_relu=last_relu, norm=config.norm)

    def forward(self, x_TI: Tensor, _ptr: Tensor, _keys_T: Tensor | None = None) -> Tensor:
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

    def forward(self, x_TI: Tensor, ptr: Tensor, _keys_T: Tensor | None = None) -> Tensor:
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

    def forward(self, x_TI: Tensor, ptr: Tensor, _keys_T: Tensor | None = None) -> Tensor:
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

    def forward(self, x_TI: Tensor, ptr: Tensor, _keys_T: Tensor | None = None) -> Tensor:
        groups = _groups(ptr)
        if len(groups) < 2:
            return self.rest(self.conv(x_TI, complete_edges(ptr)))
        parts = [
            self.conv(x_TI[part[0] : part[-1]], complete_edges(part - part[0])) for part in groups
        ]
        return self.rest(torch.cat(parts))


class BlockLayer(nn.Module):
    """A transformer's block, as wide as the wider of what comes in and what the layer ends in.

    A linear layer leads to that width, or from it; a ReLU follows only where it leads from it, so
    that sums of residuals go on whole. The MLP's widths but the last are the feed-forward
    network's hidden ones, or one of four times the block's where there are none.
    """

    def __init__(
        self, config: Autoencoder, inside: int, widths: Sequence[int], last_relu: bool
    ) -> None:
        super().__init__()
        *hidden, outside = widths
        width = max(inside, outside)
        self.widen = nn.Linear(inside, width) if inside < width else nn.Identity()
        self.block = TransformerBlock(width, hidden or [4 * width], config.heads, config.dropout)
        self.narrow: nn.Module = nn.Identity()
        if outside < width:
            self.narrow = mlp((width, outside), last_relu=last_relu)

    def forward(self, x_TI: Tensor, ptr: Tensor, keys_T: Tensor | None = None) -> Tensor:
        return self.narrow(self.block(self.widen(x_TI), ptr, keys_T))


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
        A module of (x_TI, ptr, keys_T) to x_TO; keys say whose the nodes are, for dropout.
    """
    match config.layer:
        case "edgeconv":
            return PairLayer(config, inside, widths, last_relu)
        case "dynamic":
            return DynamicLayer(config, inside, widths, last_relu)
        case "gatv2" | "transformer":
            return AttentionLayer(config, inside, widths, last_relu)
        case "transformer-block":
            return BlockLayer(config, inside, widths, last_relu)
        case _:
            return NodeLayer(config, inside, widths, last_relu)


class Stack(nn.Module):
    """Layers one after another, with dropout behind those that end in a ReLU, and in blocks."""

    def __init__(
        self,
        config: Autoencoder,
        inside: int,
        layers: Sequence[Sequence[int]],
        *,
        last_relu: bool,
        last_dropout: bool = True,
    ) -> None:
        """Build the layers.

        Args:
            config: kind and options.
            inside: features that come in.
            layers: widths of each one's MLP.
            last_relu: whether a ReLU follows the last layer, too.
            last_dropout: whether dropout does; not on what is a latent or a reconstruction.
        """
        super().__init__()
        into = [inside, *(widths[-1] for widths in layers)]
        self.layers = nn.ModuleList(
            graph_layer(config, start, widths, last_relu=last_relu or place < len(layers) - 1)
            for place, (start, widths) in enumerate(zip(into, layers, strict=False))
        )
        # A block's residuals would lose whole sums.
        rate = 0.0 if config.layer == "transformer-block" else config.dropout
        self.dropout = Dropout(rate)
        self.last_dropout = last_dropout

    def forward(self, x_TF: Tensor, ptr: Tensor, keys_T: Tensor | None = None) -> Tensor:
        for place, layer in enumerate(self.layers, start=1):
            x_TF = layer(x_TF, ptr, keys_T)
            if self.last_dropout or place < len(self.layers):
                x_TF = self.dropout(x_TF, keys_T)
        return x_TF
