"""A transformer's block over ragged jets (arXiv:1706.03762), layer norms first (arXiv:2002.04745).

Axes: T nodes, W model width, G jets of a bucket, N nodes of its largest jet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from raybead.models.mlp import Dropout, mlp

STEP = 8
"""Jets in a bucket differ in size by less."""
PAIRS = 1 << 20
"""Pairs of a bucket at a time, or one jet's where that is more."""


class TransformerBlock(nn.Module):
    """Attention over all pairs of a jet's nodes, then a feed-forward network, with residuals.

    The same as torch's ``TransformerEncoderLayer`` with ``norm_first``, where heads divide the
    width; else each head has as many numbers as it takes for all of them to be no fewer.
    """

    def __init__(
        self, width: int, hidden: Sequence[int], heads: int, dropout: float = 0.0
    ) -> None:
        """Build the block.

        Args:
            width: W.
            hidden: widths of the feed-forward network between.
            heads: of the attention.
            dropout: share that drops out of what attention and feed-forward give, and within.
        """
        super().__init__()
        self.heads = heads
        inner = -(-width // heads) * heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * inner)
        self.attention_out = nn.Linear(inner, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed_forward = mlp((width, *hidden, width), last_relu=False, dropout=dropout)
        self.dropout = Dropout(dropout)

    def forward(self, x_TW: Tensor, ptr: Tensor, keys_T: Tensor | None = None) -> Tensor:
        """[T, W]"""
        seen_TW = self.attention_out(self._attention(self.attention_norm(x_TW), ptr))
        x_TW = x_TW + self.dropout(seen_TW, keys_T)
        fed_TW = self.feed_forward(self.feed_norm(x_TW), keys_T)
        return x_TW + self.dropout(fed_TW, keys_T)

    def _attention(self, x_TW: Tensor, ptr: Tensor) -> Tensor:
        """[T, inner] what the heads see, side by side."""
        of_nodes = self.query_key_value(x_TW)
        found, where = [of_nodes[:0, : of_nodes.shape[1] // 3]], [ptr[:0]]
        for nodes_GN, real_GN in buckets(ptr):
            padded = of_nodes.index_select(0, nodes_GN.flatten())
            padded = padded.view(*nodes_GN.shape, 3, self.heads, -1)
            query, key, value = padded.permute(2, 0, 3, 1, 4)
            mask = None if bool(real_GN.all()) else real_GN[:, None, None]
            seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            real = real_GN.flatten().nonzero().squeeze(1)
            found.append(seen.transpose(1, 2).flatten(2).flatten(0, 1).index_select(0, real))
            where.append(nodes_GN.flatten().index_select(0, real))
        rows = torch.cat(found)
        return torch.empty_like(rows).index_copy(0, torch.cat(where), rows)


def buckets(ptr: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Jets of about one size side by side.

    Args:
        ptr: [B + 1] offsets of the jets.

    Yields:
        [G, N] indices of nodes, padded with the jet's own first, so that nothing of another
        jet's can come in; and [G, N] which are no padding. Every node is there once.
    """
    sizes_B = ptr.diff()
    steps_B = (sizes_B + STEP - 1).div(STEP, rounding_mode="floor")
    for step in torch.unique(steps_B).tolist():
        jets = (steps_B == step).nonzero().squeeze(1)
        width = int(sizes_B[jets].max())
        if width == 0:
            continue
        within = torch.arange(width, device=ptr.device)
        for group in jets.split(max(1, PAIRS // width**2)):
            real_GN = within < sizes_B[group, None]
            yield ptr[group, None] + within * real_GN, real_GN
