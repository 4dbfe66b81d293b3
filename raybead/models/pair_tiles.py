"""The pair sum in torch: dense tiles of pairs, on any device and in any precision.

A tile has G jets of n nodes and R of their centres; its activations are [G, R, n, width].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import TypeVar

import torch
from torch import Tensor

from raybead.graphs import Tile, tiles

T = TypeVar("T")

PAIRS_ON_CPU = 16384
"""Pairs a tile: small enough for the caches, large enough to outweigh a call."""
PAIRS_ON_GPU = 1 << 20


def forward(a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor]) -> Tensor:
    """[T, O] sums; see :func:`raybead.models.pair_sum.pair_sum`."""
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


def backward(
    grad_TO: Tensor, a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor]
) -> list[Tensor]:
    """Gradients of a, b and each of ``inner``."""
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
    return [grad_a, *first]


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
