"""Sum of the magnitudes of a model's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raybead.config import WeightsL1Loss
from raybead.losses.space import Penalty, Space


def build(_config: WeightsL1Loss, _space: Space) -> Penalty:
    """The penalty of a job."""
    return weights_l1


def weights_l1(model: nn.Module) -> Tensor:
    """[] sum over all of its parameters of their magnitude."""
    return torch.stack([weight.abs().sum() for weight in model.parameters()]).sum()
