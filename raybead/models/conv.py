"""Convolutions along an item's grid of nodes, with features as channels.

Features are no axis along which anything is the same everywhere, so kernels go over nodes alone.

Axes: B items, D places an item, C channels, F features, Z latent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from raybead.models.batch_norm import TeamBatchNorm
from raybead.models.mlp import Dropout, mlp
from raybead.models.revealing import Shown
from raybead.models.slots import Slots

PLACES = 1 << 15
"""Places of the grid at a time where a CPU needs no gradients: what fits its caches."""


class ConvStack(nn.Module):
    """Convolutions of one kernel and ReLU between, and batch norm and dropout if wanted.

    Each is a ``Conv1d`` with zeros beyond the grid's ends.
    """

    def __init__(
        self,
        channels: Sequence[int],
        kernel: int,
        *,
        masked: bool,
        last_relu: bool,
        norm: str = "none",
        dropout: float = 0.0,
    ) -> None:
        """Build the layers.

        Args:
            channels: the first are those of the input.
            kernel: places that a convolution sees; odd.
            masked: whether places without a node are zero before every convolution, as they are
                before the first: then nothing says how they were filled.
            last_relu: whether a ReLU, with what follows it, follows the last one, too.
            norm: "batch" for a batch norm, its statistics over places that have a node.
            dropout: share that drops out.
        """
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(inside, outside, kernel, padding=kernel // 2)
            for inside, outside in pairwise(channels)
        )
        self.relus = len(self.convs) if last_relu else len(self.convs) - 1
        normed = channels[1 : self.relus + 1] if norm == "batch" else ()
        self.norms = nn.ModuleList(TeamBatchNorm(outside) for outside in normed)
        self.dropout = Dropout(dropout)
        self.masked = masked

    def forward(self, grid_BDC: Tensor, slots: Slots, keys_B: Tensor | None = None) -> Tensor:
        """[B, D, C]"""
        mask_BD = slots.mask(grid_BDC) if self.masked else None
        step = max(1, PLACES // slots.width)
        whole = self.training or torch.is_grad_enabled() or grid_BDC.device.type != "cpu"
        if whole or len(grid_BDC) <= step:
            return self._convolved(grid_BDC, mask_BD, slots.place_N, keys_B)
        masks = [None] * len(grid_BDC) if mask_BD is None else mask_BD.split(step)
        grids = grid_BDC.split(step)
        return torch.cat(
            [self._convolved(grid, mask) for grid, mask in zip(grids, masks, strict=False)]
        )

    def activations(
        self, grid_BDC: Tensor, slots: Slots, _keys_B: Tensor | None = None
    ) -> Iterator[Shown]:
        """What each convolution gives in evaluation at the N places that hold a node."""
        mask_B1D = slots.mask(grid_BDC)[:, None] if self.masked else None
        x_BCD = grid_BDC.transpose(1, 2)
        for place, conv in enumerate(self.convs):
            x_BCD = conv(x_BCD) if mask_B1D is None else conv(x_BCD) * mask_B1D
            relu = place < self.relus
            x_BCD = x_BCD.relu() if relu else x_BCD
            rows_NC = slots.packed(x_BCD.transpose(1, 2))
            yield Shown(f"convs.{place}", relu, "places", rows_NC)
            if place < len(self.norms):
                x_BDC = x_BCD.transpose(1, 2)
                normed = self.norms[place](x_BDC.flatten(0, 1), slots.place_N)
                x_BCD = normed.view(x_BDC.shape).transpose(1, 2)
                x_BCD = x_BCD if mask_B1D is None else x_BCD * mask_B1D

    def _convolved(
        self,
        grid_BDC: Tensor,
        mask_BD: Tensor | None,
        place_N: Tensor | None = None,
        keys_B: Tensor | None = None,
    ) -> Tensor:
        # As images of one row whose channels lie innermost: torch's quickest kernels on CPUs, and
        # the grid as it lies.
        x_BC1D = grid_BDC[:, None].permute(0, 3, 1, 2)
        mask_B11D = None if mask_BD is None else mask_BD[:, None, None]
        for place, conv in enumerate(self.convs):
            assert isinstance(conv, nn.Conv1d)
            weight, padding = conv.weight[:, :, None], (0, conv.kernel_size[0] // 2)
            x_BC1D = functional.conv2d(x_BC1D, weight, conv.bias, padding=padding)
            if mask_B11D is not None:
                x_BC1D = x_BC1D.mul_(mask_B11D.to(x_BC1D.dtype))
            if place == self.relus:
                break
            x_BC1D = x_BC1D.relu_()
            if len(self.norms) == 0 and self.dropout.rate == 0:
                continue
            x_BDC = _grid(x_BC1D)
            if len(self.norms) > 0:
                normed = self.norms[place](x_BDC.flatten(0, 1), place_N)
                x_BDC = normed.view(x_BDC.shape)
                if mask_BD is not None:
                    x_BDC = x_BDC * mask_BD[:, :, None].to(x_BDC.dtype)
            x_BDC = self.dropout(x_BDC.flatten(1), keys_B).view(x_BDC.shape)
            x_BC1D = x_BDC[:, None].permute(0, 3, 1, 2)
        return _grid(x_BC1D)


def _grid(x_BC1D: Tensor) -> Tensor:
    """[B, D, C]"""
    return x_BC1D.permute(0, 2, 3, 1).squeeze(1)


class ConvDecoder(nn.Module):
    """An MLP from the latent to a grid of channels, and convolutions to its features.

    No place is masked: what is decoded follows from the latent alone, not from where nodes are.
    """

    def __init__(
        self,
        widths: Sequence[int],
        channels: Sequence[int],
        slots: int,
        kernel: int,
        *,
        norm: str = "none",
        dropout: float = 0.0,
    ) -> None:
        """Build the layers.

        Args:
            widths: of the MLP, from the latent's on, less the grid's.
            channels: of the convolutions, from the grid's to F.
            slots: D.
            kernel: places that a convolution sees; odd.
            norm: "batch" for batch norms.
            dropout: share that drops out.
        """
        super().__init__()
        self.slots = slots
        shared = {"norm": norm, "dropout": dropout}
        self.mlp = mlp((*widths, slots * channels[0]), last_relu=True, **shared)
        self.stack = ConvStack(channels, kernel, masked=False, last_relu=False, **shared)

    def forward(self, z_BZ: Tensor, slots: Slots, keys_B: Tensor | None = None) -> Tensor:
        """[B, D, F]"""
        flat = self.mlp(z_BZ, keys_B)
        grid_BDC = flat.view(len(z_BZ), self.slots, flat.shape[1] // self.slots)
        return self.stack(grid_BDC, slots, keys_B)
