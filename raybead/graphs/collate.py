"""Event rows to a JetBatch of jets or of events.

Axes: B items, N jets that take part in them, T nodes; of an item J jets with E polynomials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from raybead.config import Efps, Graph
from raybead.events.particles import offsets_of
from raybead.graphs.features import event_features, jet_features, node_features
from raybead.graphs.jetbatch import JetBatch
from raybead.graphs.rows import Rows

COLUMNS = ["event", "generator", "met", "met_phi", "jets", "constituents"]
"""Columns of an event row that a batch is made of. Truth isn't among them."""


def collate(table: pa.Table, graph: Graph, generators: Sequence[str] | None = None) -> JetBatch:
    """All jets of a table of event rows, event after event, leading first; or the events.

    Args:
        table: rows of :data:`raybead.events.EVENT_SCHEMA`, with :data:`COLUMNS`; missing
            momentum only where the features are made of it.
        graph: what items and nodes are; features aren't scaled here.
        generators: whose places are the codes of the events' generators, -1 for another or
            none; codes aren't made if not given.

    Raises:
        InputError: an event lacks what the features are made of.
    """
    rows = Rows.of(table)
    items = _items(rows, graph)
    x_TF, sizes, slot_T = _nodes(rows, items, graph)
    row_B = np.arange(len(rows.n_jets)) if graph.level == "event" else rows.event
    components = (rows.of_jets(name)[items.jet_N] for name in ("px", "py", "pz", "e"))
    p4_B4 = np.stack([items.sum(component) for component in components], axis=1)
    found = JetBatch(
        x_TF=torch.from_numpy(x_TF),
        ptr=torch.from_numpy(offsets_of(sizes)),
        p4_B4=torch.from_numpy(p4_B4.astype(np.float32)),
        event_B=torch.from_numpy(table.column("event").to_numpy()[row_B]),
        rank_B=torch.from_numpy(np.zeros_like(row_B) if graph.level == "event" else rows.rank),
        n_constituents_B=torch.from_numpy(items.sum(rows.of_jets("n")[items.jet_N]).astype(int)),
        generator_B=None
        if generators is None
        else torch.from_numpy(_codes(table, generators)[row_B]),
        slot_T=None if slot_T is None else torch.from_numpy(slot_T),
    )
    if graph.efps is None:
        return found
    efps_BJE, has_jet_BJ = _polynomials(rows, items, graph.efps)
    return JetBatch(**{**vars(found), "efps_BJE": efps_BJE, "has_jet_BJ": has_jet_BJ})


@dataclass(frozen=True)
class _Items:
    """Which jets take part in which items."""

    number: int
    """B"""
    jets: int
    """J, of an item at most"""
    jet_N: NDArray[np.int64]
    """[N] among all jets of the rows"""
    item_N: NDArray[np.int64]
    """[N] rising"""
    place_N: NDArray[np.int64]
    """[N] among the item's jets"""

    def sum(self, values_N: NDArray) -> NDArray[np.float64]:
        """[B] sums over the items' jets."""
        return np.bincount(self.item_N, values_N, self.number).astype(np.float64)


def _items(rows: Rows, graph: Graph) -> _Items:
    match graph.level:
        case "jet":
            all_jets = np.arange(len(rows.sizes))
            return _Items(len(all_jets), 1, all_jets, all_jets, np.zeros_like(all_jets))
        case "event":
            rank = rows.rank
            taken = np.flatnonzero(rank < graph.jets)
            return _Items(len(rows.n_jets), graph.jets, taken, rows.event[taken], rank[taken])


def _nodes(
    rows: Rows, items: _Items, graph: Graph
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64] | None]:
    """Features [T, F] of the nodes, how many an item has [B], and their slots [T] if these have
    gaps."""
    match graph.node:
        case "constituent":
            return _constituents(rows, items, graph)
        case "jet":
            names = ("n", "pt", "eta", "phi", "mass", "px", "py", "pz", "e")
            column = {name: rows.of_jets(name)[items.jet_N] for name in names}
            column["btag"] = rows.btags()[items.jet_N]
            sizes = np.bincount(items.item_N, minlength=items.number)
            return jet_features(graph.features, column), sizes, None
        case "event":
            n = len(rows.n_jets)
            # What an event has, whichever of its jets take part.
            ht = np.bincount(rows.event, rows.of_jets("pt"), n).astype(np.float64)
            x_TF = event_features(*rows.missing_momentum(), rows.n_jets, ht)
            return x_TF, np.ones(n, np.int64), None


def _constituents(
    rows: Rows, items: _Items, graph: Graph
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64] | None]:
    most = None if graph.nodes == "all" else graph.nodes
    picked, kept = rows.leading_parts(items.jet_N, most)  # they lie leading first in each jet
    pt, eta, phi = (rows.of_parts(name)[picked] for name in ("pt", "eta", "phi"))
    axis_eta, axis_phi, btag = (
        np.repeat(of_jet[items.jet_N].astype(np.float32, copy=False), kept)
        for of_jet in (rows.of_jets("eta"), rows.of_jets("phi"), rows.btags())
    )
    x_TF = node_features(graph.features, pt, eta, phi, axis_eta, axis_phi, btag, graph.pt_power)
    slot_T = None
    if graph.level == "event" and most is not None:
        within = np.arange(len(picked)) - np.repeat(offsets_of(kept)[:-1], kept)
        slot_T = np.repeat(items.place_N * most, kept) + within
    return x_TF, items.sum(kept).astype(np.int64), slot_T


def _polynomials(rows: Rows, items: _Items, config: Efps) -> tuple[torch.Tensor, torch.Tensor]:
    """Polynomials [B, J, E] of the items' jets, and which of these jets are there [B, J]."""
    # The one part of observables that needs torch, and only a job that wants it.
    from raybead.observables.efps.values import polynomials

    picked, sizes = rows.leading_parts(items.jet_N, None)
    pt, eta, phi = (torch.from_numpy(rows.of_parts(name)[picked]) for name in ("pt", "eta", "phi"))
    values_NE = polynomials(pt, eta, phi, torch.from_numpy(offsets_of(sizes)), config)
    place = torch.from_numpy(items.item_N), torch.from_numpy(items.place_N)
    efps_BJE = torch.zeros(items.number, items.jets, values_NE.shape[1])
    efps_BJE[place] = values_NE.float()
    has_jet_BJ = torch.zeros(items.number, items.jets, dtype=torch.bool)
    has_jet_BJ[place] = True
    return efps_BJE, has_jet_BJ


def _codes(table: pa.Table, generators: Sequence[str]) -> np.ndarray:
    """[E] place of each event's generator, -1 for one that isn't among them."""
    known = pa.array(generators, pa.string())
    places = pc.index_in(  # pyright: ignore[reportAttributeAccessIssue]  # made at run time
        table.column("generator"), value_set=known
    )
    return places.fill_null(-1).to_numpy().astype(np.int64)
