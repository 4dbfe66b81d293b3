"""How far the search sample has drifted from the background: per node feature and observable.

Truth isn't looked at. A signal in the search sample is a difference, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from raybead.config import Graph
from raybead.diagnostics.two_samples import (
    Array,
    Signs,
    Values,
    holm,
    ks_distance,
    ks_p_value,
    signs,
    wasserstein,
)
from raybead.graphs import COLUMNS, collate
from raybead.graphs.rows import Rows
from raybead.storage import Role

Of = Literal["node", "jet", "event"]
EVENT_COLUMNS = [*COLUMNS, "weight", "mjj"]
"""Columns of event rows that are looked at. Truth isn't among them."""
LEVEL = 0.05
"""Adjusted p-values below it are told as differences."""
DRAWS = 1999
"""The smallest p-value is one in so many and one."""
MAX_EVENTS = 2000
"""Of each sample; distribution functions are then known to a hundredth or two."""
BINS = 40
_DRAWS = 9
"""What the seed is of."""
OF_JETS = {"multiplicity": "n", "jet_pt": "pt", "jet_mass": "mass"}
"""Observables by the fields of jets that they are."""


def feature_drift(
    background: pa.Table,
    search: pa.Table,
    graph: Graph,
    *,
    scores: Mapping[Role, pa.Table] | None = None,
    seed: int = 0,
    events: int = MAX_EVENTS,
    draws: int = DRAWS,
) -> dict[str, Any]:
    """Each feature of the nodes, and each observable, in background against search sample.

    P-values count events as what is drawn, with their weights; see
    :func:`raybead.diagnostics.two_samples.ks_p_value`.

    Args:
        background: event rows with :data:`EVENT_COLUMNS`.
        search: the same.
        graph: whose node features, before scaling.
        scores: event scores of both samples, if they are to be held against one another: columns
            ``score`` and ``weight``. Those of background that was trained on are a little low.
        seed: of what is drawn.
        events: of each sample at most, evenly from all.
        draws: for the p-values.

    Returns:
        For JSON: ``events`` of each sample, ``looked_at`` features, ``draws``, ``level``,
        ``differ`` (names of those below it after Holm's correction), and
        ``features``, each with ``name``, ``of`` ("node", "jet" or "event"), ``distance`` (KS),
        ``p``, ``p_adjusted``, ``wasserstein`` (in standard deviations of background), for
        ``background`` and ``search`` their ``values``, ``events``, ``effective`` number of
        events, ``missing`` values, ``mean`` and ``standard_deviation``, and ``edges`` with
        ``shares`` of both in each bin; values beyond the edges count in the outermost bins. What
        can't be known is None: of samples with fewer than two events, or without weight.

    Raises:
        InputError: an event lacks what the features are made of.
    """
    roles: tuple[Role, Role] = "background", "search"
    generator = np.random.default_rng([seed, _DRAWS])
    sides = []
    for role, table in zip(roles, (background, search), strict=True):
        columns = _columns(_evenly(table, events), graph)
        if scores is not None:
            columns["score"] = "event", _scores(_evenly(scores[role], events))
        # Each sample's own, and the same for all features of as many events.
        drawn: dict[int, Any] = {}
        for _, values in columns.values():
            n = len(values.weight_E)
            drawn.setdefault(n, signs(draws, n, generator))
        sides.append((columns, drawn))
    (ours, our_signs), (theirs, their_signs) = sides
    features = []
    for name, (of, mine) in ours.items():
        other = theirs[name][1]
        of_both = our_signs[len(mine.weight_E)], their_signs[len(other.weight_E)]
        features.append({"name": name, "of": of, **_compared(mine, other, of_both)})
    known = [one for one in features if one["p"] is not None]
    for one, adjusted in zip(known, holm([one["p"] for one in known]), strict=True):
        one["p_adjusted"] = adjusted
    return {
        "events": {"background": min(len(background), events), "search": min(len(search), events)},
        "looked_at": len(known),
        "draws": draws,
        "level": LEVEL,
        "differ": [one["name"] for one in known if one["p_adjusted"] < LEVEL],
        "features": features,
    }


def _columns(table: pa.Table, graph: Graph) -> dict[str, tuple[Of, Values]]:
    """What is looked at in one sample."""
    batch, rows = collate(table, graph), Rows.of(table)
    weight_E = table.column("weight").to_numpy().astype(np.float64)
    event_E = np.arange(len(table))
    event_B = event_E if graph.level == "event" else rows.event
    event_T = np.repeat(event_B, batch.sizes_B.numpy())
    columns: dict[str, tuple[Of, Values]] = {
        name: ("node", Values.of(x_T, event_T, weight_E))
        for name, x_T in zip(graph.columns, batch.x_TF.double().numpy().T, strict=True)
    }
    for name, field in OF_JETS.items():
        columns[name] = "jet", Values.of(rows.of_jets(field), rows.event, weight_E)
    mjj_E = table.column("mjj").to_numpy()
    columns["mjj"] = "event", Values.of(mjj_E, event_E, weight_E)
    return columns


def _scores(table: pa.Table) -> Values:
    score_E, weight_E = (
        table.column(name).to_numpy().astype(np.float64) for name in ("score", "weight")
    )
    return Values.of(score_E, np.arange(len(table)), weight_E)


def _evenly(table: pa.Table, most: int) -> pa.Table:
    n = min(len(table), most)
    return table.take(np.arange(n) * len(table) // max(n, 1))


def _compared(ours: Values, theirs: Values, drawn: tuple[Signs, Signs]) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(
        ("distance", "p", "p_adjusted", "wasserstein", "edges", "shares")
    )
    found |= {"background": _told(ours), "search": _told(theirs)}
    if not (ours.comparable and theirs.comparable):
        return found
    edges = _edges(ours, theirs)
    return found | {
        "distance": ks_distance(ours, theirs),
        "p": ks_p_value(ours, theirs, *drawn),
        "wasserstein": wasserstein(ours, theirs),
        "edges": edges.tolist(),
        "shares": {
            role: values.shares(edges).tolist()
            for role, values in (("background", ours), ("search", theirs))
        },
    }


def _told(values: Values) -> dict[str, Any]:
    known = values.comparable
    return {
        "values": len(values.value_N),
        "events": values.events,
        "effective": values.effective,
        "missing": values.missing,
        "mean": values.mean if known else None,
        "standard_deviation": values.standard_deviation if known else None,
    }


def _edges(ours: Values, theirs: Values) -> Array:
    """Of the bins of both: a whole number each where there are few, else equally wide."""
    points = np.unique(np.concatenate([ours.value_N, theirs.value_N]))
    whole = bool((points == np.round(points)).all())
    if whole and points[-1] - points[0] < BINS:
        return np.arange(points[0], points[-1] + 2) - 0.5
    low, high = (
        edge(np.quantile(values.value_N, share) for values in (ours, theirs))
        for edge, share in ((min, 0.005), (max, 0.995))
    )
    if whole:  # as many whole numbers in each
        width = max(1, -(-int(high - low + 1) // BINS))
        return np.arange(low, high + width + 1, width) - 0.5
    return np.linspace(low, max(high, low + 1e-6 * max(1.0, abs(low))), BINS + 1)
