"""What ``[graph]`` may say of features: sets and kinds of scaling by name, presets of both."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator

NodeKind = Literal["constituent", "jet", "event"]
FeatureSet = Literal[
    "jet-axis", "cartesian", "cylindrical", "p4", "p4-cylindrical", "p4-btag", "jet", "event"
]

NAMES: dict[FeatureSet, tuple[str, ...]] = {
    "jet-axis": ("pt_deta", "pt_dphi", "pt"),
    "cartesian": ("px", "py", "pz"),
    "cylindrical": ("pt", "eta", "phi"),
    "p4": ("px", "py", "pz", "e"),
    "p4-cylindrical": ("pt", "eta", "phi", "m"),
    "p4-btag": ("pt", "eta", "phi", "btag"),
    "jet": ("n", "btag", "pt", "eta", "phi"),
    "event": ("met", "met_phi", "n_jets", "ht"),
}
"""Names of the features, in order; momenta, energies and masses in GeV, angles in radians."""
ANGLES = frozenset({"phi", "met_phi"})
"""Columns that go once round the circle: what ``sin-cos`` is for."""

ScalingKind = Literal[
    "none",
    "standard",
    "robust",
    "min-max",
    "max-abs",
    "log",
    "quantile",
    "power",
    "l2",
    "sin-cos",
]
Chain = tuple[ScalingKind, ...]
"""Kinds of scaling of one column, first to last."""
DEFAULT = "default"
"""What the columns that a table of scalings doesn't name are scaled by."""

Preset = Literal["bead-4momentum", "bead-4momentum-btag", "bead-jets", "bead-event"]

_PJ_CUSTOM = {"pt": ["log", "standard"], "eta": "standard", "phi": "sin-cos"}
PRESETS: dict[Preset, dict[str, Any]] = {
    "bead-4momentum": {"features": "cylindrical", "scaling": _PJ_CUSTOM},
    "bead-4momentum-btag": {"features": "p4-btag", "scaling": {**_PJ_CUSTOM, "btag": "none"}},
    "bead-jets": {
        "level": "event",
        "node": "jet",
        "features": "jet",
        "scaling": {**_PJ_CUSTOM, "n": "robust", "btag": "none"},
    },
    "bead-event": {
        "level": "event",
        "node": "event",
        "features": "event",
        "scaling": {"met_phi": "sin-cos", "default": "standard"},
    },
}
"""BEAD's input sets of constituents, jets and events with its normalisation ``pj_custom``; fitted
on training background alone, where BEAD fits afresh for every file."""


def chain_of(given: str | Iterable[str]) -> Chain:
    """A chain, of a chain or of one kind."""
    return (given,) if isinstance(given, str) else tuple(given)  # type: ignore[return-value]


def check_columns(features: FeatureSet, chains: Mapping[str, Chain]) -> None:
    """Refuse scalings that don't fit the columns.

    Args:
        features: whose columns they are.
        chains: by column, or :data:`DEFAULT`.

    Raises:
        ValueError: a column that isn't there, or ``sin-cos`` of what is no angle.
    """
    columns = NAMES[features]
    for column in chains.keys() - {DEFAULT, *columns}:
        hint = _nearest(column, (*columns, DEFAULT))
        raise ValueError(
            f"{column!r} is no column of {features!r}, which has {', '.join(columns)}{hint}"
        )
    for column in columns:
        if "sin-cos" in chains.get(column, chains[DEFAULT]) and column not in ANGLES:
            angles = ", ".join(sorted(ANGLES.intersection(columns))) or "none"
            raise ValueError(
                f"{column} is no angle for sin-cos (angles of {features!r}: {angles})"
            )


def check_node(node: NodeKind, features: FeatureSet) -> None:
    """Refuse features that nodes of a kind don't have.

    Raises:
        ValueError: which, and what would do.
    """
    fits: dict[NodeKind, frozenset[str]] = {
        "constituent": frozenset(NAMES) - {"jet", "event"},
        "jet": frozenset(NAMES) - {"jet-axis", "event"},
        "event": frozenset({"event"}),
    }
    if features not in fits[node]:
        known = ", ".join(name for name in NAMES if name in fits[node])
        raise ValueError(f"features {features!r} aren't of {node} nodes, which have {known}")


def _check_scaling(given: object) -> object:
    # Said here in one line: pydantic would complain of every member of the union.
    match given:
        case Mapping():
            for column, chain in given.items():
                if isinstance(chain, Mapping):
                    raise ValueError(f"{column}: write a kind, or a list of kinds, not a table")
                _check_chain(chain, f"{column}: ")
        case _:
            _check_chain(given, "")
    return given


def _check_chain(given: object, where: str) -> None:
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list | tuple):
        raise ValueError(f"{where}write a kind of scaling, a list of kinds, or a table by column")
    if not given:
        raise ValueError(f"{where}an empty chain; write 'none' for no scaling")
    known = get_args(ScalingKind)
    for kind in given:
        if kind in known:
            continue
        hint = _nearest(str(kind), known)
        if "+" in str(kind):
            hint = "; write a chain as a list"
        raise ValueError(f"{where}{kind!r} is no kind of scaling ({', '.join(known)}){hint}")
    if "sin-cos" in given[1:]:
        raise ValueError(f"{where}sin-cos takes an angle, so it comes first in its chain")


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word.lower(), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


ScalingChoice = Annotated[
    ScalingKind | Chain | dict[str, ScalingKind | Chain], BeforeValidator(_check_scaling)
]
"""One kind or chain for all columns, or a table of them by column."""
