"""The jet bottleneck: a whole item, a jet or an event, through a latent of a few numbers.

Axes: B items, T nodes, I and H numbers each, Z latent, D decoded nodes an item, F features.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from raybead.config import JetBottleneckModel
from raybead.graphs import JetBatch
from raybead.models.batch_norm import TeamBatchNorm
from raybead.models.conv import ConvDecoder, ConvStack
from raybead.models.fusion import Fusion
from raybead.models.inputs import Inputs
from raybead.models.latent import build_posterior
from raybead.models.layers import Stack
from raybead.models.mlp import Mlp, mlp
from raybead.models.noise import keys_of_jets, keys_of_parts
from raybead.models.output import Output, at_least_single
from raybead.models.slots import Slots

Pooling = Literal["mean", "sum", "max"]


class JetBottleneck(nn.Module):
    """An encoder of the item's nodes, a latent, a decoder of the leading D nodes.

    The encoder is layers over the item's graph, pooled over nodes; or an MLP or convolutions of
    the D nodes side by side. A fusion may come between it and the latent.

    No batch norm unless it is asked for: what an anomaly's neighbours in a batch are must not
    change its score, and measured separation is better without.
    """

    def __init__(self, config: JetBottleneckModel, inputs: Inputs) -> None:
        super().__init__()
        self.features = inputs.features
        self.decode = inputs.slots if config.decode is None else config.decode
        self.pooling: Pooling = config.pooling
        self.drops = config.dropout > 0
        inside = 0
        self.encoder: nn.Module | None = None
        if config.fusion is None or "encoder" in config.fusion.tokens:
            inside = self._build_encoder(config)
        self.fusion: Fusion | None = None
        if config.fusion is not None:
            self.fusion = Fusion(config.fusion, inside, inputs)
            inside = config.fusion.width
        shared = {"norm": config.norm, "dropout": config.dropout}
        self.head = mlp((inside, *config.head), last_relu=True, **shared)
        self.posterior = build_posterior(config, (inside, *config.head)[-1])
        widths = (config.latent, *config.decoder)
        self.decoder: nn.Module
        if config.decoder_layer == "conv":
            convs = [width for layer in config.encoder for width in layer]
            channels = (*convs[::-1], self.features)
            self.decoder = ConvDecoder(widths, channels, self.decode, config.kernel, **shared)
        else:
            out = self.decode * self.features
            self.decoder = mlp((*widths, out), last_relu=False, **shared)

    def _build_encoder(self, config: JetBottleneckModel) -> int:
        """What leads from nodes to numbers of the item, and how many these are."""
        self.norm = TeamBatchNorm(self.features) if config.input_norm == "batch" else nn.Identity()
        shared = {"norm": config.norm, "dropout": config.dropout}
        nodes = (self.features, *config.embedding)
        self.embed = mlp(nodes, last_relu=True, **shared)
        widths = [width for layer in config.encoder for width in layer]
        match config.layer:
            case "dense":
                whole = (self.decode * nodes[-1], *widths)
                self.encoder = mlp(whole, last_relu=True, **shared)
                return widths[-1]
            case "conv":
                channels = (nodes[-1], *widths)
                self.encoder = ConvStack(
                    channels, config.kernel, masked=True, last_relu=True, **shared
                )
                return self.decode * widths[-1]
            case _:
                self.encoder = Stack(config, nodes[-1], config.encoder, last_relu=True)
                # Sums of residuals grow from block to block (arXiv:2002.04745).
                blocks = config.layer == "transformer-block"
                self.last_norm = nn.LayerNorm(widths[-1]) if blocks else nn.Identity()
                return widths[-1]

    def forward(self, batch: JetBatch) -> Output:
        slots = Slots.of(batch, self.decode)
        keys_B = keys_of_jets(batch)
        encoded_BH = None if self.encoder is None else self._encoded(batch, slots, keys_B)
        if self.fusion is not None:
            encoded_BH = self.fusion(encoded_BH, batch)
        latent = self.posterior(self.head(encoded_BH, keys_B), keys_B)
        if isinstance(self.decoder, ConvDecoder):
            decoded_BDF = self.decoder(latent.z_NZ, slots, keys_B)
        else:
            flat = self.decoder(latent.z_NZ, keys_B)
            decoded_BDF = flat.view(len(batch), self.decode, self.features)
        return Output(
            reconstruction_NF=slots.packed(decoded_BDF),
            target_NF=slots.kept(batch.x_TF),
            ptr=slots.ptr,
            latent=latent.z_NZ,
            mu=latent.mu_NZ,
            log_variance=latent.log_variance_NZ,
            concentration=latent.concentration_NZ,
            z0=latent.z0_NZ,
            log_det_B=latent.log_det_N,
        )

    def _encoded(self, batch: JetBatch, slots: Slots, keys_B: Tensor) -> Tensor:
        """[B, H]"""
        keys_T = keys_of_parts(keys_B, batch.ptr) if self.drops and self.training else None
        x_TI = self.embed(self.norm(batch.x_TF), keys_T)
        match self.encoder:
            case Mlp():
                return self.encoder(slots.spread(x_TI).flatten(1), keys_B)
            case ConvStack():
                return self.encoder(slots.spread(x_TI), slots, keys_B).flatten(1)
            case Stack():
                x_TH = self.last_norm(self.encoder(x_TI, batch.ptr, keys_T))
                return pooled(x_TH, batch.ptr, self.pooling)
            case _:
                raise TypeError(f"no encoder: {self.encoder}")


def pooled(nodes_TH: Tensor, ptr: Tensor, kind: Pooling) -> Tensor:
    """[B, H] over each jet's nodes, in a fixed order of summation; zeros for a jet of none."""
    nodes_TH = at_least_single(nodes_TH)
    if kind != "max":
        return torch.segment_reduce(nodes_TH, kind, offsets=ptr, axis=0, initial=0)
    largest_BH = torch.segment_reduce(nodes_TH, "max", offsets=ptr, axis=0)
    return torch.where(ptr.diff()[:, None] > 0, largest_BH, 0.0)


build = JetBottleneck
