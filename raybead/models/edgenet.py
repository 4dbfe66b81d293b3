"""EdgeNet: an EdgeConv autoencoder with a latent for every node.

The published LHC Olympics study's default. A node's latent of 2 for 3 features squeezes little;
for a bottleneck that does, see :mod:`raybead.models.jet_bottleneck`.
"""

from __future__ import annotations

from torch import nn

from raybead.config import EdgeNetModel
from raybead.graphs import JetBatch
from raybead.models.edgeconv import AllPairsEdgeConv
from raybead.models.input_norm import InputNorm
from raybead.models.output import Output


class EdgeNet(nn.Module):
    """EdgeConv 2F-H-H-Z with ReLU after each layer, then EdgeConv 2Z-H-H-F."""

    def __init__(self, config: EdgeNetModel, features: int) -> None:
        super().__init__()
        hidden, latent = config.hidden, config.latent
        self.norm = InputNorm(features) if config.input_norm == "batch" else nn.Identity()
        self.encoder = AllPairsEdgeConv(features, (hidden, hidden, latent), last_relu=True)
        self.decoder = AllPairsEdgeConv(latent, (hidden, hidden, features), last_relu=False)

    def forward(self, batch: JetBatch) -> Output:
        latent_TZ = self.encoder(self.norm(batch.x_TF), batch.ptr)
        return Output(
            reconstruction_NF=self.decoder(latent_TZ, batch.ptr),
            target_NF=batch.x_TF,
            ptr=batch.ptr,
            latent=latent_TZ,
        )
