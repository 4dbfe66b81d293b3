"""Sum of the squares of a model's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raybead.config import WeightsL2Loss
from raybead.losses.space import Penalty, Space


def build(_config: WeightsL2Loss, _space: Space) -> Penalty:
    """The penalty of a job."""
    return weights_l2


def weights_l2(model: nn.Module) -> Tensor:
    """[] sum over all of its parameters of their square."""
    return torch.stack([weight.square().sum() for weight in model.parameters()]).sum()
