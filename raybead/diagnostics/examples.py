"""Items beside their reconstructions, as constituents in eta and phi.

Axes: B items, N nodes of all items together, F features, S scaled features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from raybead.config import Graph
from raybead.diagnostics.passed import Passed, Passing
from raybead.errors import JobError
from raybead.graphs import JetBatch, Momenta, collate, momenta_of, unscaled_momenta

Frame = Literal["axis", "axes", "detector"]
"""What directions are relative to: the jet's axis, each node's jet's axis, or nothing."""
NODE = pa.struct([("pt", pa.float64()), ("eta", pa.float64()), ("phi", pa.float64()),
                  ("jet", pa.int64())])  # fmt: skip
LOWEST, HIGHEST = 0.05, 0.95
"""Quantiles of the loss of held-out background that examples reach from and to."""


@dataclass(frozen=True)
class Chosen:
    """Items to be drawn."""

    sample: str
    table: pa.Table
    """Rows of their events."""
    event_X: NDArray[np.int64]
    """[X] of each item."""
    item_X: NDArray[np.int64]
    """[X] its rank in the event."""
    quantile_X: Sequence[float | None]
    """[X] share of the background items with a lower loss, where that is why it was chosen."""


def at_quantiles(passed: Passed, n: int) -> tuple[NDArray[np.int64], list[float]]:
    """Items [n] from low to high loss, and their quantiles; fewer where there are fewer items."""
    order = np.argsort(passed.total_B, kind="stable")
    order = order[np.isfinite(passed.total_B[order])]
    n = min(n, len(order))
    shares = [0.5] if n == 1 else [round(float(q), 4) for q in np.linspace(LOWEST, HIGHEST, n)]
    places = [round(q * (len(order) - 1)) for q in shares]
    return order[places], shares


def examples_table(passing: Passing, chosen: Sequence[Chosen]) -> tuple[pa.Table, dict[str, Any]]:
    """Items with their nodes and what the model makes of them.

    Args:
        passing: the model.
        chosen: items of either sample.

    Returns:
        Rows of ``sample``, ``event``, ``item``, ``quantile``, ``total``, ``truth``, ``input`` and
        ``reconstruction``: lists of nodes' ``pt`` [GeV], ``eta``, ``phi`` [rad] and ``jet`` (rank
        of the node's jet, null where it isn't known). Null what can't be said; facts say why.
    """
    graph = passing.bundle.recipe.graph
    parts, facts = [], {"frame": _frame(graph), "undrawn": {}}
    for one in chosen:
        items = _picked(collate(one.table, graph), one)
        passed = passing(items)
        inputs, made = _nodes(passing, passed, facts["undrawn"])
        event_E = one.table.column("event").to_numpy()
        order = np.argsort(event_E)
        row_X = order[np.searchsorted(event_E, one.event_X, sorter=order)]
        parts.append(
            pa.table(
                {
                    "sample": pa.repeat(pa.scalar(one.sample, pa.string()), len(items)),
                    "event": one.event_X,
                    "item": one.item_X,
                    "quantile": pa.array(one.quantile_X, pa.float64()),
                    "total": passed.total_B,
                    "truth": one.table.column("truth").take(pa.array(row_X)),
                    "input": inputs,
                    "reconstruction": made,
                }
            )
        )
    table = pa.concat_tables(parts)
    return table, {**facts, "items": len(table)}


def _picked(items: JetBatch, chosen: Chosen) -> JetBatch:
    """The chosen of all items of some events, in their order."""
    known = zip(items.event_B.tolist(), items.rank_B.tolist(), strict=True)
    place = {pair: number for number, pair in enumerate(known)}
    wanted = zip(chosen.event_X.tolist(), chosen.item_X.tolist(), strict=True)
    return items.select(torch.tensor([place[pair] for pair in wanted], dtype=torch.long))


def _frame(graph: Graph) -> Frame:
    if graph.level == "jet":
        return "axis"
    return "axes" if graph.features == "jet-axis" else "detector"


def _nodes(passing: Passing, passed: Passed, undrawn: dict[str, str]) -> tuple[pa.Array, pa.Array]:
    """[B] lists of input nodes and of reconstructed ones; what can't be is null, and said why."""
    graph, scaling = passing.bundle.recipe.graph, passing.bundle.scaling
    items, output = passed.items, passed.output
    nothing = pa.nulls(len(items), pa.list_(NODE))
    if scaling.invertible:
        try:
            aims, gets = (
                unscaled_momenta(graph, scaling, x_NS.double())
                for x_NS in (output.target_NF, output.reconstruction_NF)
            )
        except JobError as error:
            undrawn |= dict.fromkeys(("input", "reconstruction"), _reason(error))
            return nothing, nothing
        lists = (_lists(passing, items, momenta, output.ptr) for momenta in (aims, gets))
        return next(lists), next(lists)
    undrawn["reconstruction"] = (
        "graph.scaling l2 keeps a node's direction and drops its length: can't be undone"
    )
    try:
        aims = momenta_of(graph.features, items.x_TF.double(), graph.pt_power)
    except JobError as error:
        undrawn["input"] = _reason(error)
        return nothing, nothing
    return _lists(passing, items, aims, items.ptr), nothing


def _reason(error: JobError) -> str:
    return str(error).partition(": ")[2] or str(error)


def _lists(passing: Passing, items: JetBatch, momenta: Momenta, ptr: Tensor) -> pa.Array:
    graph = passing.bundle.recipe.graph
    eta_N, phi_N = momenta.eta_N, momenta.phi_N
    if _frame(graph) == "axis" and graph.features != "jet-axis":
        of_N = torch.repeat_interleave(torch.arange(len(items)), ptr.diff())
        axis_eta_B, axis_phi_B = _axes(items)
        eta_N, phi_N = eta_N - axis_eta_B[of_N], phi_N - axis_phi_B[of_N]
    phi_N = (phi_N + math.pi).remainder(2 * math.pi) - math.pi
    jet_N = _jets(graph, items, ptr)
    columns = [x.double().numpy() for x in (momenta.pt_N, eta_N, phi_N)]
    jets = pa.nulls(len(columns[0]), pa.int64()) if jet_N is None else pa.array(jet_N.numpy())
    nodes = pa.StructArray.from_arrays([*map(pa.array, columns), jets], fields=list(NODE))
    return pa.ListArray.from_arrays(pa.array(ptr.numpy(), pa.int32()), nodes)


def _axes(items: JetBatch) -> tuple[Tensor, Tensor]:
    """[B] pseudorapidities and azimuths of jets."""
    px, py, pz, _ = items.p4_B4.double().unbind(1)
    return torch.asinh(pz / torch.hypot(px, py)), torch.atan2(py, px)


def _jets(graph: Graph, items: JetBatch, ptr: Tensor) -> Tensor | None:
    """[N] ranks of nodes' jets in their events; None where they aren't known."""
    if graph.level == "jet":
        return torch.repeat_interleave(items.rank_B, ptr.diff())
    within = torch.arange(int(ptr[-1])) - torch.repeat_interleave(ptr[:-1], ptr.diff())
    if graph.node == "jet":
        return within
    if items.slot_T is None or graph.nodes == "all" or not ptr.equal(items.ptr):
        return None
    return items.slot_T // graph.nodes
