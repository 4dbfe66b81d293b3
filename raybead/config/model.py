"""``[model]``: who reconstructs a jet. Few configurable classes, and presets of them by name."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from raybead.config.section import Section

Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
Layer = Literal["edgeconv", "dynamic", "gatv2", "transformer", "node"]


class Autoencoder(Section):
    """What autoencoders of graphs share: layers that look at nodes and their neighbours."""

    layer: Layer = "edgeconv"
    """edgeconv: over all pairs of a jet, without edges in memory; dynamic: EdgeConv over the
    ``neighbours`` nearest nodes in the layer's own features; gatv2, transformer: attention over
    all pairs; node: no neighbours at all."""
    encoder: Annotated[tuple[Widths, ...], Field(min_length=1)] = ((32, 32),)
    """Widths of each layer's MLP, layer after layer."""
    aggregation: Literal["mean", "sum", "max"] = "mean"
    """Over a node's neighbours, by edgeconv and dynamic."""
    neighbours: PositiveInt = 3
    """Of dynamic; a node counts as its own nearest."""
    heads: PositiveInt = 2
    """Of attention; their mean is taken."""
    norm: Literal["none", "batch"] = "none"
    """batch: batch norm after every ReLU of the layers."""
    input_norm: Literal["none", "batch"] = "none"
    embedding: tuple[PositiveInt, ...] = ()
    """Widths of an MLP of each node before the first layer."""
    latent: PositiveInt = 2
    variational: bool = False
    """A Gaussian posterior in place of the latent; ``[loss]`` then holds a ``kl`` term."""


class NodeBottleneckModel(Autoencoder):
    """A latent for every node: what the published study's models have in common."""

    kind: Literal["node-bottleneck"]
    decoder: Annotated[tuple[Widths, ...], Field(min_length=1)] | None = None
    """Widths of the decoder's layers, less the last one's output; the encoder's mirror image if
    not given. The encoder's last layer ends in the latent, of a ``variational`` one in two linear
    heads."""
    latent_relu: bool = True
    """Whether a ReLU follows the latent, too; not of a ``variational`` one."""

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
    """One latent for the jet: layers, pooled over nodes, decoded to the leading constituents."""

    kind: Literal["jet-bottleneck"]
    layer: Layer | Literal["dense"] = "edgeconv"  # type: ignore[assignment]
    """dense: no graph; the features of the leading ``decode`` constituents, side by side."""
    pooling: Literal["mean", "sum", "max"] = "mean"
    head: tuple[PositiveInt, ...] = (32,)
    """Widths of the MLP between pooled nodes and latent."""
    decoder: tuple[PositiveInt, ...] = (128, 128)
    decode: PositiveInt = 30
    """Constituents that are reconstructed, leading in pT."""


class MetaLayerModel(Section):
    """Message passing with edge, node and global models (arXiv:1806.01261); a latent a node, and
    a global vector that the decoder sees besides."""

    kind: Literal["meta-layer"]
    hidden: PositiveInt = 32
    latent: PositiveInt = 2
    global_latent: PositiveInt = 32
    input_norm: Literal["none", "batch"] = "none"


_STUDY = {"kind": "node-bottleneck", "input_norm": "batch"}
_DEEPER = {**_STUDY, "norm": "batch"}
MODEL_PRESETS: dict[str, dict[str, Any]] = {
    "ae": {**_STUDY, "layer": "node"},
    "edgenet": _STUDY,
    "edgenet-vae": {**_STUDY, "variational": True},
    "edgenet-deeper": {**_DEEPER, "encoder": ((32, 32, 32), (32, 32))},
    "edgenet-deeper2": {**_DEEPER, "encoder": ((64, 64, 64), (32, 32))},
    "edgenet-deeper3": {**_DEEPER, "encoder": ((32, 32, 32), (32, 32, 32), (32, 32))},
    "edgenet-deeper4": {
        **_DEEPER,
        "encoder": ((32, 32, 32), (16, 16)),
        "decoder": ((32, 32),),
    },
    "edgenet-deeper5": {**_DEEPER, "encoder": ((32, 32, 32),)},
    "edgenet-embed": {**_STUDY, "embedding": (32, 32, 32)},
    "edgenet-dynamic": {**_STUDY, "layer": "dynamic", "neighbours": 3},
    "edgenet-emd": _STUDY,
    "meta-layer": {"kind": "meta-layer", "input_norm": "batch"},
    "jet-bottleneck": {"kind": "jet-bottleneck"},
    "jet-bottleneck-vae": {"kind": "jet-bottleneck", "variational": True},
    "jet-dense": {
        "kind": "jet-bottleneck",
        "layer": "dense",
        "encoder": ((256, 128),),
        "head": (),
        "latent": 4,
    },
    "jet-gatv2": {"kind": "jet-bottleneck", "layer": "gatv2", "encoder": ((32,), (32,))},
    "jet-transformer": {
        "kind": "jet-bottleneck",
        "layer": "transformer",
        "encoder": ((32,), (32,)),
    },
}
"""The published study's models under its names, then those that have a latent for the jet.

``edgenet-emd`` is the study's EdgeNet for the learned EMD: ``[loss] kind = "emd-network"``."""


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
    return {**preset, **raw}


Model = Annotated[
    Annotated[
        NodeBottleneckModel | JetBottleneckModel | MetaLayerModel, Field(discriminator="kind")
    ],
    BeforeValidator(_with_preset),
]
"""A new model: its section here, and a file of its kind's name in ``raybead/models``.

A section may say ``preset`` besides, one of :data:`MODEL_PRESETS`: it fills in whatever the
section doesn't say."""
