"""The jet bottleneck: a whole jet through a latent of a few numbers.

Axes: B jets, T nodes, H hidden, Z latent, D decoded nodes a jet, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raybead.config import JetBottleneckModel
from raybead.graphs import JetBatch
from raybead.models.edgeconv import AllPairsEdgeConv
from raybead.models.output import Output


class JetBottleneck(nn.Module):
    """EdgeConv encoder, mean over nodes, latent Z, and a decoder of the leading D nodes.

    No batch norm: what an anomaly's neighbours in a batch are must not change its score, and
    measured separation is better without.
    """

    def __init__(self, config: JetBottleneckModel, features: int) -> None:
        super().__init__()
        hidden, wide = config.hidden, config.decoder_hidden
        self.decode = config.decode
        self.features = features
        self.edges = AllPairsEdgeConv(features, (hidden, hidden), last_relu=True)
        self.to_latent = nn.Sequential(
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, config.latent)
        )
        self.decoder = nn.Sequential(
            nn.Linear(config.latent, wide),
            nn.ReLU(),
            nn.Linear(wide, wide),
            nn.ReLU(),
            nn.Linear(wide, config.decode * features),
        )

    def forward(self, batch: JetBatch) -> Output:
        nodes_TH = self.edges(batch.x_TF, batch.ptr)
        latent_BZ = self.to_latent(mean_over_nodes(nodes_TH, batch.ptr))
        decoded = self.decoder(latent_BZ).view(len(batch), self.decode, self.features)
        target_BDF, mask_BD = batch.dense(self.decode)
        kept = mask_BD.sum(dim=1)
        return Output(
            reconstruction_NF=decoded[mask_BD],
            target_NF=target_BDF[mask_BD],
            ptr=torch.cat([kept.new_zeros(1), kept.cumsum(0)]),
            latent=latent_BZ,
        )


def mean_over_nodes(nodes_TH: Tensor, ptr: Tensor) -> Tensor:
    """[B, H] mean of each jet's nodes, in a fixed order of summation."""
    return torch.segment_reduce(nodes_TH.float(), "mean", offsets=ptr, axis=0)
