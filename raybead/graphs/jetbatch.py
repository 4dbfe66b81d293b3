"""JetBatch: ragged jets, packed node after node. Complete graphs need no edge list.

Axes: B jets, T nodes of all jets together, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class JetBatch:
    """B jets of any sizes; jet b owns nodes ``ptr[b]:ptr[b + 1]``, leading in pT first."""

    x_TF: Tensor
    """[T, F] node features, float32"""
    ptr: Tensor
    """[B + 1] int64"""
    p4_B4: Tensor
    """[B, 4] jets' (px, py, pz, E), GeV"""
    event_B: Tensor
    """[B] int64, position of the jet's event in its source"""
    rank_B: Tensor
    """[B] int64, 0 for the event's leading jet, 1 for the next"""
    n_constituents_B: Tensor
    """[B] int64, constituents before any cap on nodes"""
    generator_B: Tensor | None = None
    """[B] int64 code of the generator; None where it is unknown"""

    def __len__(self) -> int:
        return len(self.ptr) - 1

    @property
    def sizes_B(self) -> Tensor:
        """[B] nodes of each jet."""
        return self.ptr.diff()

    @property
    def device(self) -> torch.device:
        return self.x_TF.device

    def to(self, device: torch.device | str) -> JetBatch:
        """The batch on a device."""
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **moved)

    def select(self, index_B: Tensor) -> JetBatch:
        """The jets at ``index_B``, in that order."""
        sizes = self.sizes_B[index_B]
        ptr = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        total = int(ptr[-1])
        shift = torch.repeat_interleave(self.ptr[index_B] - ptr[:-1], sizes, output_size=total)
        nodes = torch.arange(total, device=self.device) + shift
        generator = self.generator_B
        return JetBatch(
            x_TF=self.x_TF[nodes],
            ptr=ptr,
            p4_B4=self.p4_B4[index_B],
            event_B=self.event_B[index_B],
            rank_B=self.rank_B[index_B],
            n_constituents_B=self.n_constituents_B[index_B],
            generator_B=None if generator is None else generator[index_B],
        )

    @classmethod
    def cat(cls, parts: Sequence[JetBatch]) -> JetBatch:
        """One batch of the jets of several, in order; all or none know their generators."""
        sizes = torch.cat([part.sizes_B for part in parts])
        labels = [part.generator_B for part in parts if part.generator_B is not None]
        return cls(
            x_TF=torch.cat([part.x_TF for part in parts]),
            ptr=torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]),
            p4_B4=torch.cat([part.p4_B4 for part in parts]),
            event_B=torch.cat([part.event_B for part in parts]),
            rank_B=torch.cat([part.rank_B for part in parts]),
            n_constituents_B=torch.cat([part.n_constituents_B for part in parts]),
            generator_B=torch.cat(labels) if len(labels) == len(parts) else None,
        )

    def jet_of_node(self) -> Tensor:
        """[T] which jet each node belongs to."""
        index = torch.arange(len(self), device=self.device)
        return torch.repeat_interleave(index, self.sizes_B, output_size=len(self.x_TF))

    def dense(self, width: int | None = None) -> tuple[Tensor, Tensor]:
        """Padded features [B, width, F] and the mask [B, width] of real nodes.

        Args:
            width: nodes a jet; more are cut off. The largest jet's size if not given.
        """
        width = int(self.sizes_B.max()) if width is None else width
        slot = torch.arange(width, device=self.device)
        mask = slot < self.sizes_B[:, None]
        # An index past the end is never kept: the mask clears it.
        index = (self.ptr[:-1, None] + slot).clamp(max=max(len(self.x_TF) - 1, 0))
        return self.x_TF[index] * mask[..., None], mask

    def edge_index(self) -> Tensor:
        """[2, number of edges]: (neighbour, centre) of complete graphs without self-loops.

        For other libraries' layers: raybead's own never hold edges.
        """
        return complete_edges(self.ptr)

    def to_pyg(self) -> object:
        """A ``torch_geometric.data.Batch`` of complete graphs (torch-geometric must be there)."""
        from torch_geometric.data import Batch, Data

        data = Batch(
            _base_cls=Data,
            x=self.x_TF,
            edge_index=self.edge_index(),
            batch=self.jet_of_node(),
            ptr=self.ptr,
        )
        data._num_graphs = len(self)
        return data


def complete_edges(ptr: Tensor) -> Tensor:
    """[2, number of edges]: (neighbour, centre) of complete graphs without self-loops.

    Args:
        ptr: [B + 1] offsets of the graphs.
    """
    sizes = ptr.diff()
    per_node = torch.repeat_interleave(sizes, sizes)
    total = int(per_node.sum())
    nodes = torch.arange(len(per_node), device=ptr.device)
    centre = torch.repeat_interleave(nodes, per_node, output_size=total)
    starts = torch.repeat_interleave(ptr[:-1], sizes)
    edge_ptr = torch.cat([per_node.new_zeros(1), per_node.cumsum(0)])
    shift = torch.repeat_interleave(starts - edge_ptr[:-1], per_node, output_size=total)
    neighbour = torch.arange(total, device=ptr.device) + shift
    other = neighbour != centre
    return torch.stack([neighbour[other], centre[other]])
