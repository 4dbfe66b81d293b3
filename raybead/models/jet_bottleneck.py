"""The jet bottleneck: a whole jet through a latent of a few numbers.

Axes: B jets, T nodes, H hidden, Z latent, D decoded nodes a jet, F features.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from raybead.config import JetBottleneckModel
from raybead.graphs import JetBatch
from raybead.models.batch_norm import TeamBatchNorm
from raybead.models.inputs import Inputs
from raybead.models.latent import build_posterior
from raybead.models.layers import Stack, mlp
from raybead.models.noise import keys_of_jets
from raybead.models.output import Output, at_least_single

Pooling = Literal["mean", "sum", "max"]


class JetBottleneck(nn.Module):
    """Layers over the jet's graph, pooled over nodes, a latent, a decoder of the leading D nodes.

    No batch norm unless it is asked for: what an anomaly's neighbours in a batch are must not
    change its score, and measured separation is better without.
    """

    def __init__(self, config: JetBottleneckModel, inputs: Inputs) -> None:
        super().__init__()
        self.features = features = inputs.features
        self.decode = inputs.slots if config.decode is None else config.decode
        self.pooling: Pooling = config.pooling
        self.dense = config.layer == "dense"
        self.norm = TeamBatchNorm(features) if config.input_norm == "batch" else nn.Identity()
        inside = (features, *config.embedding)[-1]
        self.embed: nn.Module = nn.Identity()
        if config.embedding:
            self.embed = mlp((features, *config.embedding), last_relu=True, norm=config.norm)
        if self.dense:
            widths = [width for layer in config.encoder for width in layer]
            self.encoder = mlp((self.decode * inside, *widths), last_relu=True, norm=config.norm)
        else:
            self.encoder = Stack(config, inside, config.encoder, last_relu=True)
        head = (config.encoder[-1][-1], *config.head)
        self.head = mlp(head, last_relu=True)
        self.posterior = build_posterior(config, head[-1])
        out = self.decode * features
        self.decoder = mlp((config.latent, *config.decoder, out), last_relu=False)

    def forward(self, batch: JetBatch) -> Output:
        x_TI = self.embed(self.norm(batch.x_TF))
        latent = self.posterior(self.head(self._encoded(x_TI, batch)), keys_of_jets(batch))
        decoded = self.decoder(latent.z_NZ).view(len(batch), self.decode, self.features)
        target_BDF, mask_BD = batch.dense(self.decode)
        kept = mask_BD.sum(dim=1)
        return Output(
            reconstruction_NF=decoded[mask_BD],
            target_NF=target_BDF[mask_BD],
            ptr=torch.cat([kept.new_zeros(1), kept.cumsum(0)]),
            latent=latent.z_NZ,
            mu=latent.mu_NZ,
            log_variance=latent.log_variance_NZ,
            concentration=latent.concentration_NZ,
            z0=latent.z0_NZ,
            log_det_B=latent.log_det_N,
        )

    def _encoded(self, x_TI: Tensor, batch: JetBatch) -> Tensor:
        """[B, H]"""
        if self.dense:
            slots_BDI, _ = replace(batch, x_TF=x_TI).dense(self.decode)
            return self.encoder(slots_BDI.flatten(1))
        return pooled(self.encoder(x_TI, batch.ptr), batch.ptr, self.pooling)


def pooled(nodes_TH: Tensor, ptr: Tensor, kind: Pooling) -> Tensor:
    """[B, H] over each jet's nodes, in a fixed order of summation; zeros for a jet of none."""
    nodes_TH = at_least_single(nodes_TH)
    if kind != "max":
        return torch.segment_reduce(nodes_TH, kind, offsets=ptr, axis=0, initial=0)
    largest_BH = torch.segment_reduce(nodes_TH, "max", offsets=ptr, axis=0)
    return torch.where(ptr.diff()[:, None] > 0, largest_BH, 0.0)


build = JetBottleneck
