r"""EdgeConv (arXiv:1801.07829, eq. 7) over all pairs of ragged jets, without edges in memory.

.. math:: x'_i = \frac{1}{n-1} \sum_{j \ne i} h(x_i, \; x_j - x_i)

with an MLP h. Its first layer is linear in (x_i, x_j - x_i), so it is one product a *node*:
W [x_i; x_j - x_i] + b = a_i + b_j. What remains a *pair* is :mod:`raybead.models.pair_sum`'s.

Axes: T nodes, F features in, H hidden, O out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from raybead.models.pair_sum import pair_sum

Aggregation = Literal["mean", "sum"]


def all_pairs_edgeconv(
    x_TF: Tensor,
    ptr: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    *,
    last_relu: bool,
    aggregation: Aggregation = "mean",
) -> Tensor:
    """EdgeConv over complete graphs without self-loops.

    Args:
        x_TF: [T, F] node features.
        ptr: [B + 1] offsets of the jets.
        weights: of the MLP's linear layers, [out, in] each, the first [H, 2F]; ReLU between.
        biases: [out] each.
        last_relu: whether a ReLU follows the last layer, too.
        aggregation: over a node's neighbours.

    Returns:
        [T, O]; zeros for the node of a jet that has no other.
    """
    sizes = ptr.diff()
    neighbours_T1 = torch.repeat_interleave(sizes - 1, sizes, output_size=len(x_TF))[:, None]
    features = x_TF.shape[1]
    to_centre, to_neighbour = weights[0][:, :features], weights[0][:, features:]
    a_TH = torch.addmm(biases[0], x_TF, (to_centre - to_neighbour).t())
    b_TH = x_TF @ to_neighbour.t()
    # A last layer without ReLU is linear: it runs once a node, after the sum over neighbours.
    n_pair = len(weights) if last_relu else len(weights) - 1
    if n_pair == 0:
        raise ValueError("an EdgeConv of a single linear layer has no non-linearity")
    inner = [tensor for k in range(1, n_pair) for tensor in (weights[k], biases[k])]
    summed_TH = pair_sum(a_TH, b_TH, ptr, inner)
    count = neighbours_T1.clamp(min=1)
    if aggregation == "mean":
        summed_TH = summed_TH / count
    if last_relu:
        return summed_TH
    times = neighbours_T1 if aggregation == "sum" else neighbours_T1.clamp(max=1)
    return summed_TH @ weights[-1].t() + biases[-1] * times


class AllPairsEdgeConv(nn.Module):
    """:func:`all_pairs_edgeconv` with its weights.

    ``nn`` has the layout of the network in torch-geometric's ``EdgeConv``: the two layers
    exchange their ``state_dict``.
    """

    def __init__(
        self,
        features: int,
        widths: Sequence[int],
        *,
        last_relu: bool,
        aggregation: Aggregation = "mean",
    ) -> None:
        """Build the layer.

        Args:
            features: F, per node.
            widths: of the MLP's layers; the last is O.
            last_relu: whether a ReLU follows the last layer, too.
            aggregation: over a node's neighbours.
        """
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in pairwise([2 * features, *widths]):
            layers += [nn.Linear(inside, outside), nn.ReLU()]
        self.nn = nn.Sequential(*(layers if last_relu else layers[:-1]))
        self.last_relu = last_relu
        self.aggregation: Aggregation = aggregation

    def forward(self, x_TF: Tensor, ptr: Tensor) -> Tensor:
        linears = [layer for layer in self.nn if isinstance(layer, nn.Linear)]
        # Sums over neighbours want single precision at least, also under autocast.
        with torch.autocast(x_TF.device.type, enabled=False):
            return all_pairs_edgeconv(
                x_TF.to(linears[0].weight.dtype),
                ptr,
                [layer.weight for layer in linears],
                [layer.bias for layer in linears],
                last_relu=self.last_relu,
                aggregation=self.aggregation,
            )
