r"""The scalar equation behind maps of tanh: its slope, kept positive, and its solution.

Planar, Sylvester and convolutional flows all come down to

.. math:: s + a \tanh(c s + d) = y,

whose left side rises with s where :math:`a c > -1`, because tanh rises by at most 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

SLOPE = 1e-3
"""Least factor that a map stretches a direction by: its inverse stays within reach of rounding."""
_LARGEST = 1 - SLOPE
_HALVINGS = 64


def restrained(x: Tensor) -> Tensor:
    """x where it isn't negative, and above SLOPE - 1 everywhere, smoothly.

    Unlike the softplus of arXiv:1505.05770 (app. A.1) it leaves small numbers as they are, so that
    a map that starts close to the identity stays there.
    """
    return x * restraint(x)


def restraint(x: Tensor) -> Tensor:
    """The factor that ``restrained`` multiplies x by."""
    return 1 / (1 + torch.relu(-x) / _LARGEST)


def bounded(x: Tensor) -> Tensor:
    """Between -1 and 1, and the product of two of them above SLOPE - 1."""
    return _LARGEST * torch.tanh(x)


def solve_rising(y: Tensor, a: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """s of the equation above, number by number.

    Halved intervals find it, and a step of Newton's carries the gradients, which are those of the
    implicit function.
    """
    with torch.no_grad():
        low, high = y - a.abs(), y + a.abs()
        for _ in range(_HALVINGS):
            s = (low + high) / 2
            below = s + a * torch.tanh(c * s + d) < y
            low, high = torch.where(below, s, low), torch.where(below, high, s)
        s = (low + high) / 2
    tanh = torch.tanh(c * s + d)
    return s - (s + a * tanh - y) / (1 + a * c * (1 - tanh.square()))
