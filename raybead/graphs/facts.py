"""What is known of jets without learning, from event rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raybead.events import JET
from raybead.events.particles import offsets_of
from raybead.graphs.rows import Rows
from raybead.observables import Spread, spread_about_axis, tau21_of_leading


@dataclass(frozen=True)
class JetFacts:
    """What is known of B jets without learning: all jets of E events, leading first."""

    n_jets: np.ndarray
    """[E] jets of each event"""
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
    rows = Rows.of(table)
    substructure = {
        field.name: rows.of_jets(field.name)
        for field in rows.jets.type
        if field.name not in JET.names
    }
    mass, n = rows.of_jets("mass"), rows.of_jets("n").astype(np.int64)
    if not controls:
        return JetFacts(rows.n_jets, mass, n, None, None, substructure)
    if len(rows.sizes) == 0:
        none = np.empty(0)
        return JetFacts(rows.n_jets, mass, n, Spread(none, none), none, substructure)
    pt, eta, phi = (rows.of_parts(name) for name in ("pt", "eta", "phi"))
    offsets = offsets_of(rows.sizes)
    return JetFacts(
        rows.n_jets,
        mass,
        n,
        spread_about_axis(pt, eta, phi, rows.of_jets("eta"), rows.of_jets("phi"), offsets),
        tau21_of_leading(pt, eta, phi, offsets),
        substructure,
    )
