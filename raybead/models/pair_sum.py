"""The sum over all pairs of ragged jets that an EdgeConv is made of, and its gradients.

Activations of pairs are never kept: the backward pass computes them again, so memory is linear
in nodes, whatever the number of pairs. On a CPU in single precision a compiled kernel does this
block by block in the cache (``_pairs.c``); everything else, and a machine where the kernel
couldn't be compiled, goes through dense tiles in torch (:mod:`raybead.models.pair_tiles`).

Axes: T nodes, H width of the first hidden layer, O of the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from raybead.models import pair_kernel, pair_tiles


def pair_sum(a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor]) -> Tensor:
    """sum_{j != i} relu(W_L ... relu(W_1 relu(a_i + b_j) + c_1) ... + c_L), j in i's jet.

    Args:
        a_TH: [T, H] the centre's part of the first layer.
        b_TH: [T, H] the neighbour's.
        ptr: [B + 1] offsets of the jets.
        inner: W_1 [out, in], c_1 [out], W_2, c_2, ...; may be empty.

    Returns:
        [T, O]; zeros for the node of a jet that has no other.
    """
    return _PairSum.apply(a_TH, b_TH, ptr, *inner)


def _backend(like: Tensor) -> ModuleType:
    compiled = pair_kernel.COMPILED and like.device.type == "cpu" and like.dtype == torch.float32
    return pair_kernel if compiled else pair_tiles


class _PairSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a_TH: Tensor, b_TH: Tensor, ptr: Tensor, *inner: Tensor) -> Tensor:
        ctx.save_for_backward(a_TH, b_TH, ptr, *inner)
        return _backend(a_TH).forward(a_TH, b_TH, ptr, inner)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_TO: Tensor) -> tuple[Tensor | None, ...]:
        a_TH, b_TH, ptr, *inner = ctx.saved_tensors
        grad_a, grad_b, *grads = _backend(a_TH).backward(grad_TO, a_TH, b_TH, ptr, inner)
        return grad_a, grad_b, None, *grads
