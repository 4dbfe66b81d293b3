"""The reductions over all pairs of ragged jets that an EdgeConv is made of, and their gradients.

Activations of pairs are never kept: the backward pass computes them again, so memory is linear
in nodes, whatever the number of pairs. On a CPU in single precision a compiled kernel does this
block by block in the cache (``_pairs.c``); everything else, and a machine where the kernel
couldn't be compiled, goes through dense tiles in torch (:mod:`raybead.models.pair_tiles`).

They are registered as operators of torch, which ``torch.compile`` takes as they are.

Axes: T nodes, H width of the first hidden layer, O of the last, S sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from raybead.models import pair_kernel, pair_tiles


def pair_sum(
    a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor], *, squares: bool = False
) -> Tensor:
    """sum_{j != i} h_ij, h_ij = relu(W_L ... relu(W_1 relu(a_i + b_j) + c_1) ... + c_L).

    Args:
        a_TH: [T, H] the centre's part of the first layer.
        b_TH: [T, H] the neighbour's.
        ptr: [B + 1] offsets of the jets; j runs over i's jet.
        inner: W_1 [out, in], c_1 [out], W_2, c_2, ...; may be empty.
        squares: whether sums of h_ij squared follow.

    Returns:
        [T, O], or [T, 2 O] with squares; zeros for the node of a jet that has no other.
    """
    if _is_plain():
        return _backend(a_TH).sums(a_TH, b_TH, ptr.long(), inner, squares)
    return _pair_sum(a_TH, b_TH, ptr.long(), list(inner), squares)


def pair_max(
    a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """max_{j != i} z_ij, z_ij = W_L relu(... W_1 relu(a_i + b_j) + c_1 ...) + c_L.

    The last layer has no ReLU here: after the maximum it does the same, once a node.

    Args:
        a_TH: as of :func:`pair_sum`.
        b_TH: the same.
        ptr: the same.
        inner: the same; if empty, z_ij = a_i + b_j.

    Returns:
        [T, O] maxima, zero for the node of a jet that has no other; and [T, O] whose they are
        (the first neighbour's of equal ones; GPUs may differ), -1 where there is none.
    """
    if _is_plain():
        return _backend(a_TH).maxima(a_TH, b_TH, ptr.long(), inner)
    return _pair_max(a_TH, b_TH, ptr.long(), list(inner))


def _is_plain() -> bool:
    """Whether numbers are all that is wanted. The first call of an operator loads torch's
    compiler, which takes a process that only scores seconds."""
    if torch.compiler.is_compiling():  # asked first: what follows can't be compiled
        return False
    return torch.is_inference_mode_enabled()


def _backend(like: Tensor) -> ModuleType:
    compiled = pair_kernel.COMPILED and like.device.type == "cpu" and like.dtype == torch.float32
    return pair_kernel if compiled else pair_tiles


@torch.library.custom_op("raybead::pair_sum", mutates_args=())
def _pair_sum(
    a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor], squares: bool
) -> Tensor:
    return _backend(a_TH).sums(a_TH, b_TH, ptr, inner, squares)


@_pair_sum.register_fake
def _(a_TH: Tensor, _b: Tensor, _ptr: Tensor, inner: Sequence[Tensor], squares: bool) -> Tensor:
    return a_TH.new_empty(a_TH.shape[0], _width(a_TH, inner) * (1 + squares))


@torch.library.custom_op("raybead::pair_sum_backward", mutates_args=())
def _pair_sum_backward(
    grad_TS: Tensor, a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor]
) -> list[Tensor]:
    return _backend(a_TH).sums_backward(grad_TS, a_TH, b_TH, ptr, inner)


@torch.library.custom_op("raybead::pair_max", mutates_args=())
def _pair_max(
    a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    return _backend(a_TH).maxima(a_TH, b_TH, ptr, inner)


@_pair_max.register_fake
def _(a_TH: Tensor, _b: Tensor, ptr: Tensor, inner: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    shape = (a_TH.shape[0], _width(a_TH, inner))
    return a_TH.new_empty(shape), ptr.new_empty(shape)


@torch.library.custom_op("raybead::pair_max_backward", mutates_args=())
def _pair_max_backward(
    grad_TO: Tensor, best_TO: Tensor, a_TH: Tensor, b_TH: Tensor, inner: Sequence[Tensor]
) -> list[Tensor]:
    # Also where the caller is under autocast.
    with torch.autocast(a_TH.device.type, enabled=False):
        return pair_tiles.maxima_backward(grad_TO, best_TO, a_TH, b_TH, inner)


@_pair_sum_backward.register_fake
def _(
    _grad: Tensor, a_TH: Tensor, b_TH: Tensor, _ptr: Tensor, inner: Sequence[Tensor]
) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor in (a_TH, b_TH, *inner)]


@_pair_max_backward.register_fake
def _(
    _grad: Tensor, _best: Tensor, a_TH: Tensor, b_TH: Tensor, inner: Sequence[Tensor]
) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor in (a_TH, b_TH, *inner)]


def _width(a_TH: Tensor, inner: Sequence[Tensor]) -> int:
    return inner[-1].shape[0] if inner else a_TH.shape[1]


def _keep_for_sum(ctx: Any, inputs: Any, output: Any) -> None:  # noqa: ARG001  torch names it
    a_TH, b_TH, ptr, inner, _ = inputs
    ctx.save_for_backward(a_TH, b_TH, ptr, *inner)


def _back_through_sum(ctx: Any, grad_TS: Tensor) -> Any:
    a_TH, b_TH, ptr, *inner = ctx.saved_tensors
    grad_a, grad_b, *grads = _pair_sum_backward(grad_TS, a_TH, b_TH, ptr, inner)
    return grad_a, grad_b, None, grads, None


def _keep_for_max(ctx: Any, inputs: Any, output: Any) -> None:
    a_TH, b_TH, _, inner = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1], a_TH, b_TH, *inner)


def _back_through_max(ctx: Any, grad_TO: Tensor, _: Any) -> Any:
    best_TO, a_TH, b_TH, *inner = ctx.saved_tensors
    grad_a, grad_b, *grads = _pair_max_backward(grad_TO, best_TO, a_TH, b_TH, inner)
    return grad_a, grad_b, None, grads


_pair_sum.register_autograd(_back_through_sum, setup_context=_keep_for_sum)
_pair_max.register_autograd(_back_through_max, setup_context=_keep_for_max)
