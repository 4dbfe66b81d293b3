"""``[graph]``, ``[model]`` and ``[loss]``: what a jet looks like, and who reconstructs it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from raybead.config.section import Section


class Graph(Section):
    """Node features of a jet, and the scaling fitted to them on training background."""

    features: Literal["jet-axis", "cartesian", "cylindrical"] = "jet-axis"
    """jet-axis: (pT d-eta, pT d-phi, pT); cartesian: (px, py, pz); cylindrical: (pT, eta, phi)."""
    nodes: PositiveInt | Literal["all"] = 30
    """Constituents that become nodes, leading in pT."""
    scaling: Literal["standard", "none"] = "standard"


class EdgeNetModel(Section):
    """EdgeConv 2F-H-H-Z, then 2Z-H-H-F: a latent for every node (the published study's)."""

    kind: Literal["edgenet"]
    hidden: PositiveInt = 32
    latent: PositiveInt = 2
    input_norm: Literal["batch", "none"] = "batch"


class JetBottleneckModel(Section):
    """EdgeConv encoder, pooled to one latent a jet, decoded to its leading constituents."""

    kind: Literal["jet-bottleneck"]
    hidden: PositiveInt = 32
    latent: PositiveInt = 2
    decoder_hidden: PositiveInt = 128
    decode: PositiveInt = 30
    """Constituents that are reconstructed, leading in pT."""


Model = Annotated[EdgeNetModel | JetBottleneckModel, Field(discriminator="kind")]


class MseLoss(Section):
    """Mean squared error over a jet's nodes and features."""

    kind: Literal["mse"]
    weight: PositiveFloat = 1.0


class ChamferLoss(Section):
    """Squared distance of every particle to the nearest of the other jet, both ways."""

    kind: Literal["chamfer"]
    weight: PositiveFloat = 1.0


Loss = Annotated[MseLoss | ChamferLoss, Field(discriminator="kind")]
