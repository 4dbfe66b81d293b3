r"""EdgeConv (arXiv:1801.07829, eq. 7) over all pairs of ragged jets, without edges in memory.

.. math:: x'_i = \square_{j \ne i} \; h(x_i, \; x_j - x_i)

with an MLP h and a mean, sum or maximum over neighbours. The first layer is linear in
(x_i, x_j - x_i), so it is one product a *node*: W [x_i; x_j - x_i] + b = a_i + b_j. What remains
a *pair* is :mod:`raybead.models.pair_reduce`'s. A batch norm is an affine map, which goes into
the next layer's weights, so that pairs never meet it; in training its statistics are sums over
pairs, too, found layer by layer.

Axes: T nodes, F features in, H hidden, O out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from raybead.models.pair_norm import affine, affine_of_batch
from raybead.models.pair_reduce import pair_max, pair_sum
from raybead.models.revealing import Shown

Aggregation = Literal["mean", "sum", "max"]
Norm = Literal["none", "batch"]
Affine = tuple[Tensor, Tensor]
"""Scale and shift of a batch norm."""


def all_pairs_edgeconv(
    x_TF: Tensor,
    ptr: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    *,
    last_relu: bool,
    aggregation: Aggregation = "mean",
    norms: Sequence[nn.BatchNorm1d] = (),
) -> Tensor:
    """EdgeConv over complete graphs without self-loops.

    Args:
        x_TF: [T, F] node features.
        ptr: [B + 1] offsets of the jets.
        weights: of the MLP's linear layers, [out, in] each, the first [H, 2F]; ReLU between.
        biases: [out] each.
        last_relu: whether a ReLU follows the last layer, too.
        aggregation: over a node's neighbours. Of equal maxima one has all the gradient.
        norms: one after each ReLU, over all pairs of the batch; empty for none. Those in
            training take the batch's statistics and update their running ones.

    Returns:
        [T, O]; zeros for the node of a jet that has no other.

    Raises:
        ValueError: a mean or sum over a single linear layer, which needs no pairs.
    """
    # Reductions over neighbours want single precision at least, also under autocast.
    with torch.autocast(x_TF.device.type, enabled=False):
        return _edgeconv(
            x_TF.to(weights[0].dtype), ptr, weights, biases, last_relu, aggregation, norms
        )


def _edgeconv(
    x_TF: Tensor,
    ptr: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    last_relu: bool,
    aggregation: Aggregation,
    norms: Sequence[nn.BatchNorm1d],
) -> Tensor:
    sizes = ptr.diff()
    neighbours_T1 = torch.repeat_interleave(sizes - 1, sizes, output_size=x_TF.shape[0])[:, None]
    a_TH, b_TH = _first(x_TF, weights[0], biases[0])
    relus = len(weights) if last_relu else len(weights) - 1
    if relus == 0 and aggregation != "max":
        raise ValueError("an EdgeConv of a single linear layer has no non-linearity")
    inner: list[Tensor] = []
    norm: Affine | None = None
    summed_TH: Tensor | None = None
    for k in range(relus):
        if k > 0:
            inner += _after(norm, weights[k], biases[k])
        if norms and norms[k].training:
            moments_TS = pair_sum(a_TH, b_TH, ptr, inner, squares=True)
            norm = affine_of_batch(norms[k], moments_TS, neighbours_T1)
            summed_TH = moments_TS[:, : norms[k].num_features]
        elif norms:
            norm, summed_TH = affine(norms[k]), None
    times_T1 = neighbours_T1 if aggregation == "sum" else neighbours_T1.clamp(max=1)
    if aggregation == "max":
        if not last_relu:
            if relus > 0:
                inner += _after(norm, weights[-1], biases[-1])
            return pair_max(a_TH, b_TH, ptr, inner)[0]
        reduced_TO = _max_relu(a_TH, b_TH, ptr, inner, norm)
    else:
        if summed_TH is None:
            summed_TH = pair_sum(a_TH, b_TH, ptr, inner)
        reduced_TO = summed_TH / neighbours_T1.clamp(min=1) if aggregation == "mean" else summed_TH
        if not last_relu:  # linear: it runs once a node, after the sum over neighbours
            weight, bias = _after(norm, weights[-1], biases[-1])
            return reduced_TO @ weight.t() + bias * times_T1
    return reduced_TO if norm is None else reduced_TO * norm[0] + norm[1] * times_T1


def _first(x_TF: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """a and b [T, H], of which the first layer's value at a pair is a_i + b_j."""
    to_centre, to_neighbour = weight.tensor_split(2, dim=1)
    a_TH = torch.addmm(bias, x_TF, (to_centre - to_neighbour).t())
    return a_TH, x_TF @ to_neighbour.t()


def pair_activations(
    x_TF: Tensor,
    ptr: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    *,
    last_relu: bool,
    norms: Sequence[nn.BatchNorm1d] = (),
) -> Iterator[Tensor]:
    """What :func:`all_pairs_edgeconv` never holds: its ReLUs, one after another.

    Pairs are reduced by the same kernel, layer by layer; norms are those of evaluation.

    Args:
        x_TF: as of :func:`all_pairs_edgeconv`, and so are the others.
        ptr: [B + 1]
        weights: of the linear layers.
        biases: of the linear layers.
        last_relu: whether a ReLU follows the last one.
        norms: after each ReLU.

    Yields:
        [M, H] each ReLU's mean over the neighbours of the M nodes that have any. It is above 0
        exactly where the unit responds to one of them.
    """
    with torch.autocast(x_TF.device.type, enabled=False):
        sizes = ptr.diff()
        neighbours_T1 = torch.repeat_interleave(sizes - 1, sizes)[:, None]
        some_T = neighbours_T1[:, 0] > 0
        a_TH, b_TH = _first(x_TF.to(weights[0].dtype), weights[0], biases[0])
        inner: list[Tensor] = []
        for k in range(len(weights) if last_relu else len(weights) - 1):
            if k > 0:
                inner += _after(affine(norms[k - 1]) if norms else None, weights[k], biases[k])
            yield (pair_sum(a_TH, b_TH, ptr, inner) / neighbours_T1)[some_T]


def _after(norm: Affine | None, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The linear layer that takes in the norm before it."""
    if norm is None:
        return weight, bias
    scale, shift = norm
    return weight * scale, bias + weight @ shift


def _max_relu(
    a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: list[Tensor], norm: Affine | None
) -> Tensor:
    """[T, O] the last ReLU's value at the neighbour where the norm's is largest.

    ReLU and norm are monotone, so the maximum is one of the linear layer's. Where the norm turns
    the sign, it is a minimum.
    """
    if norm is None:
        return pair_max(a_TH, b_TH, ptr, inner)[0].relu()
    sign = torch.where(norm[0].detach() < 0, -1.0, 1.0).to(a_TH)
    if inner:
        inner = [*inner[:-2], inner[-2] * sign[:, None], inner[-1] * sign]
    else:
        a_TH, b_TH = a_TH * sign, b_TH * sign
    return (pair_max(a_TH, b_TH, ptr, inner)[0] * sign).relu()


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
        norm: Norm = "none",
    ) -> None:
        """Build the layer.

        Args:
            features: F, per node.
            widths: of the MLP's layers; the last is O.
            last_relu: whether a ReLU follows the last layer, too.
            aggregation: over a node's neighbours.
            norm: "batch" for a batch norm after each ReLU, over all pairs of the batch.
        """
        super().__init__()
        layers: list[nn.Module] = []
        for k, (inside, outside) in enumerate(pairwise([2 * features, *widths]), start=1):
            layers.append(nn.Linear(inside, outside))
            if last_relu or k < len(widths):
                layers.append(nn.ReLU())
                if norm == "batch":
                    layers.append(nn.BatchNorm1d(outside))
        self.nn = nn.Sequential(*layers)
        self.last_relu = last_relu
        self.aggregation: Aggregation = aggregation

    def activations(self, x_TF: Tensor, ptr: Tensor) -> Iterator[Shown]:
        """:func:`pair_activations` beside the names of their layers."""
        linears = self._linears()
        found = pair_activations(
            x_TF,
            ptr,
            [layer.weight for layer in linears],
            [layer.bias for layer in linears],
            last_relu=self.last_relu,
            norms=self._norms(),
        )
        places = [k for k, layer in enumerate(self.nn) if isinstance(layer, nn.ReLU)]
        for place, x_MH in zip(places, found, strict=True):
            yield Shown(f"nn.{place - 1}", True, "neighbourhoods", x_MH)

    def forward(self, x_TF: Tensor, ptr: Tensor) -> Tensor:
        linears = self._linears()
        return all_pairs_edgeconv(
            x_TF,
            ptr,
            [layer.weight for layer in linears],
            [layer.bias for layer in linears],
            last_relu=self.last_relu,
            aggregation=self.aggregation,
            norms=self._norms(),
        )

    def _linears(self) -> list[nn.Linear]:
        return [layer for layer in self.nn if isinstance(layer, nn.Linear)]

    def _norms(self) -> list[nn.BatchNorm1d]:
        return [layer for layer in self.nn if isinstance(layer, nn.BatchNorm1d)]
