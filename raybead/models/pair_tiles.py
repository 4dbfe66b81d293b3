"""The pair reductions in torch: dense tiles of pairs, on any device and in any precision.

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

P = TypeVar("P")
T = TypeVar("T")

PAIRS_ON_CPU = 16384
"""Pairs a tile: small enough for the caches, large enough to outweigh a call."""
PAIRS_ON_GPU = 1 << 20


def sums(
    a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor], squares: bool = False
) -> Tensor:
    """[T, O] or [T, 2 O] sums; see :func:`raybead.models.pair_reduce.pair_sum`."""
    width = inner[-1].shape[0] if inner else a_TH.shape[1]
    out_TS = a_TH.new_zeros(len(a_TH), 2 * width if squares else width)

    def work(share: Sequence[Tile]) -> None:
        scratch = _Scratch(a_TH)
        for tile in share:
            hidden = _pairs(a_TH, b_TH, inner, tile, scratch)[-1]
            _set_self(hidden, tile, 0)
            moments = [hidden.sum(dim=2)]
            if squares:
                moments.append(hidden.square_().sum(dim=2))
            out_TS[tile.nodes_Gn[:, tile.rows]] = torch.cat(moments, dim=2)

    _over_tiles(work, a_TH, ptr)
    return out_TS


def sums_backward(
    grad_TS: Tensor, a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor]
) -> list[Tensor]:
    """Gradients of a, b and each of ``inner``."""
    grad_a = a_TH.new_zeros(a_TH.shape)

    def work(share: Sequence[Tile]) -> list[Tensor]:
        """Gradients of b and of the weights, from one share of the tiles."""
        scratch = _Scratch(a_TH)
        grad_b, *grads = [tensor.new_zeros(tensor.shape) for tensor in (b_TH, *inner)]
        for tile in share:
            centres = tile.nodes_Gn[:, tile.rows]
            hidden = _pairs(a_TH, b_TH, inner, tile, scratch)
            grad = scratch("grad", len(hidden), hidden[-1].shape)
            of_sum, *of_squares = grad_TS[centres][:, :, None, :].split(grad.shape[3], dim=3)
            grad.copy_(of_sum)
            for part in of_squares:
                grad.addcmul_(part, hidden[-1], value=2)
            _back_through_relu(grad, hidden[-1])
            _set_self(grad, tile, 0)
            flat = [layer.flatten(0, 2) for layer in hidden]
            grad = _back_through_layers(grad.flatten(0, 2), flat, inner, grads, scratch)
            grad = grad.view(hidden[0].shape)
            grad_a[centres] = grad.sum(dim=2)
            # A jet too large for one tile is met again: add. Within a tile indices differ.
            grad_b[tile.nodes_Gn] += grad.sum(dim=1)
        return [grad_b, *grads]

    shares = _over_tiles(work, a_TH, ptr)
    return [grad_a, *(torch.stack(parts).sum(dim=0) for parts in zip(*shares, strict=True))]


def maxima(
    a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """[T, O] maxima and whose; see :func:`raybead.models.pair_reduce.pair_max`."""
    width = inner[-1].shape[0] if inner else a_TH.shape[1]
    out_TO = a_TH.new_zeros(len(a_TH), width)
    best_TO = torch.full_like(out_TO, -1, dtype=torch.int64)

    def work(share: Sequence[Tile]) -> None:
        scratch = _Scratch(a_TH)
        for tile in share:
            if tile.nodes_Gn.shape[1] == 1:
                continue
            centres = tile.nodes_Gn[:, tile.rows]
            last = _pairs(a_TH, b_TH, inner, tile, scratch, linear=True)[-1]
            _set_self(last, tile, -torch.inf)
            out_TO[centres], at_GRO = last.max(dim=2)
            nodes_GRn = tile.nodes_Gn[:, None, :].expand(*centres.shape, -1)
            best_TO[centres] = nodes_GRn.gather(2, at_GRO)

    _over_tiles(work, a_TH, ptr)
    return out_TO, best_TO


def maxima_backward(
    grad_TO: Tensor, best_TO: Tensor, a_TH: Tensor, b_TH: Tensor, inner: Sequence[Tensor]
) -> list[Tensor]:
    """Gradients of a, b and each of ``inner``.

    A maximum's gradient goes to one pair, so [R, O] pairs a chunk of R nodes are all there is.
    """
    grad_a = a_TH.new_zeros(a_TH.shape)

    def work(share: Sequence[slice]) -> list[Tensor]:
        """Gradients of b and of the weights, from one share of the nodes."""
        scratch = _Scratch(a_TH)
        grad_b, *grads = [tensor.new_zeros(tensor.shape) for tensor in (b_TH, *inner)]
        for rows in share:
            best_RO = best_TO[rows].clamp(min=0)
            pairs = (*best_RO.shape, a_TH.shape[1])
            grad_RO = grad_TO[rows] * (best_TO[rows] >= 0)
            first = scratch("hidden", 0, pairs)
            torch.index_select(b_TH, 0, best_RO.flatten(), out=first.flatten(0, 1))
            first += a_TH[rows, None, :]
            if inner:
                hidden = _layers(first.flatten(0, 1).relu_(), inner[:-2], scratch)
                last_ROH = hidden[-1].view(*best_RO.shape, -1)
                grads[-2] += torch.einsum("ro,roh->oh", grad_RO, last_ROH)
                grads[-1] += grad_RO.sum(dim=0)
                grad = scratch("grad", len(hidden), last_ROH.shape)
                torch.mul(grad_RO[:, :, None], inner[-2], out=grad)
                grad = grad.flatten(0, 1)
                _back_through_relu(grad, hidden[-1])
                grad = _back_through_layers(grad, hidden, inner[:-2], grads, scratch).view(pairs)
            else:  # z is a_i + b_j: output o of a pair comes from channel o alone
                grad = torch.diag_embed(grad_RO)
            grad_a[rows] = grad.sum(dim=1)
            grad_b.index_add_(0, best_RO.flatten(), grad.flatten(0, 1))
        return [grad_b, *grads]

    step = max(1, _pairs_at_once(a_TH) // best_TO.shape[1])
    chunks = [slice(start, start + step) for start in range(0, len(a_TH), step)]
    shares = _over_shares(work, chunks, a_TH)
    return [grad_a, *(torch.stack(parts).sum(dim=0) for parts in zip(*shares, strict=True))]


def _pairs_at_once(like: Tensor) -> int:
    return PAIRS_ON_CPU if like.device.type == "cpu" else PAIRS_ON_GPU


def _over_tiles(work: Callable[[Sequence[Tile]], T], a_TH: Tensor, ptr: Tensor) -> list[T]:
    return _over_shares(work, list(tiles(ptr, _pairs_at_once(a_TH))), a_TH)


def _over_shares(work: Callable[[Sequence[P]], T], parts: Sequence[P], like: Tensor) -> list[T]:
    """Do all parts; results of the shares, always in the same order.

    On a CPU each thread takes a share of whole parts: threads that share single operations
    would wait for one another after each, many times a part.
    """
    threads = min(torch.get_num_threads(), len(parts)) if like.device.type == "cpu" else 1
    if threads <= 1:
        return [work(parts)]
    inference = torch.is_inference_mode_enabled()  # threads don't inherit it

    def guarded(share: Sequence[P]) -> T:
        with torch.inference_mode(inference), torch.no_grad():
            return work(share)

    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(guarded, [parts[k::threads] for k in range(threads)]))


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
    a_TH: Tensor,
    b_TH: Tensor,
    inner: Sequence[Tensor],
    tile: Tile,
    scratch: _Scratch,
    *,
    linear: bool = False,
) -> list[Tensor]:
    """Activations [G, R, n, width] of every layer over the pairs of a tile."""
    a_GRH, b_GnH = a_TH[tile.nodes_Gn[:, tile.rows]], b_TH[tile.nodes_Gn]
    pairs = (*a_GRH.shape[:2], b_GnH.shape[1])
    first = scratch("hidden", 0, (*pairs, a_TH.shape[1]))
    torch.add(a_GRH[:, :, None, :], b_GnH[:, None, :, :], out=first)
    if inner or not linear:
        first.relu_()
    layers = _layers(first.flatten(0, 2), inner, scratch, linear=linear)
    return [layer.view(*pairs, -1) for layer in layers]


def _layers(
    first: Tensor, inner: Sequence[Tensor], scratch: _Scratch, *, linear: bool = False
) -> list[Tensor]:
    """Activations [pairs, width] from the first on; the last without ReLU if ``linear``."""
    layers = [first]
    for weight, bias in zip(inner[::2], inner[1::2], strict=True):
        layer = scratch("hidden", len(layers), (len(first), len(bias)))
        torch.mm(layers[-1], weight.t(), out=layer).add_(bias)
        if not linear or 2 * len(layers) < len(inner):
            layer.relu_()
        layers.append(layer)
    return layers


def _back_through_layers(
    grad: Tensor,
    hidden: Sequence[Tensor],
    inner: Sequence[Tensor],
    grads: list[Tensor],
    scratch: _Scratch,
) -> Tensor:
    """The gradient [pairs, H] before the first ReLU; weights' are added to ``grads``."""
    for k in range(len(inner) // 2 - 1, -1, -1):
        grads[2 * k].addmm_(grad.t(), hidden[k])
        grads[2 * k + 1] += grad.sum(dim=0)
        grad = torch.mm(grad, inner[2 * k], out=scratch("grad", k, hidden[k].shape))
        _back_through_relu(grad, hidden[k])
    return grad


def _back_through_relu(grad: Tensor, activation: Tensor) -> None:
    """Clear the gradient, in place, where the ReLU was off."""
    torch.ops.aten.threshold_backward.grad_input(grad, activation, 0, grad_input=grad)


def _set_self(pairs_GRnH: Tensor, tile: Tile, value: float) -> None:
    """Set the pair of each centre with itself, in place."""
    pairs_GRnH.diagonal(offset=tile.rows.start, dim1=1, dim2=2).fill_(value)
