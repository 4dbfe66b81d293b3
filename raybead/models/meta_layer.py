r"""Message passing with edge, node and global models (arXiv:1806.01261).

.. math::
    e_{ij} = \phi_e(x_i, x_j, u), \quad
    x'_i = \phi_v(x_i, \tfrac{1}{n-1} \textstyle\sum_{j \ne i} e_{ij}, u), \quad
    u' = \phi_u(u, \tfrac{1}{n} \textstyle\sum_i x'_i)

Edges are means over neighbours as soon as they are made, so none is kept. The encoder begins
without u, and its u' is the one global vector that the decoder sees.

Axes: B jets, T nodes, F features, H hidden, Z latent, U global.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from raybead.config import MetaLayerModel
from raybead.graphs import JetBatch
from raybead.models.batch_norm import TeamBatchNorm
from raybead.models.edgeconv import all_pairs_edgeconv, pair_activations
from raybead.models.inputs import Inputs
from raybead.models.jet_bottleneck import pooled
from raybead.models.mlp import mlp
from raybead.models.output import Output
from raybead.models.revealing import Shown


class EdgeMean(nn.Module):
    """[T, H] means over neighbours of an MLP of (x_i, x_j, u), all pairs, without edges."""

    def __init__(self, features: int, context: int, hidden: int) -> None:
        super().__init__()
        self.features, self.context = features, context
        self.first = nn.Linear(2 * features + context, hidden)
        self.second = nn.Linear(hidden, hidden)

    def activations(self, x_TF: Tensor, u_TU: Tensor, ptr: Tensor) -> Iterator[Shown]:
        """What both layers' ReLUs give, as :func:`raybead.models.edgeconv.pair_activations`."""
        both_TI = torch.cat([x_TF, u_TU], dim=1)
        found = pair_activations(both_TI, ptr, self._weights(), self._biases(), last_relu=True)
        for name, x_MH in zip(("first", "second"), found, strict=True):
            yield Shown(name, True, "neighbourhoods", x_MH)

    def forward(self, x_TF: Tensor, u_TU: Tensor, ptr: Tensor) -> Tensor:
        both_TI = torch.cat([x_TF, u_TU], dim=1)
        return all_pairs_edgeconv(both_TI, ptr, self._weights(), self._biases(), last_relu=True)

    def _weights(self) -> list[Tensor]:
        # As an EdgeConv of (x_i, u): its second half acts on differences, and u's are 0.
        widths = [self.features, self.features, self.context]
        of_i, of_j, of_u = self.first.weight.split(widths, dim=1)
        as_edgeconv = torch.cat([of_i + of_j, of_u, of_j, torch.zeros_like(of_u)], dim=1)
        return [as_edgeconv, self.second.weight]

    def _biases(self) -> list[Tensor]:
        return [self.first.bias, self.second.bias]


class MetaLayerAutoencoder(nn.Module):
    """A latent for every node and a global vector for the jet."""

    def __init__(self, config: MetaLayerModel, inputs: Inputs) -> None:
        super().__init__()
        features = inputs.features
        hidden, latent, wide = config.hidden, config.latent, config.global_latent
        self.norm = TeamBatchNorm(features) if config.input_norm == "batch" else nn.Identity()
        self.edges_in = EdgeMean(features, 0, hidden)
        self.nodes_in = mlp((features + hidden, hidden, latent), last_relu=False)
        self.global_in = mlp((latent, hidden, wide), last_relu=True)
        self.edges_out = EdgeMean(latent, wide, hidden)
        self.nodes_out = mlp((latent + hidden + wide, hidden, features), last_relu=False)

    def forward(self, batch: JetBatch) -> Output:
        x_TF = self.norm(batch.x_TF)
        nothing = x_TF[:, :0]
        messages_TH = self.edges_in(x_TF, nothing, batch.ptr)
        z_TZ = self.nodes_in(torch.cat([x_TF, messages_TH], dim=1))
        u_BU = self.global_in(pooled(z_TZ, batch.ptr, "mean"))
        u_TU = u_BU.repeat_interleave(batch.sizes_B, dim=0, output_size=len(x_TF))
        messages_TH = self.edges_out(z_TZ, u_TU, batch.ptr)
        return Output(
            reconstruction_NF=self.nodes_out(torch.cat([z_TZ, messages_TH, u_TU], dim=1)),
            target_NF=batch.x_TF,
            ptr=batch.ptr,
            latent=z_TZ,
            latent_ptr=batch.ptr,
        )


build = MetaLayerAutoencoder
