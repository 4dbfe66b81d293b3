"""Autoencoders with a latent for every node: the published LHC Olympics study's.

A node's latent of 2 for 3 features squeezes little; for a bottleneck that does, see
:mod:`raybead.models.jet_bottleneck`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from raybead.config import NodeBottleneckModel
from raybead.graphs import JetBatch
from raybead.models.batch_norm import TeamBatchNorm
from raybead.models.inputs import Inputs
from raybead.models.latent import Latent, build_posterior
from raybead.models.layers import Stack
from raybead.models.mlp import mlp
from raybead.models.noise import keys_of_nodes
from raybead.models.output import Output


class NodeBottleneck(nn.Module):
    """Layers down to a latent a node, and others back up to its features."""

    def __init__(self, config: NodeBottleneckModel, inputs: Inputs) -> None:
        super().__init__()
        features = inputs.features
        self.norm = TeamBatchNorm(features) if config.input_norm == "batch" else nn.Identity()
        inside = (features, *config.embedding)[-1]
        *before, last = config.encoder
        if config.posterior != "point":
            self.encoder = Stack(config, inside, config.encoder, last_relu=True)
            self.posterior = build_posterior(config, last[-1])
        else:
            to_latent = (*before, (*last, config.latent))
            self.encoder = Stack(
                config, inside, to_latent, last_relu=config.latent_relu, last_dropout=False
            )
            self.posterior = None
        *first, end = config.decoder or mirrored(inside, config.encoder)
        embedded = bool(config.embedding)
        to_inside = (*first, (*end, inside))
        self.decoder = Stack(
            config, config.latent, to_inside, last_relu=embedded, last_dropout=embedded
        )
        self.embed, self.unembed = mlp((), last_relu=False), mlp((), last_relu=False)
        if embedded:
            there, back = (features, *config.embedding), (*config.embedding[::-1], features)
            shared = {"norm": config.norm, "dropout": config.dropout}
            self.embed = mlp(there, last_relu=True, **shared)
            self.unembed = mlp(back, last_relu=False, **shared)
        self.drops = config.dropout > 0

    def forward(self, batch: JetBatch) -> Output:
        keys_T = keys_of_nodes(batch) if self.drops and self.training else None
        embedded_TI = self.embed(self.norm(batch.x_TF), keys_T)
        nodes_TI = self.encoder(embedded_TI, batch.ptr, keys_T)
        latent = Latent(nodes_TI)
        if self.posterior is not None:
            latent = self.posterior(nodes_TI, keys_of_nodes(batch))
        decoded_TI = self.decoder(latent.z_NZ, batch.ptr, keys_T)
        return Output(
            reconstruction_NF=self.unembed(decoded_TI, keys_T),
            target_NF=batch.x_TF,
            ptr=batch.ptr,
            latent=latent.z_NZ,
            latent_ptr=batch.ptr,
            mu=latent.mu_NZ,
            log_variance=latent.log_variance_NZ,
            concentration=latent.concentration_NZ,
        )


def mirrored(inside: int, encoder: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Widths of the layers that lead back through an encoder's, less the last one's output.

    Args:
        inside: features that the encoder begins with.
        encoder: widths of its layers, less the latent that the last one ends in.
    """
    *before, last = encoder
    between = [*(widths[:-1] for widths in before), last]
    into = [inside, *(widths[-1] for widths in before)]
    *first, (_, end) = [
        (start, hidden[::-1]) for start, hidden in zip(into, between, strict=True)
    ][::-1]
    return (*((*hidden, start) for start, hidden in first), tuple(end))


build = NodeBottleneck
