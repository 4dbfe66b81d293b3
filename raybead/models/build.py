"""From a job file's ``[model]`` to a network."""

from __future__ import annotations

from torch import nn

from raybead.config import EdgeNetModel, JetBottleneckModel, Model
from raybead.models.edgenet import EdgeNet
from raybead.models.jet_bottleneck import JetBottleneck


def build_model(config: Model, features: int) -> nn.Module:
    """The untrained model of a job file's ``[model]`` for ``features`` node features."""
    match config:
        case EdgeNetModel():
            return EdgeNet(config, features)
        case JetBottleneckModel():
            return JetBottleneck(config, features)
