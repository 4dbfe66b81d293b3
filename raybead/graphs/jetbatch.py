"""JetBatch: ragged jets, packed node after node. Complete graphs need no edge list.

A batch of events (``[graph] level = "event"``) is one whose jets are the events: what is said of a
jet here is then said of the event, and its nodes are those of its leading jets one behind another.

Axes: B jets, T nodes of all jets together, F features; of an event J jets with E polynomials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from raybead.graphs.owners import owners


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
    slot_T: Tensor | None = None
    """[T] int64, each node's place in its item's grid, rising: of an event's, constituent i of jet
    j has place j * nodes + i. Consecutive if None."""
    efps_BJE: Tensor | None = None
    """[B, J, E] float32 energy flow polynomials of the item's jets, 0 where there is none"""
    has_jet_BJ: Tensor | None = None
    """[B, J] bool, beside the polynomials"""

    def __len__(self) -> int:
        return len(self.ptr) - 1

    @property
    def sizes_B(self) -> Tensor:
        """[B] nodes of each jet."""
        return self.ptr.diff()

    @property
    def device(self) -> torch.device:
        return self.x_TF.device

    @property
    def efps_NE(self) -> Tensor | None:
        """[N, E] polynomials of the jets that are there; None where none were asked for."""
        return None if self.efps_BJE is None else self.efps_BJE[self.has_jet_BJ]

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
        of_nodes = {"x_TF": self.x_TF[nodes], "slot_T": _at(self.slot_T, nodes)}
        of_jets = {
            name: _at(value, index_B)
            for name, value in vars(self).items()
            if name not in (*of_nodes, "ptr")
        }
        return JetBatch(ptr=ptr, **of_nodes, **of_jets)  # type: ignore[arg-type]

    @classmethod
    def cat(cls, parts: Sequence[JetBatch]) -> JetBatch:
        """One batch of the jets of several, in order; all or none know their generators.

        Raises:
            ValueError: some have slots, or polynomials, and others don't.
        """
        sizes = torch.cat([part.sizes_B for part in parts])
        columns = {
            name: [getattr(part, name) for part in parts]
            for name in vars(parts[0])
            if name != "ptr"
        }
        whole = {}
        for name, column in columns.items():
            lacking = sum(x is None for x in column)
            if name != "generator_B" and 0 < lacking < len(parts):
                raise ValueError(f"{lacking} of {len(parts)} batches are without {name}")
            whole[name] = None if lacking else torch.cat(column)
        return cls(ptr=torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]), **whole)  # type: ignore

    def jet_of_node(self) -> Tensor:
        """[T] which jet each node belongs to."""
        return owners(self.ptr, len(self.x_TF))

    def dense(self, width: int | None = None) -> tuple[Tensor, Tensor]:
        """Padded features [B, width, F] and the mask [B, width] of real nodes.

        Args:
            width: nodes a jet; more are cut off. The largest jet's size if not given, or the
                last place that is taken.
        """
        if self.slot_T is not None:
            return self._placed(self.slot_T, width)
        width = int(self.sizes_B.max()) if width is None else width
        slot = torch.arange(width, device=self.device)
        mask = slot < self.sizes_B[:, None]
        # An index past the end is never kept: the mask clears it.
        index = (self.ptr[:-1, None] + slot).clamp(max=max(len(self.x_TF) - 1, 0))
        return self.x_TF[index] * mask[..., None], mask

    def _placed(self, slot_T: Tensor, width: int | None) -> tuple[Tensor, Tensor]:
        width = int(slot_T.max()) + 1 if width is None else width
        kept = slot_T < width
        place = (self.jet_of_node() * width + slot_T)[kept]
        grid = self.x_TF.new_zeros(len(self) * width, self.x_TF.shape[1])
        grid = grid.index_copy(0, place, self.x_TF[kept])
        mask = torch.zeros(len(grid), dtype=torch.bool, device=self.device)
        mask[place] = True
        # No size is left to be found out: of a batch of nothing it couldn't be.
        shape = len(self), width
        return grid.view(*shape, grid.shape[1]), mask.view(shape)

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


def _at(values: Tensor | None, index: Tensor) -> Tensor | None:
    return None if values is None else values[index]


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
