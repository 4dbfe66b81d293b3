"""``[model]``: who reconstructs a jet. Few configurable classes, and presets of them by name."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from raybead.config.flow import AnyFlow
from raybead.config.fusion import Fusion, Share
from raybead.config.model_presets import MODEL_PRESETS
from raybead.config.section import Section

Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
Layer = Literal["edgeconv", "dynamic", "gatv2", "transformer", "transformer-block", "node"]
Posterior = Literal["point", "gaussian", "dirichlet"]


class Autoencoder(Section):
    """What autoencoders of graphs share: layers that look at nodes and their neighbours."""

    layer: Layer = "edgeconv"
    """edgeconv: over all pairs of a jet, without edges in memory; dynamic: EdgeConv over the
    ``neighbours`` nearest nodes in the layer's own features; gatv2, transformer: attention over
    all pairs; transformer-block: attention, feed-forward and layer norms with residuals
    (arXiv:1706.03762), as wide as the last of its ``encoder`` entry, or as what comes in where
    that is more, the entry's others being the feed-forward's; node: no neighbours at all."""
    encoder: Annotated[tuple[Widths, ...], Field(min_length=1)] = ((32, 32),)
    """Widths of each layer's MLP, layer after layer."""
    aggregation: Literal["mean", "sum", "max"] = "mean"
    """Over a node's neighbours, by edgeconv and dynamic."""
    neighbours: PositiveInt = 3
    """Of dynamic; a node counts as its own nearest."""
    heads: PositiveInt = 2
    """Of attention; their mean is taken."""
    norm: Literal["none", "batch"] = "none"
    """batch: batch norm after every ReLU of layers and MLPs; a transformer-block has its own."""
    dropout: Share = 0.0
    """Of what every layer, and every layer of an MLP, of encoder and decoder gives, while
    training."""
    input_norm: Literal["none", "batch"] = "none"
    """batch: batch norm of the features before the first layer."""
    embedding: tuple[PositiveInt, ...] = ()
    """Widths of an MLP of each node before the first layer."""
    latent: PositiveInt = 2
    """Numbers that the item, or each node, is squeezed into."""
    posterior: Posterior = "point"
    """point: the latent is a number each; gaussian: drawn from a Gaussian posterior; dirichlet:
    shares that sum to one, drawn from a Dirichlet posterior. ``[loss]`` then holds a term that
    restrains it."""

    @model_validator(mode="before")
    @classmethod
    def _variational(cls, raw: Any) -> Any:
        """``variational = true`` is short for ``posterior = "gaussian"``."""
        if not isinstance(raw, dict) or "variational" not in raw:
            return raw
        raw = dict(raw)
        if raw.pop("variational") is not True:
            return raw
        if raw.get("posterior") == "point":
            raise ValueError("variational = true and posterior = 'point' contradict each other")
        return {"posterior": "gaussian", **raw}

    @model_validator(mode="after")
    def _enough_shares(self) -> Self:
        if self.posterior == "dirichlet" and self.latent < 2:
            raise ValueError("shares of a dirichlet posterior need a latent of 2 or more")
        return self


class NodeBottleneckModel(Autoencoder):
    """A latent for every node: what the published study's models have in common."""

    kind: Literal["node-bottleneck"]
    decoder: Annotated[tuple[Widths, ...], Field(min_length=1)] | None = None
    """Widths of the decoder's layers, less the last one's output; the encoder's mirror image if
    not given. The encoder's last layer ends in the latent, of one with a posterior in two
    linear heads."""
    latent_relu: bool = True
    """Whether a ReLU follows the latent, too; not of one with a posterior."""

    @model_validator(mode="after")
    def _no_linear_edgeconv(self) -> NodeBottleneckModel:
        first, *others = self.encoder
        mirrored = self.decoder is None and not self.embedding and len(others) > 0
        pairs = self.layer == "edgeconv" and self.aggregation != "max"
        if mirrored and pairs and len(first) == 1:
            raise ValueError(
                "encoder: the mirror image of a first layer of one width is linear, and needs no"
                " pairs; give it two widths, or a decoder"
            )
        return self


class JetBottleneckModel(Autoencoder):
    """One latent for the item (a jet, or an event): layers, pooled over nodes, decoded to the
    leading constituents."""

    kind: Literal["jet-bottleneck"]
    layer: Layer | Literal["dense", "conv"] = "edgeconv"  # type: ignore[assignment]
    """dense: no graph; the features of the leading ``decode`` constituents, side by side; conv:
    convolutions along these, with features as channels."""
    kernel: Annotated[int, Field(ge=1)] = 3
    """Constituents that a convolution sees; odd."""
    pooling: Literal["mean", "sum", "max"] = "mean"
    """How nodes become one vector, after the last layer."""
    head: tuple[PositiveInt, ...] = (32,)
    """Widths of the MLP between pooled nodes and latent."""
    decoder: tuple[PositiveInt, ...] = (128, 128)
    """Widths of the MLP from latent to nodes."""
    decoder_layer: Literal["dense", "conv"] = "dense"
    """conv: ``decoder`` then says the MLP before the encoder's convolutions in reverse."""
    decode: PositiveInt | None = None
    """Nodes that are reconstructed, leading in pT; of an event's every jet as many as
    ``[graph] nodes`` where not given, which is all there are (30 where nodes = "all")."""
    flow: AnyFlow | None = None
    """Of a gaussian posterior."""
    fusion: Fusion | None = None
    """A transformer over the encoding and each jet's polynomials."""

    @model_validator(mode="after")
    def _fits_together(self) -> JetBottleneckModel:
        if self.flow is not None and self.posterior != "gaussian":
            raise ValueError(
                f"a flow starts from a gaussian posterior, not a {self.posterior} one"
            )
        if self.decoder_layer == "conv" and self.layer != "conv":
            raise ValueError("decoder_layer conv mirrors an encoder of layer conv")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel = {self.kernel} has no middle; take an odd one")
        if (
            self.flow is not None
            and self.flow.kind == "sylvester"
            and self.flow.basis == "orthogonal"
            and self.flow.rank > self.latent
        ):
            raise ValueError(
                f"flow: {self.flow.rank} orthonormal vectors don't fit a latent of {self.latent}"
            )
        return self


class MetaLayerModel(Section):
    """Message passing with edge, node and global models (arXiv:1806.01261); a latent a node, and
    a global vector that the decoder sees besides."""

    kind: Literal["meta-layer"]
    hidden: PositiveInt = 32
    """Width of the edge, node and global models' hidden layers."""
    latent: PositiveInt = 2
    """Numbers of each node's latent."""
    global_latent: PositiveInt = 32
    """Numbers of the item's global vector."""
    input_norm: Literal["none", "batch"] = "none"
    """batch: batch norm of the features before the first layer."""


def _with_preset(raw: Any) -> Any:
    if not isinstance(raw, dict):
        return raw
    if "preset" not in raw:
        return {"kind": "jet-bottleneck", **raw}
    raw = dict(raw)
    # Not kept: what it filled in is, and another preset later would have nothing to fill in.
    name = raw.pop("preset")
    if not isinstance(name, str) or name not in MODEL_PRESETS:
        near = difflib.get_close_matches(str(name), MODEL_PRESETS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"preset {name!r} is none of {', '.join(MODEL_PRESETS)}{hint}")
    preset = MODEL_PRESETS[name]
    if raw.get("kind", preset["kind"]) != preset["kind"]:
        raise ValueError(f"preset {name!r} is a {preset['kind']}, not a {raw['kind']}")
    # A key of a preset's flow, or fusion, can be said as one of the model itself can.
    inner = {
        key: {**preset[key], **raw[key]}
        for key in ("flow", "fusion")
        if isinstance(raw.get(key), dict)
        and isinstance(preset.get(key), dict)
        and raw[key].get("kind", preset[key].get("kind")) == preset[key].get("kind")
    }
    return {**preset, **raw, **inner}


Model = Annotated[
    Annotated[
        NodeBottleneckModel | JetBottleneckModel | MetaLayerModel, Field(discriminator="kind")
    ],
    BeforeValidator(_with_preset),
]
"""A new model: its section here, and a file of its kind's name in ``raybead/models``.

A section may say ``preset`` besides, one of :data:`MODEL_PRESETS`: it fills in whatever the
section doesn't say."""
