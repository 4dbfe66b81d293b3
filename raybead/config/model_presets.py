"""Models by name: sections of ``[model]`` that a job file takes up with ``preset``."""

from __future__ import annotations

from typing import Any

_STUDY = {"kind": "node-bottleneck", "input_norm": "batch"}
_DEEPER = {**_STUDY, "norm": "batch"}
_DENSE = {
    "kind": "jet-bottleneck",
    "layer": "dense",
    "encoder": ((200, 100, 50),),
    "head": (),
    "decoder": (50, 100, 200),
    "latent": 15,
}
_CONV = {
    "kind": "jet-bottleneck",
    "layer": "conv",
    "encoder": ((32, 16, 8),),
    "head": (100,),
    "decoder": (100,),
    "decoder_layer": "conv",
    "latent": 15,
}
_CONV_VAE = {**_CONV, "posterior": "gaussian"}


def _sylvester(basis: str, rank: int) -> dict[str, Any]:
    return {"kind": "sylvester", "basis": basis, "rank": rank}


MODEL_PRESETS: dict[str, dict[str, Any]] = {
    "ae": {**_STUDY, "layer": "node"},
    "edgenet": _STUDY,
    "edgenet-vae": {**_STUDY, "posterior": "gaussian"},
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
    "jet-bottleneck-vae": {"kind": "jet-bottleneck", "posterior": "gaussian"},
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
    "dense-ae": _DENSE,
    "dense-ae-norm": {**_DENSE, "norm": "batch", "dropout": 0.3},
    "conv-ae": _CONV,
    "conv-vae": _CONV_VAE,
    "conv-dirichlet-vae": {**_CONV, "posterior": "dirichlet"},
    "conv-planar-vae": {**_CONV_VAE, "flow": {"kind": "planar"}},
    "conv-orthogonal-vae": {**_CONV_VAE, "flow": _sylvester("orthogonal", 5)},
    "conv-householder-vae": {**_CONV_VAE, "flow": _sylvester("householder", 8)},
    "conv-triangular-vae": {**_CONV_VAE, "flow": _sylvester("triangular", 1)},
    "conv-iaf-vae": {**_CONV_VAE, "flow": {"kind": "inverse-autoregressive"}},
    "conv-convflow-vae": {**_CONV_VAE, "flow": {"kind": "convolutional"}},
    "conv-spline-vae": {**_CONV_VAE, "flow": {"kind": "spline"}},
    "transformer-ae": {
        "kind": "jet-bottleneck",
        "layer": "transformer-block",
        "embedding": (64,),
        "encoder": ((128, 64), (128, 64)),
        "heads": 4,
        "latent": 15,
    },
    "efp-transformer": {**_CONV_VAE, "fusion": {"tokens": ("encoder", "efps")}},
}
"""The published study's models under its names, then those that have a latent for the jet,
then those of background enrichment: convolutional, with flows in the latent, transformers.

``edgenet-emd`` is the study's EdgeNet for the learned EMD: ``[loss] kind = "emd-network"``."""
