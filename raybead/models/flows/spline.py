"""Neural spline flows: each number through a spline that those before it shape."""

from __future__ import annotations

from raybead.config.flow import SplineFlow
from raybead.models.flows.autoregressive import Autoregressive
from raybead.models.flows.chain import Chain


def build(config: SplineFlow, latent: int, context: int) -> Chain:
    """The flow of a job: rational-quadratic splines on [-5, 5], the identity outside
    (arXiv:1906.04032)."""
    from zuko.transforms import MonotonicRQSTransform

    shapes = [(config.bins,), (config.bins,), (config.bins - 1,)]
    maps = (
        Autoregressive(latent, context, config.hidden, MonotonicRQSTransform, shapes)
        for _ in range(config.layers)
    )
    return Chain(maps, alternate=True)
