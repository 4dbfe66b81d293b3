"""``[model.flow]``: what turns a Gaussian posterior into another distribution."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from raybead.config.section import Section


class Flow(Section):
    """Maps of the latent one after another, whose log-determinants add up."""

    layers: PositiveInt = 4
    """Maps, one after another."""


class PlanarFlow(Flow):
    """z + u tanh(w z + b) (arXiv:1505.05770), every item with a u, w and b of its own."""

    kind: Literal["planar"]
    layers: PositiveInt = 6


class SylvesterFlow(Flow):
    """z + Q R tanh(R' Q^T z + b) (arXiv:1803.05649), every item with maps of its own."""

    kind: Literal["sylvester"]
    basis: Literal["orthogonal", "householder", "triangular"] = "orthogonal"
    """What Q is: ``rank`` orthonormal vectors; a product of ``rank`` reflections; or a permutation
    that reverses every second time."""
    rank: PositiveInt = 4
    """Of orthogonal, at most the latent's; reflections of householder."""


class AutoregressiveFlow(Flow):
    """Inverse autoregressive: each number shifted and scaled by those before it
    (arXiv:1606.04934)."""

    kind: Literal["inverse-autoregressive"]
    hidden: tuple[PositiveInt, ...] = (64,)
    """Widths of the masked network that says shifts and scales."""


class SplineFlow(Flow):
    """Autoregressive rational-quadratic splines (arXiv:1906.04032)."""

    kind: Literal["spline"]
    bins: Annotated[int, Field(ge=2)] = 8
    """Of each spline."""
    hidden: tuple[PositiveInt, ...] = (64,)
    """Widths of the masked network that says the splines."""


class ConvolutionalFlow(Flow):
    """Dilated convolutions along the latent with triangular Jacobians (arXiv:1711.02255)."""

    kind: Literal["convolutional"]
    kernel: Annotated[int, Field(ge=2)] = 7
    """Numbers of the latent that a convolution sees."""


AnyFlow = Annotated[
    PlanarFlow | SylvesterFlow | AutoregressiveFlow | SplineFlow | ConvolutionalFlow,
    Field(discriminator="kind"),
]
"""A new flow: its section here, and a file in ``raybead/models/flows``."""
