"""From a job file's ``[model]`` to a network."""

from __future__ import annotations

from torch import nn

from raybead.config import JetBottleneckModel, MetaLayerModel, Model, NodeBottleneckModel
from raybead.models.jet_bottleneck import JetBottleneck
from raybead.models.meta_layer import MetaLayerAutoencoder
from raybead.models.node_bottleneck import NodeBottleneck


def build_model(config: Model, features: int) -> nn.Module:
    """The untrained model of a job file's ``[model]`` for ``features`` node features."""
    match config:
        case NodeBottleneckModel():
            return NodeBottleneck(config, features)
        case JetBottleneckModel():
            return JetBottleneck(config, features)
        case MetaLayerModel():
            return MetaLayerAutoencoder(config, features)
