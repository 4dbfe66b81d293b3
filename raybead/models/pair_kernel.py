"""The compiled pair kernel (``_pairs.c``): float32 on a CPU, a thread a share of the jets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

_pairs: Any
try:
    from raybead.models import _pairs  # pyright: ignore[reportAttributeAccessIssue]
except ImportError:  # installed where there was no C compiler
    _pairs = None

COMPILED = _pairs is not None
"""Whether the kernel was compiled when raybead was installed."""

T = TypeVar("T")


def sums(
    a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor], squares: bool = False
) -> Tensor:
    """[T, O] or [T, 2 O] sums; see :func:`raybead.models.pair_reduce.pair_sum`."""
    a_TH, b_TH, ptr, *inner = [tensor.contiguous() for tensor in (a_TH, b_TH, ptr, *inner)]
    widths, weights = _widths(a_TH, inner), _addresses(inner)
    moments = 2 if squares else 1
    out_TS = a_TH.new_zeros(len(a_TH), moments * int(widths[-1]))

    def work(jets: Tensor) -> None:
        _pairs.run(
            *_at(a_TH, b_TH, ptr, jets), len(jets), len(widths) - 1, *_at(widths, weights),
            moments, *_at(out_TS), 0, 0, 0, 0, 0,
        )  # fmt: skip

    _over_jets(work, ptr)
    return out_TS


def sums_backward(
    grad_TS: Tensor, a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor]
) -> list[Tensor]:
    """Gradients of a, b and each of ``inner``."""
    grad_TS, a_TH, b_TH, ptr, *inner = [
        tensor.contiguous() for tensor in (grad_TS, a_TH, b_TH, ptr, *inner)
    ]
    widths, weights = _widths(a_TH, inner), _addresses(inner)
    moments = grad_TS.shape[1] // int(widths[-1])
    grad_a, grad_b = torch.zeros_like(a_TH), torch.zeros_like(b_TH)

    def work(jets: Tensor) -> list[Tensor]:
        """Gradients of the weights from a share of the jets; those of its nodes in place."""
        grads = [torch.zeros_like(tensor) for tensor in inner]
        addresses = _addresses(grads)
        _pairs.run(
            *_at(a_TH, b_TH, ptr, jets), len(jets), len(widths) - 1, *_at(widths, weights),
            moments, 0, 0, *_at(grad_TS, grad_a, grad_b, addresses),
        )  # fmt: skip
        return grads

    shares = _over_jets(work, ptr)
    return [
        grad_a,
        grad_b,
        *(torch.stack(parts).sum(dim=0) for parts in zip(*shares, strict=True)),
    ]


def maxima(
    a_TH: Tensor, b_TH: Tensor, ptr: Tensor, inner: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """[T, O] maxima and whose; see :func:`raybead.models.pair_reduce.pair_max`."""
    a_TH, b_TH, ptr, *inner = [tensor.contiguous() for tensor in (a_TH, b_TH, ptr, *inner)]
    widths, weights = _widths(a_TH, inner), _addresses(inner)
    out_TO = a_TH.new_zeros(len(a_TH), int(widths[-1]))
    best_TO = torch.full_like(out_TO, -1, dtype=torch.int64)

    def work(jets: Tensor) -> None:
        _pairs.run(
            *_at(a_TH, b_TH, ptr, jets), len(jets), len(widths) - 1, *_at(widths, weights),
            1, *_at(out_TO, best_TO), 0, 0, 0, 0,
        )  # fmt: skip

    _over_jets(work, ptr)
    return out_TO, best_TO


def _widths(a_TH: Tensor, inner: Sequence[Tensor]) -> Tensor:
    return torch.tensor([a_TH.shape[1], *(len(bias) for bias in inner[1::2])])


def _addresses(tensors: Sequence[Tensor]) -> Tensor:
    return torch.tensor([tensor.data_ptr() for tensor in tensors], dtype=torch.int64)


def _at(*tensors: Tensor) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]


def _over_jets(work: Callable[[Tensor], T], ptr: Tensor) -> list[T]:
    """Deal the jets to the threads, largest first; results in the order of the shares."""
    threads = max(1, min(torch.get_num_threads(), len(ptr) - 1))
    if threads == 1:
        return [work(torch.arange(len(ptr) - 1))]
    order = torch.argsort(ptr.diff(), descending=True, stable=True)
    # Back and forth: dealt in one direction the first thread would get the larger jet each time.
    turn = torch.arange(len(order)) % (2 * threads)
    owner = torch.minimum(turn, 2 * threads - 1 - turn)
    # Ascending again, so that nodes lie close together.
    shares = [order[owner == thread].sort().values for thread in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, shares))
