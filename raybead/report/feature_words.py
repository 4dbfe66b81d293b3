"""Features and observables as pages and figures name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raybead.config import NodeKind

IN_WORDS = {
    "pt_deta": "pT Δη", "pt_dphi": "pT Δφ", "pt": "pT", "e": "E", "eta": "η", "phi": "φ",
    "btag": "b-tag", "n": "the number of constituents", "met": "missing pT",
    "met_phi": "φ of the missing pT", "n_jets": "the number of jets", "ht": "HT",
}  # fmt: skip
"""Of nodes."""
OBSERVABLES = {
    "multiplicity": ("constituents of a jet", ""),
    "jet_pt": ("jet pT", "GeV"),
    "jet_mass": ("jet mass", "GeV"),
    "mjj": ("mjj", "GeV"),
    "score": ("anomaly score", ""),
}
"""Of jets and events, with their units."""


def feature_in_words(
    one: Mapping[str, Any], *, pt_power: float, node: NodeKind, unit: bool = False
) -> str:
    """A feature or observable of ``drift.json``.

    Args:
        one: its ``name``, and ``of`` what it is.
        pt_power: that the node features have raised pT to.
        node: what the nodes are.
        unit: whether to say it of observables.
    """
    if one["of"] != "node":
        words, units = OBSERVABLES.get(one["name"], (one["name"].replace("_", " "), ""))
        return f"{words} [{units}]" if unit and units else words
    column = str(one["name"])
    words = IN_WORDS.get(column, column.replace("_", " "))
    if pt_power != 1:
        words = words.replace("pT", f"pT^{pt_power:g}")
    return f"{words} of a {node}"
