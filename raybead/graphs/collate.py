"""Event rows to a JetBatch, straight from Arrow's buffers: no loop over particles or jets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from raybead.config import Graph
from raybead.events import JET
from raybead.events.particles import members_of, offsets_of
from raybead.graphs.features import node_features
from raybead.graphs.jetbatch import JetBatch
from raybead.observables import Spread, spread_about_axis, tau21_of_leading

COLUMNS = ["event", "generator", "jets", "constituents"]
"""Columns of an event row that a batch is made of. Truth isn't among them."""


def collate(table: pa.Table, graph: Graph, generators: Sequence[str] | None = None) -> JetBatch:
    """All jets of a table of event rows, event after event, leading first.

    Args:
        table: rows of :data:`raybead.events.EVENT_SCHEMA`.
        graph: features and the cap on nodes; features aren't scaled here.
        generators: whose places are the codes of the events' generators, -1 for another or
            none; codes aren't made if not given.
    """
    jets, parts, sizes = _flatten(table)
    starts = offsets_of(sizes)[:-1]
    kept = sizes if graph.nodes == "all" else np.minimum(sizes, graph.nodes)
    picked = members_of(starts, kept)  # constituents lie leading first in each jet
    column = {name: _numpy(parts.field(name))[picked] for name in ("pt", "eta", "phi")}
    jet = {name: _numpy(jets.field(name)) for name in ("eta", "phi", "px", "py", "pz", "e")}
    x_TF = node_features(
        graph.features,
        column["pt"],
        column["eta"],
        column["phi"],
        np.repeat(jet["eta"].astype(np.float32), kept),
        np.repeat(jet["phi"].astype(np.float32), kept),
        np.repeat(_btags(jets), kept),
        graph.pt_power,
    )
    events, n_jets = table.column("event").to_numpy(), _n_jets(table)
    found = JetBatch(
        x_TF=torch.from_numpy(x_TF),
        ptr=torch.from_numpy(offsets_of(kept)),
        p4_B4=torch.from_numpy(
            np.stack([jet[name] for name in ("px", "py", "pz", "e")], axis=1).astype(np.float32)
        ),
        event_B=torch.from_numpy(np.repeat(events, n_jets)),
        rank_B=torch.from_numpy(members_of(np.zeros(len(events), np.int64), n_jets)),
        n_constituents_B=torch.from_numpy(_numpy(jets.field("n")).astype(np.int64)),
        generator_B=None
        if generators is None
        else torch.from_numpy(np.repeat(_codes(table, generators), n_jets)),
    )
    return found if graph.level == "jet" else _events(found, graph, len(events))


def _events(jets: JetBatch, graph: Graph, n_events: int) -> JetBatch:
    """Events of constituents, from their jets."""
    jets = jets.select((jets.rank_B < graph.jets).nonzero()[:, 0])
    event_B = (jets.rank_B == 0).cumsum(0) - 1
    jet_T = jets.jet_of_node()
    width = graph.slots // graph.jets
    slot_T = jets.rank_B[jet_T] * width + torch.arange(len(jet_T)) - jets.ptr[jet_T]
    sizes, n = (
        torch.zeros(n_events, dtype=torch.int64).index_add_(0, event_B, values_B)
        for values_B in (jets.sizes_B, jets.n_constituents_B)
    )
    first = (jets.rank_B == 0).nonzero()[:, 0]
    return JetBatch(
        x_TF=jets.x_TF,
        ptr=torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]),
        p4_B4=torch.zeros(n_events, 4).index_add_(0, event_B, jets.p4_B4),
        event_B=jets.event_B[first],
        rank_B=torch.zeros_like(first),
        n_constituents_B=n,
        generator_B=None if jets.generator_B is None else jets.generator_B[first],
        slot_T=None if graph.nodes == "all" else slot_T,
    )


@dataclass(frozen=True)
class JetFacts:
    """What is known without learning of B jets of E events, in the order of :func:`collate`."""

    n_jets: np.ndarray
    """[E] int64, jets of each event"""
    mass: np.ndarray
    """[B] GeV"""
    n: np.ndarray
    """[B] constituents, before any cap or subjets"""
    spread: Spread | None
    """None where controls aren't wanted"""
    tau21: np.ndarray | None
    """[B] of the leading constituents; None where controls aren't wanted"""
    substructure: Mapping[str, np.ndarray]
    """[B] for each column that the job asked for"""


def jet_facts(table: pa.Table, *, controls: bool = True) -> JetFacts:
    """Masses, multiplicities and no-learning controls of all jets of a table of event rows.

    Args:
        table: rows of :data:`raybead.events.EVENT_SCHEMA`.
        controls: whether spread and tau21 are wanted, which take longer than all else.
    """
    jets, parts, sizes = _flatten(table)
    substructure = {
        field.name: _numpy(jets.field(field.name))
        for field in jets.type
        if field.name not in JET.names
    }
    n_jets, mass = _n_jets(table), _numpy(jets.field("mass"))
    n = _numpy(jets.field("n")).astype(np.int64)
    if not controls:
        return JetFacts(n_jets, mass, n, None, None, substructure)
    if len(sizes) == 0:
        none = np.empty(0)
        return JetFacts(n_jets, mass, n, Spread(none, none), none, substructure)
    pt, eta, phi = (_numpy(parts.field(name)) for name in ("pt", "eta", "phi"))
    offsets = offsets_of(sizes)
    axis_eta, axis_phi = _numpy(jets.field("eta")), _numpy(jets.field("phi"))
    return JetFacts(
        n_jets,
        mass,
        n,
        spread_about_axis(pt, eta, phi, axis_eta, axis_phi, offsets),
        tau21_of_leading(pt, eta, phi, offsets),
        substructure,
    )


def _codes(table: pa.Table, generators: Sequence[str]) -> np.ndarray:
    """[E] place of each event's generator, -1 for one that isn't among them."""
    known = pa.array(generators, pa.string())
    places = pc.index_in(  # pyright: ignore[reportAttributeAccessIssue]  # made at run time
        table.column("generator"), value_set=known
    )
    return places.fill_null(-1).to_numpy().astype(np.int64)


def _n_jets(table: pa.Table) -> np.ndarray:
    """[E] int64 jets of each event."""
    return np.diff(_one_array(table, "jets").offsets.to_numpy()).astype(np.int64)


def _flatten(table: pa.Table) -> tuple[pa.StructArray, pa.StructArray, np.ndarray]:
    """Jets [B], their constituents [T] and the number of these [B]."""
    jets = _one_array(table, "jets").flatten()
    inner = _one_array(table, "constituents").flatten()
    sizes = np.diff(inner.offsets.to_numpy()).astype(np.int64)
    return jets, inner.flatten(), sizes


def _btags(jets: pa.StructArray) -> np.ndarray:
    """[B] float32; 0 where a jet's b-tag is unknown, or none was ever recorded."""
    if jets.type.get_field_index("btag") < 0:
        return np.zeros(len(jets), np.float32)
    return _numpy(jets.field("btag").fill_null(0)).astype(np.float32, copy=False)


def _one_array(table: pa.Table, name: str) -> pa.ListArray:
    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # what an empty table gives
        column = (
            pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        )
    return column


def _numpy(array: pa.Array) -> np.ndarray:
    return array.to_numpy(zero_copy_only=False)
