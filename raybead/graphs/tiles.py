"""All pairs of ragged jets, cut into tiles of bounded size.

Jets of one size lie side by side in a tile, so a tile is a dense block without padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor


class Tile(NamedTuple):
    """G jets of n nodes each, and the rows (centres) of their pairs that this tile covers."""

    nodes_Gn: Tensor
    """[G, n] indices into the packed nodes"""
    rows: slice
    """Centres of this tile among the n; all but for jets too large for one tile."""


def tiles(ptr: Tensor, max_pairs: int) -> Iterator[Tile]:
    """Cover all pairs (i, j) within each jet once, at most ``max_pairs`` pairs a tile.

    A tile holds one centre's pairs at least, so a jet of more than ``max_pairs`` nodes goes
    beyond: memory stays linear in a jet's nodes.

    Args:
        ptr: [B + 1] offsets of the jets.
        max_pairs: bound on a tile's pairs.
    """
    sizes = ptr.diff()
    order = torch.argsort(sizes, stable=True)
    unique, counts = torch.unique_consecutive(sizes[order].cpu(), return_counts=True)
    first = 0
    for n, count in zip(unique.tolist(), counts.tolist(), strict=True):
        jets = order[first : first + count]
        first += count
        if n == 0:
            continue
        within = torch.arange(n, device=ptr.device)
        per_tile = max(1, max_pairs // (n * n))
        step = n if n * n <= max_pairs else max(1, max_pairs // n)
        for group in jets.split(per_tile):
            nodes = ptr[group, None] + within
            for start in range(0, n, step):
                yield Tile(nodes, slice(start, min(start + step, n)))
