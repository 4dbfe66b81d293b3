"""From a job file's ``[model.flow]`` to maps of a latent."""

from __future__ import annotations

from importlib import import_module

from raybead.config.flow import AnyFlow
from raybead.models.flows.chain import Chain


def build_flow(config: AnyFlow, latent: int, context: int) -> Chain:
    """The untrained flow of a section: what the file of its kind's name builds.

    All start close to the identity, keep nothing between calls, and invert.

    Args:
        config: the section.
        latent: Z numbers that are mapped.
        context: I numbers that say how, of each item.
    """
    module = import_module(f"raybead.models.flows.{config.kind.replace('-', '_')}")
    return module.build(config, latent, context)
