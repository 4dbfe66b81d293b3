"""Inverse autoregressive flows: each number shifted and scaled by those before it."""

from __future__ import annotations

from raybead.config.flow import AutoregressiveFlow
from raybead.models.flows.autoregressive import Autoregressive
from raybead.models.flows.chain import Chain


def build(config: AutoregressiveFlow, latent: int, context: int) -> Chain:
    """The flow of a job (arXiv:1606.04934); scales lie between 1e-3 and 1e3."""
    from zuko.transforms import MonotonicAffineTransform

    maps = (
        Autoregressive(latent, context, config.hidden, MonotonicAffineTransform, [(), ()])
        for _ in range(config.layers)
    )
    return Chain(maps, alternate=True)
