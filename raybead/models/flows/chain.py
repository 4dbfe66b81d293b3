"""Maps of a latent one after another.

Axes: N items, Z numbers of the latent, I of the context.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from raybead.models.output import at_least_single


class Map(nn.Module, ABC):
    """An invertible map of a latent, for every item by its context."""

    @abstractmethod
    def forward(self, z_NZ: Tensor, context_NI: Tensor) -> tuple[Tensor, Tensor]:
        """What becomes of z, and [N] the log-determinant of the Jacobian there."""

    @abstractmethod
    def inverse(self, z_NZ: Tensor, context_NI: Tensor) -> tuple[Tensor, Tensor]:
        """What became z, and [N] the log-determinant of the map forward from there."""


class Chain(Map):
    """Maps one after another, in at least single precision also under autocast."""

    def __init__(self, maps: Iterable[Map], *, alternate: bool = False) -> None:
        """Put maps in a row.

        Args:
            maps: the first is the first that a sample goes through.
            alternate: whether every second one sees the latent in reverse order, for maps in
                which a number follows from those before it.
        """
        super().__init__()
        self.maps = nn.ModuleList(maps)
        self.alternate = alternate

    def forward(self, z_NZ: Tensor, context_NI: Tensor) -> tuple[Tensor, Tensor]:
        return self._through(z_NZ, context_NI, backwards=False)

    def inverse(self, z_NZ: Tensor, context_NI: Tensor) -> tuple[Tensor, Tensor]:
        return self._through(z_NZ, context_NI, backwards=True)

    def _through(
        self, z_NZ: Tensor, context_NI: Tensor, *, backwards: bool
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(z_NZ.device.type, enabled=False):
            z_NZ, context_NI = at_least_single(z_NZ), at_least_single(context_NI)
            log_det_N = z_NZ.new_zeros(len(z_NZ))
            steps = list(enumerate(cast("Iterable[Map]", self.maps)))
            for place, one in reversed(steps) if backwards else steps:
                turned = self.alternate and place % 2 == 1
                z_NZ = z_NZ.flip(1) if turned else z_NZ
                step = one.inverse if backwards else one
                z_NZ, more_N = step(z_NZ, context_NI)
                z_NZ = z_NZ.flip(1) if turned else z_NZ
                log_det_N = log_det_N + more_N
        return z_NZ, log_det_N
