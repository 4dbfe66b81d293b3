"""Batch norm over all pairs of a batch, as the affine map that it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raybead.models.batch_norm import over_team, remember


def affine(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Scale and shift [H] of a norm in evaluation."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - norm.running_mean * scale


def affine_of_batch(
    norm: nn.BatchNorm1d, moments_TS: Tensor, neighbours_T1: Tensor
) -> tuple[Tensor, Tensor]:
    """Scale and shift of a norm in training, whose running statistics take note.

    Statistics are those of the whole batch, wherever its slices are, and so are gradients
    through them: workers' sums are added up. Without any pair nothing is noted.

    Args:
        norm: of H channels.
        moments_TS: [T, 2 H] sums over neighbours of the activations, then of their squares.
        neighbours_T1: [T, 1] how many these are.
    """
    sums = torch.cat([moments_TS, neighbours_T1.to(moments_TS)], dim=1).double().sum(dim=0)
    sums = over_team(sums)
    first, second, pairs = sums.split([norm.num_features, norm.num_features, 1])
    count = pairs.clamp(min=2)  # there are two pairs at least, or none
    mean = first / count
    variance = (second / count - mean.square()).clamp(min=0)
    with torch.no_grad():
        remember(norm, mean, variance * count / (count - 1), pairs > 0)
    scale = norm.weight / (variance + norm.eps).sqrt()
    return scale.to(norm.weight), (norm.bias - mean * scale).to(norm.weight)
