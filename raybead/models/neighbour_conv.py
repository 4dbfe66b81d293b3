r"""EdgeConv (arXiv:1801.07829, eq. 7) over given edges, its first layer once a node.

.. math:: x'_i = \frac{1}{|N(i)|} \sum_{j \in N(i)} h(x_i, \; x_j - x_i)

The first layer of the MLP h is linear in (x_i, x_j - x_i): W [x_i; x_j - x_i] + b = a_i + b_j,
so of it only a sum is left an *edge*.

Axes: T nodes, E edges, F features in, O out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class NeighbourEdgeConv(nn.Module):
    """Mean over a node's neighbours of an MLP with a ReLU after every layer.

    ``nn`` has the layout of the network in torch-geometric's ``EdgeConv``: the two layers
    exchange their ``state_dict``.
    """

    def __init__(self, features: int, widths: Sequence[int]) -> None:
        """Build the layer.

        Args:
            features: F.
            widths: of the MLP's layers; the last is O.
        """
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in pairwise([2 * features, *widths]):
            layers += [nn.Linear(inside, outside), nn.ReLU()]
        self.nn = nn.Sequential(*layers)

    def forward(self, x_TF: Tensor, edges: Tensor) -> Tensor:
        """[T, O]; zeros for a node without edges.

        Args:
            x_TF: [T, F].
            edges: [2, E] (neighbour, centre), its centres ascending, as
                :func:`raybead.models.neighbours.nearest_neighbours` gives them.
        """
        first = self.nn[0]
        assert isinstance(first, nn.Linear)
        neighbour_E, centre_E = edges
        to_centre, to_neighbour = first.weight.tensor_split(2, dim=1)
        a_TH = torch.addmm(first.bias, x_TF, (to_centre - to_neighbour).t())
        b_TH = x_TF @ to_neighbour.t()
        counts = torch.bincount(centre_E, minlength=len(x_TF))
        hidden_EH = a_TH.index_select(0, centre_E) + b_TH.index_select(0, neighbour_E)
        hidden_EO = self.nn[1:](hidden_EH)
        if self._even(counts):  # sums of rows side by side are far quicker than of any segments
            return hidden_EO.view(len(x_TF), -1, hidden_EO.shape[1]).mean(dim=1)
        summed = torch.segment_reduce(hidden_EO, "sum", lengths=counts, axis=0)
        return summed / counts.clamp(min=1)[:, None]

    @staticmethod
    def _even(counts_T: Tensor) -> bool:
        """Whether all nodes have as many edges, and have some."""
        return (
            len(counts_T) > 0 and bool(counts_T[0] > 0) and bool((counts_T == counts_T[0]).all())
        )
