"""Fusion: what an encoder made of an item, and its jets' polynomials, through a transformer.

Axes: B items, J jets each, E polynomials a jet, S tokens an item, T tokens of all, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raybead import config as sections
from raybead.errors import InputError, JobError
from raybead.graphs import JetBatch
from raybead.models.inputs import Inputs
from raybead.models.mlp import Dropout
from raybead.models.noise import keys_of_jets, keys_of_parts
from raybead.models.transformer import TransformerBlock

SPREAD = 0.02
"""Standard deviation that learned tokens begin with."""


class EfpEmbedding(nn.Module):
    """A token of each jet: a linear map of its polynomials, times a learned gate.

    What the gate lets pass less than a threshold of doesn't pass at all, so that polynomials can
    be switched off.
    """

    def __init__(self, config: sections.Fusion, efps: int) -> None:
        super().__init__()
        self.linear = nn.Linear(efps, config.width)
        self.gate = nn.Linear(efps, config.width) if config.gate != "none" else None
        self.opening = config.gate
        self.threshold = config.gate_threshold
        self.norm = nn.LayerNorm(config.width) if config.layer_norm else nn.Identity()
        self.dropout = Dropout(config.dropout)

    def forward(self, efps_TE: Tensor, keys_T: Tensor | None = None) -> Tensor:
        """[T, W] of jets that are there."""
        efps_TE = efps_TE.to(self.linear.weight.dtype)
        x_TW = self.linear(efps_TE)
        if self.gate is not None:
            x_TW = x_TW * self._opened(self.gate(efps_TE))
        return self.dropout(self.norm(x_TW), keys_T)

    def _opened(self, x_TW: Tensor) -> Tensor:
        match self.opening:
            case "relu6":
                open_TW = nn.functional.relu6(x_TW)
            case "tanh":
                open_TW = x_TW.tanh()
            case _:
                open_TW = x_TW.sigmoid()
        return torch.where(open_TW < self.threshold, 0.0, open_TW)


class Fusion(nn.Module):
    """Tokens of an item, and a class token that looks at them all and becomes its encoding."""

    def __init__(self, config: sections.Fusion, inside: int, inputs: Inputs) -> None:
        """Build it.

        Args:
            config: the section.
            inside: numbers that the encoder gives.
            inputs: whose jets and polynomials.

        Raises:
            JobError: it wants polynomials, and there are none.
        """
        super().__init__()
        if "efps" in config.tokens and inputs.efps == 0:
            raise JobError("model.fusion takes energy flow polynomials; say [graph.efps]")
        self.encoded = self.efps = None
        if "encoder" in config.tokens:
            self.encoded = nn.Linear(inside, config.width)
            self.encoder_type = _learned(config.width)
        if "efps" in config.tokens:
            self.efps = EfpEmbedding(config, inputs.efps)
            self.efp_type = _learned(config.width)
            self.rank = _learned(inputs.jets, config.width)
        self.class_token = _learned(config.width)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.width, (config.feed_forward,), config.heads, config.dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.drops = config.dropout > 0

    def forward(self, encoded_BH: Tensor | None, batch: JetBatch) -> Tensor:
        """[B, W]

        Args:
            encoded_BH: the encoder's; None where it is left out.
            batch: whose jets' polynomials are taken.

        Raises:
            InputError: an item has none, or one that isn't finite.
        """
        keys_B = keys_of_jets(batch) if self.drops and self.training else None
        n = len(batch)
        tokens = [self.class_token.expand(n, 1, -1)]
        there = [torch.ones(n, 1, dtype=torch.bool, device=batch.device)]
        if self.encoded is not None:
            assert encoded_BH is not None
            tokens.append((self.encoded(encoded_BH) + self.encoder_type)[:, None])
            there.append(there[0])
        if self.efps is not None:
            has_BJ = batch.has_jet_BJ
            tokens.append(self._tokens_of_jets(batch, keys_B))
            assert has_BJ is not None
            there.append(has_BJ)
        # Packed, tokens of jets that aren't there aren't there either: no mask can be forgotten.
        there_BS = torch.cat(there, dim=1)
        ptr = torch.cat([batch.ptr.new_zeros(1), there_BS.sum(dim=1).cumsum(0)])
        x_TW = torch.cat(tokens, dim=1)[there_BS]
        keys_T = None if keys_B is None else keys_of_parts(keys_B, ptr)
        for block in self.blocks:
            x_TW = block(x_TW, ptr, keys_T)
        return self.norm(x_TW[ptr[:-1]])

    def _tokens_of_jets(self, batch: JetBatch, keys_B: Tensor | None) -> Tensor:
        """[B, J, W] zero for jets that aren't there."""
        efps_BJE, has_BJ = batch.efps_BJE, batch.has_jet_BJ
        if efps_BJE is None or has_BJ is None:
            raise InputError("the model takes energy flow polynomials, and the items have none")
        if not bool(efps_BJE[has_BJ].isfinite().all()):
            worst_B = (~efps_BJE.isfinite()).any(dim=2).logical_and(has_BJ).any(dim=1)
            event = int(batch.event_B[worst_B.nonzero()[0, 0]])
            raise InputError(f"event {event}: an energy flow polynomial isn't finite")
        assert self.efps is not None
        ptr = torch.cat([batch.ptr.new_zeros(1), has_BJ.sum(dim=1).cumsum(0)])
        keys_T = None if keys_B is None else keys_of_parts(keys_B, ptr)
        x_TW = self.efps(efps_BJE[has_BJ], keys_T) + self.efp_type
        x_TW = x_TW + self.rank.expand(len(has_BJ), -1, -1)[has_BJ]
        whole = x_TW.new_zeros(has_BJ.numel(), x_TW.shape[1])
        place_T = has_BJ.flatten().nonzero().squeeze(1)
        return whole.index_copy(0, place_T, x_TW).view(*has_BJ.shape, x_TW.shape[1])


def _learned(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape) * SPREAD)
