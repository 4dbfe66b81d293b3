"""Latents and reconstructions of items as columns, an item of an event each.

Axes: B items, T nodes, N reconstructed nodes of all items together, F features, Z latent, E
events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from raybead.config import Stored
from raybead.graphs import Scaling
from raybead.models import Output
from raybead.scoring.places import Places


@dataclass
class Outputs:
    """A model's outputs, batch after batch."""

    latent: list[Tensor] = field(default_factory=list)
    reconstruction_NF: list[Tensor] = field(default_factory=list)
    target_NF: list[Tensor] = field(default_factory=list)
    latents_B: list[Tensor] = field(default_factory=list)
    """Of each item; nothing where it has one."""
    reconstructed_B: list[Tensor] = field(default_factory=list)
    """Nodes of the items that came out."""

    def add(self, output: Output) -> None:
        """Keep what the model made of a batch."""
        for kept, value in (
            (self.latent, output.latent),
            (self.reconstruction_NF, output.reconstruction_NF),
            (self.target_NF, output.target_NF),
        ):
            kept.append(value.float().cpu())
        if output.latent_ptr is not None:
            self.latents_B.append(output.latent_ptr.diff().cpu())
        self.reconstructed_B.append(output.ptr.diff().cpu())

    def columns(self, what: Stored, scaling: Scaling, places: Places) -> dict[str, pa.Array]:
        """Columns [E] of the items by rank; null where an event has none of it.

        Args:
            what: is wanted.
            scaling: of the features, to be undone where that can be.
            places: of the items in events.

        Returns:
            latent: ``latent_j1``, ...: Z numbers, or a list of them, one for every node.
            reconstruction: ``target_j1``, ``reconstruction_j1``, ...: a list of nodes.
            Without a rank where an event is an item.
        """
        match what:
            case "latent":
                return places.columns("latent", self._latents())
            case "reconstruction":
                sizes = torch.cat(self.reconstructed_B)
                return {
                    **places.columns("target", _nodes(self.target_NF, sizes, scaling)),
                    **places.columns(
                        "reconstruction", _nodes(self.reconstruction_NF, sizes, scaling)
                    ),
                }

    def _latents(self) -> pa.Array:
        latent = torch.cat(self.latent)
        rows = pa.FixedSizeListArray.from_arrays(pa.array(latent.numpy().ravel()), latent.shape[1])
        return _lists(rows, torch.cat(self.latents_B)) if self.latents_B else rows


def _nodes(parts: Sequence[Tensor], sizes: Tensor, scaling: Scaling) -> pa.Array:
    names: Sequence[str]
    x_NF = torch.cat(list(parts))
    if scaling.invertible:
        x_NF, names = scaling.invert(x_NF), scaling.columns
    else:
        names = [f"{name}_scaled" for name in scaling.scaled_columns]
    columns = [pa.array(np.ascontiguousarray(x_N)) for x_N in x_NF.numpy().T]
    return _lists(pa.StructArray.from_arrays(columns, list(names)), sizes)


def _lists(rows: pa.Array, sizes: Tensor) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(sizes.numpy())]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), rows)
