r"""EdgeConv (arXiv:1801.07829, eq. 7) over all pairs of ragged jets, without edges in memory.

.. math:: x'_i = \frac{1}{n-1} \sum_{j \ne i} h(x_i, \; x_j - x_i)

with an MLP h. Its first layer is linear in (x_i, x_j - x_i), so it is one product a *node*:
W [x_i; x_j - x_i] + b = a_i + b_j. What remains a *pair* runs tile by tile, and is run again
in the backward pass: memory is linear in nodes, whatever the number of pairs.

Axes: T nodes, F features in, H hidden, O out; a tile has G jets, R centres, n neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from math import prod
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from raybead.graphs import Tile, tiles

Aggregation = Literal["mean", "sum"]
T = TypeVar("T")

PAIRS_ON_CPU = 16384
"""Pairs a tile: small enough for the caches, large enough to outweigh a call."""
PAIRS_ON_GPU = 1 << 20


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
    summed_TH = _PairSum.apply(a_TH, b_TH, ptr, *inner)
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


class _PairSum(torch.autograd.Function):
    """sum_{j != i} relu(L_k ... relu(L_1 relu(a_i + b_j)))."""

    @staticmethod
    def forward(ctx: Any, a_TH: Tensor, b_TH: Tensor, ptr: Tensor, *inner: Tensor) -> Tensor:
        ctx.save_for_backward(a_TH, b_TH, ptr, *inner)
        width = inner[-1].shape[0] if inner else a_TH.shape[1]
        out_TO = a_TH.new_zeros(len(a_TH), width)

        def work(share: Sequence[Tile]) -> None:
            scratch = _Scratch(a_TH)
            for tile in share:
                hidden = _pairs(a_TH, b_TH, inner, tile, scratch)[-1]
                _without_self(hidden, tile)
                out_TO[tile.nodes_Gn[:, tile.rows]] = hidden.sum(dim=2)

        _over_tiles(work, a_TH, ptr)
        return out_TO

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_TO: Tensor) -> tuple[Tensor | None, ...]:
        a_TH, b_TH, ptr, *inner = ctx.saved_tensors
        grad_a = torch.zeros_like(a_TH)

        def work(share: Sequence[Tile]) -> list[Tensor]:
            """Gradients of b and of the weights, from one share of the tiles."""
            scratch = _Scratch(a_TH)
            grad_b, *grads = [torch.zeros_like(tensor) for tensor in (b_TH, *inner)]
            for tile in share:
                centres = tile.nodes_Gn[:, tile.rows]
                hidden = _pairs(a_TH, b_TH, inner, tile, scratch)
                grad = scratch("grad", len(hidden), hidden[-1].shape)
                grad.copy_(grad_TO[centres][:, :, None, :])
                _back_through_relu(grad, hidden[-1])
                _without_self(grad, tile)
                for k in range(len(inner) // 2 - 1, -1, -1):
                    flat = grad.flatten(0, 2)
                    grads[2 * k].addmm_(flat.t(), hidden[k].flatten(0, 2))
                    grads[2 * k + 1] += flat.sum(dim=0)
                    grad = scratch("grad", k, hidden[k].shape)
                    torch.mm(flat, inner[2 * k], out=grad.flatten(0, 2))
                    _back_through_relu(grad, hidden[k])
                grad_a[centres] = grad.sum(dim=2)
                # A jet too large for one tile is met again: add. Within a tile indices differ.
                grad_b[tile.nodes_Gn] += grad.sum(dim=1)
            return [grad_b, *grads]

        first, *others = _over_tiles(work, a_TH, ptr)
        for share in others:
            for total, part in zip(first, share, strict=True):
                total += part
        grad_b, *grads = first
        return grad_a, grad_b, None, *grads


def _over_tiles(work: Callable[[Sequence[Tile]], T], a_TH: Tensor, ptr: Tensor) -> list[T]:
    """Do all tiles; results of the shares, always in the same order.

    On a CPU each thread takes a share of whole tiles: threads that share single operations
    would wait for one another after each, many times a tile.
    """
    if a_TH.device.type != "cpu":
        return [work(list(tiles(ptr, PAIRS_ON_GPU)))]
    every = list(tiles(ptr, PAIRS_ON_CPU))
    threads = min(torch.get_num_threads(), len(every))
    if threads <= 1:
        return [work(every)]
    inference = torch.is_inference_mode_enabled()  # threads don't inherit it

    def guarded(share: Sequence[Tile]) -> T:
        with torch.inference_mode(inference), torch.no_grad():
            return work(share)

    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(guarded, [every[k::threads] for k in range(threads)]))


class _Scratch:
    """Buffers that every tile uses again: fresh pages would cost more than the arithmetic."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._held: dict[tuple[str, int], Tensor] = {}

    def __call__(self, role: str, layer: int, shape: Sequence[int]) -> Tensor:
        size = prod(shape)
        held = self._held.get((role, layer))
        if held is None or held.numel() < size:
            held = self._held[role, layer] = self._like.new_empty(size)
        return held[:size].view(*shape)


def _pairs(
    a_TH: Tensor, b_TH: Tensor, inner: Sequence[Tensor], tile: Tile, scratch: _Scratch
) -> list[Tensor]:
    """Activations [G, R, n, width] of every layer over the pairs of a tile."""
    a_GRH, b_GnH = a_TH[tile.nodes_Gn[:, tile.rows]], b_TH[tile.nodes_Gn]
    pairs = (*a_GRH.shape[:2], b_GnH.shape[1])
    layers = [scratch("hidden", 0, (*pairs, a_TH.shape[1]))]
    torch.add(a_GRH[:, :, None, :], b_GnH[:, None, :, :], out=layers[0]).relu_()
    for weight, bias in zip(inner[::2], inner[1::2], strict=True):
        layer = scratch("hidden", len(layers), (*pairs, len(bias)))
        flat = layer.flatten(0, 2)
        torch.mm(layers[-1].flatten(0, 2), weight.t(), out=flat).add_(bias).relu_()
        layers.append(layer)
    return layers


def _back_through_relu(grad: Tensor, activation: Tensor) -> None:
    """Clear the gradient, in place, where the ReLU was off."""
    torch.ops.aten.threshold_backward.grad_input(grad, activation, 0, grad_input=grad)


def _without_self(pairs_GRnH: Tensor, tile: Tile) -> None:
    """Set the pair of each centre with itself to zero, in place."""
    pairs_GRnH.diagonal(offset=tile.rows.start, dim1=1, dim2=2).zero_()
