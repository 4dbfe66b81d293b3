"""Latents and reconstructions of jets as columns, a jet of an event each.

Axes: B jets, T nodes, N reconstructed nodes of all jets together, F features, Z latent, E events,
J jets of an event.
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


@dataclass
class Outputs:
    """A model's outputs, batch after batch."""

    latent: list[Tensor] = field(default_factory=list)
    reconstruction_NF: list[Tensor] = field(default_factory=list)
    target_NF: list[Tensor] = field(default_factory=list)
    latents_B: list[Tensor] = field(default_factory=list)
    """Of each jet; nothing where it has one."""
    reconstructed_B: list[Tensor] = field(default_factory=list)
    """Nodes of the jets that came out."""

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

    def columns(self, what: Stored, scaling: Scaling, n_jets: int) -> dict[str, pa.Array]:
        """Columns [E] of the jets by rank.

        Args:
            what: is wanted.
            scaling: of the features, to be undone where that can be.
            n_jets: J.

        Returns:
            latent: ``latent_j1``, ...: Z numbers, or a list of them, one for every node.
            reconstruction: ``target_j1``, ``reconstruction_j1``, ...: a list of nodes.
        """
        match what:
            case "latent":
                return _by_rank({"latent": self._latents()}, n_jets)
            case "reconstruction":
                sizes = torch.cat(self.reconstructed_B)
                columns = {"target": self.target_NF, "reconstruction": self.reconstruction_NF}
                return _by_rank(
                    {name: _nodes(torch.cat(x), sizes, scaling) for name, x in columns.items()},
                    n_jets,
                )

    def _latents(self) -> pa.Array:
        latent = torch.cat(self.latent)
        rows = pa.FixedSizeListArray.from_arrays(pa.array(latent.numpy().ravel()), latent.shape[1])
        return _lists(rows, torch.cat(self.latents_B)) if self.latents_B else rows


def _nodes(x_NF: Tensor, sizes: Tensor, scaling: Scaling) -> pa.Array:
    names: Sequence[str]
    if scaling.invertible:
        x_NF, names = scaling.invert(x_NF), scaling.columns
    else:
        names = [f"{name}_scaled" for name in scaling.scaled_columns]
    columns = [pa.array(np.ascontiguousarray(x_N)) for x_N in x_NF.numpy().T]
    return _lists(pa.StructArray.from_arrays(columns, list(names)), sizes)


def _lists(rows: pa.Array, sizes: Tensor) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(sizes.numpy())]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), rows)


def _by_rank(columns: dict[str, pa.Array], n_jets: int) -> dict[str, pa.Array]:
    return {
        f"{name}_j{rank + 1}": jets.take(pa.array(np.arange(rank, len(jets), n_jets)))
        for rank in range(n_jets)
        for name, jets in columns.items()
    }
