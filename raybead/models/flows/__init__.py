"""Flows: invertible maps of a latent that tell how they stretch it."""

from raybead.models.flows.build import build_flow
from raybead.models.flows.chain import Chain, Map

__all__ = ["Chain", "Map", "build_flow"]
