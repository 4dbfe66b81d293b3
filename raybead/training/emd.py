"""Training the network of the energy mover's distance: the same loop, on pairs of jets.

Axes: B pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from raybead.config import Emd, Loss
from raybead.graphs.clouds import Clouds
from raybead.losses import LossValue
from raybead.models.emd_network import EmdNetwork, pair_graph, sliced_of
from raybead.training.forward import part_of_step
from raybead.training.loop import Trainer
from raybead.training.split import Split
from raybead.training.team import Team

FLOOR = 0.02
"""Distance below which errors count as they are, and above which in parts of the distance."""


@dataclass(frozen=True)
class JetPairs:
    """B pairs of jets and their exact distances."""

    ours: Clouds
    theirs: Clouds
    emd_B: Tensor
    """[B] float32"""

    def __len__(self) -> int:
        return len(self.emd_B)

    def to(self, device: torch.device | str) -> JetPairs:
        """The same on a device."""
        return JetPairs(self.ours.to(device), self.theirs.to(device), self.emd_B.to(device))

    def select(self, index_B: Tensor) -> JetPairs:
        """The pairs at ``index_B``, in that order."""
        return JetPairs(
            self.ours.select(index_B), self.theirs.select(index_B), self.emd_B[index_B]
        )

    @classmethod
    def of(cls, table: pa.Table) -> JetPairs:
        """The pairs of a table with columns ``emd`` and lists ``pt1``, ``eta1``, ..., ``phi2``."""
        ours, theirs = (_clouds(table, jet) for jet in (1, 2))
        emd = table.column("emd").to_numpy().astype(np.float32)
        return cls(ours, theirs, torch.from_numpy(emd))


def _clouds(table: pa.Table, jet: int) -> Clouds:
    pt, eta, phi = (_flat(table.column(f"{name}{jet}")) for name in ("pt", "eta", "phi"))
    lists = table.column(f"pt{jet}").chunks
    sizes = [np.diff(part.offsets.to_numpy()) for part in lists]
    ptr = np.cumsum(np.concatenate([[0], *sizes]), dtype=np.int64)
    return Clouds(pt, eta, phi, torch.from_numpy(ptr))


def _flat(lists: pa.ChunkedArray) -> Tensor:
    parts = [part.flatten().to_numpy(zero_copy_only=False) for part in lists.chunks]
    return torch.from_numpy(np.concatenate([np.empty(0, np.float32), *parts]))


def split_of(sides: Sequence[str]) -> Split:
    """Which pairs train, choose the epoch, and are held out, from the names of their sides."""
    named = np.asarray(sides)
    return Split(*(torch.from_numpy(np.flatnonzero(named == side)) for side in Split._fields))


class RelativeSquare:
    r"""Squared error in parts of the exact distance, :math:`((D - d) / (d + 0.02))^2`.

    A plain square would be ruled by the largest distances; a loss lives among the smallest.
    """

    names: tuple[str, ...] = ()
    sections: tuple[Loss, ...] = ()
    contrasts = False

    def __call__(self, distance_B: Tensor, pairs: JetPairs) -> LossValue:
        """Errors of predicted distances [B]."""
        return LossValue(((distance_B - pairs.emd_B) / (pairs.emd_B + FLOOR)).square(), {})


class EmdTrainer(Trainer):
    """The training loop, shown two jets at a time."""

    def __init__(
        self,
        network: EmdNetwork,
        pairs: JetPairs,
        split: Split,
        config: Emd,
        seed: int,
        *,
        team: Team | None = None,
        wrapped: nn.Module | None = None,
    ) -> None:
        """Set up a training; see :class:`raybead.training.Trainer`."""
        loss = RelativeSquare()
        super().__init__(
            network,
            cast(Any, pairs),
            split,
            cast(Any, loss),
            config.train,
            seed,
            team=team,
            wrapped=wrapped,
        )
        self.pairs, self.errors = pairs, loss

    def _loss(self, batch: Tensor, model: nn.Module, _loss: object) -> LossValue:
        with part_of_step("batch", self.device):
            pairs = self.pairs.select(batch[self.team.rank :: self.team.size])
        with part_of_step("transfer", self.device):
            pairs = pairs.to(self.device)
        with part_of_step("forward", self.device):
            distance_B = model(pairs.ours, pairs.theirs)
        with part_of_step("loss", self.device):
            return self.errors(distance_B, pairs)


def measured(
    network: EmdNetwork, pairs: JetPairs, batch_pairs: int = 256
) -> dict[str, np.ndarray]:
    """Distances [B] of pairs: ``learned``, and ``sliced``, what no learning makes of them."""
    device = next(network.parameters()).device
    learned, sliced = [np.empty(0)], [np.empty(0)]
    with torch.inference_mode():
        for index in torch.arange(len(pairs)).split(batch_pairs):
            part = pairs.select(index).to(device)
            learned.append(network(part.ours, part.theirs).double().cpu().numpy())
            graph = pair_graph(part.ours, part.theirs, network.config.radius)
            sliced.append(sliced_of(graph).double().cpu().numpy())
    return {"learned": np.concatenate(learned), "sliced": np.concatenate(sliced)}


def agreement(held_out: pa.Table) -> dict[str, dict[str, dict[str, float | int | None]]]:
    """How learned and sliced distances agree with exact ones, over all pairs and by kind of pair.

    Args:
        held_out: rows with ``kind``, ``emd``, ``learned`` and ``sliced``.

    Returns:
        For ``all`` and each kind, for ``learned`` and ``sliced``: number of ``pairs``,
        ``pearson`` and ``spearman`` correlation (None where distances don't differ), ``bias``
        and ``rms`` of the error, and ``relative``, the root mean square of the error in parts of
        the exact distance above 0.02.
    """
    kind = np.asarray(held_out.column("kind").to_pylist())
    exact = held_out.column("emd").to_numpy()
    found: dict[str, Any] = {}
    for name in ("all", *dict.fromkeys(sorted(kind.tolist()))):
        chosen = np.ones(len(kind), bool) if name == "all" else kind == name
        found[name] = {
            by: _agreement(exact[chosen], held_out.column(by).to_numpy()[chosen])
            for by in ("learned", "sliced")
        }
    return found


def _agreement(exact: np.ndarray, other: np.ndarray) -> dict[str, float | int | None]:
    error = other - exact
    varied = len(exact) > 1 and np.ptp(exact) > 1e-9 and np.ptp(other) > 1e-9
    large = exact > FLOOR
    relative = error[large] / exact[large]
    return {
        "pairs": len(exact),
        "pearson": float(np.corrcoef(exact, other)[0, 1]) if varied else None,
        "spearman": float(np.corrcoef(rankdata(exact), rankdata(other))[0, 1]) if varied else None,
        "bias": float(error.mean()),
        "rms": float(np.sqrt((error**2).mean())),
        "relative": float(np.sqrt((relative**2).mean())) if large.any() else None,
    }
