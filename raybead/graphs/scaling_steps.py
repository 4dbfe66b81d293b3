"""Steps of a scaling: what each kind does to a column, and how it is undone.

A step is a handful of numbers and no more, so it is stored as JSON. Applied, they equal
scikit-learn's transformers of the same kind. Axes: T nodes.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

_EDGE = 1e-7
"""Nearer to an end of the fitted range than this, a value counts as the end (scikit-learn's)."""
_FARTHEST = 5.199337582605575
"""Standard deviations that the normal quantile of an end is cut at (scikit-learn's)."""

_BEYOND = 1e9
"""Standard deviations whose square float32 still holds."""


class _Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Identity(_Step):
    """x -> x."""

    kind: Literal["none"] = "none"

    def apply(self, x_T: Tensor) -> Tensor:
        return x_T

    def invert(self, y_T: Tensor) -> Tensor:
        return y_T


class Affine(_Step):
    """x -> (x - shift) / scale.

    ``standard``: mean and standard deviation; ``robust``: median and the range from the 5 to the
    95 percentile; ``min-max``: least value and range; ``max-abs``: 0 and the largest magnitude.
    The scale of a constant column is 1.
    """

    kind: Literal["standard", "robust", "min-max", "max-abs"]
    shift: float
    scale: Annotated[float, Field(gt=0)]

    def apply(self, x_T: Tensor) -> Tensor:
        # Of one element, not of none: then it is rounded to x's type before it is used.
        return (x_T - x_T.new_tensor([self.shift])) / x_T.new_tensor([self.scale])

    def invert(self, y_T: Tensor) -> Tensor:
        return y_T * y_T.new_tensor([self.scale]) + y_T.new_tensor([self.shift])


class SignedLog(_Step):
    """x -> sign(x) log(1 + |x|): rises everywhere, takes every real number, and 0 to 0.

    Linear well below 1 (GeV, for momenta) and logarithmic well above.
    """

    kind: Literal["log"] = "log"

    def apply(self, x_T: Tensor) -> Tensor:
        return x_T.sign() * x_T.abs().log1p()

    def invert(self, y_T: Tensor) -> Tensor:
        return y_T.sign() * y_T.abs().expm1()


class Quantile(_Step):
    """x -> the normal distribution's quantile of x's rank in the fitted sample.

    Values beyond the fitted range are cut at its ends, which come out at -5.2 and 5.2 and come
    back as the ends. Within, precision is that of the gap between two quantiles, not of x.
    """

    kind: Literal["quantile"] = "quantile"
    quantiles: Annotated[tuple[float, ...], Field(min_length=1)]
    """Of the fitted sample, at equal steps of probability from 0 to 1."""

    def apply(self, x_T: Tensor) -> Tensor:
        at, low, high = self._at(x_T)
        # The mean of both directions: a value that many nodes share gets its middle rank.
        share = (
            _interpolate(x_T, at, _steps(at)) + 1 - _interpolate(-x_T, -at.flip(0), _steps(at))
        ) / 2
        if low == high:  # a constant: all its ranks are one, in the middle
            share = torch.where(x_T < low, 0.0, torch.where(x_T > low, 1.0, 0.5)).to(x_T)
        else:
            share = share.masked_fill(x_T + _EDGE > high, 1.0).masked_fill(x_T - _EDGE < low, 0.0)
        return torch.special.ndtri(share).clamp(-_FARTHEST, _FARTHEST)

    def invert(self, y_T: Tensor) -> Tensor:
        at, low, high = self._at(y_T)
        share = torch.special.ndtr(y_T)
        found = _interpolate(share, _steps(at), at)
        return found.masked_fill(share < _EDGE, low).masked_fill(share > 1 - _EDGE, high)

    def _at(self, like: Tensor) -> tuple[Tensor, float, float]:
        low, high = self.quantiles[0], self.quantiles[-1]
        points = self.quantiles if len(self.quantiles) > 1 else (low, high)
        return like.new_tensor(points), low, high


class Power(_Step):
    """Yeo and Johnson's power transform (Biometrika 87, 954), then zero mean and unit variance.

    An exponent below 0 (above 2) bounds what large positive (negative) values become, so that
    those lie close together; a number past the bound comes back infinite. Other exponents can
    carry values far outside the fitted range beyond all floats: they are cut at 1e9.
    """

    kind: Literal["power"] = "power"
    exponent: float
    shift: float
    scale: Annotated[float, Field(gt=0)]

    def apply(self, x_T: Tensor) -> Tensor:
        up = _power(x_T.clamp(min=0), self.exponent)
        down = _power((-x_T).clamp(min=0), 2 - self.exponent)
        bent = (torch.where(x_T >= 0, up, -down) - self.shift) / self.scale
        return bent.clamp(-_BEYOND, _BEYOND)

    def invert(self, y_T: Tensor) -> Tensor:
        y_T = y_T * self.scale + self.shift
        up = _root(y_T.clamp(min=0), self.exponent)
        down = _root((-y_T).clamp(min=0), 2 - self.exponent)
        return torch.where(y_T >= 0, up, -down)


class SinCos(_Step):
    """An angle -> its sine and its cosine, so that -pi and pi are neighbours.

    Undone, angles lie between -pi and pi.
    """

    kind: Literal["sin-cos"] = "sin-cos"


class Direction(_Step):
    """The columns that are ``l2`` at one place of their chains -> their vector over its length.

    A node's length is gone afterwards, so this can't be undone. A zero vector stays zero.
    """

    kind: Literal["l2"] = "l2"


Step = Annotated[
    Identity | Affine | SignedLog | Quantile | Power | SinCos | Direction,
    Field(discriminator="kind"),
]


def _steps(at: Tensor) -> Tensor:
    return torch.linspace(0.0, 1.0, len(at), dtype=at.dtype, device=at.device)


def _interpolate(x_T: Tensor, at: Tensor, values: Tensor) -> Tensor:
    """Linear between points of rising ``at``, constant beyond; the last of equal points counts."""
    left = (torch.searchsorted(at, x_T.contiguous(), right=True) - 1).clamp(0, len(at) - 2)
    width = at[left + 1] - at[left]
    past = x_T - at[left]
    share = torch.where(width > 0, past / width.where(width > 0, 1.0), (past >= 0).to(past))
    return values[left] + share.clamp(0, 1) * (values[left + 1] - values[left])


def _power(x_T: Tensor, exponent: float) -> Tensor:
    """((1 + x)^exponent - 1) / exponent of x >= 0; log(1 + x) for an exponent of 0."""
    log = x_T.log1p()
    if abs(exponent) < math.ulp(1.0):
        return log
    return (log * exponent).expm1() / exponent


def _root(y_T: Tensor, exponent: float) -> Tensor:
    """What :func:`_power` makes y of."""
    if abs(exponent) < math.ulp(1.0):
        return y_T.expm1()
    return ((y_T * exponent).clamp(min=-1.0).log1p() / exponent).expm1()
