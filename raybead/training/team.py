"""The workers that train together, as the loop sees them."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Team(Protocol):
    """The workers that train together."""

    rank: int
    size: int

    def total(self, values: Tensor) -> Tensor:
        """Sum of the workers' tensors, the same on all."""
        ...


class SliceError(Exception):
    """What went wrong with one worker's slice of a batch alone: it has to end them all."""


class Alone:
    """A team of one."""

    rank = 0
    size = 1

    def total(self, values: Tensor) -> Tensor:
        return values
