"""From a job file's ``[model]`` to a network."""

from __future__ import annotations

from importlib import import_module

from torch import nn

from raybead.config import Model
from raybead.models.inputs import Inputs


def build_model(config: Model, inputs: Inputs) -> nn.Module:
    """The untrained model of a job file's ``[model]``: what the file of its kind's name builds.

    Args:
        config: the section.
        inputs: what it takes.
    """
    module = import_module(f"raybead.models.{config.kind.replace('-', '_')}")
    return module.build(config, inputs)
