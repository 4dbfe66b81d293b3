"""Which columns of a file are likely to be particles, by their names."""

from __future__ import annotations

import re
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from raybead.config import Columns
from raybead.errors import InputError
from raybead.events.sources.ragged import dotted_names
from raybead.events.sources.root import tree_keys
from raybead.storage import open_input

LIKELY = ("constituents", "constituent", "particles", "particle", "part", "pf")
"""Owners of pt, eta and phi, the likeliest first."""
NO_PARTICLES = ("jet", "jets", "fatjet", "fatjets", "muon", "electron", "photon", "tau", "met")
OF_A_PARTICLE = {"pid": ("pid", "pdgid", "pdg_id", "pdg")}
OF_AN_EVENT = {
    "weight": ("weight", "evtwt", "event_weight", "genweight"),
    "met": ("met", "met_pt", "missinget_met"),
    "met_phi": ("met_phi", "metphi", "missinget_phi"),
    "truth": ("truth", "label", "is_signal"),
}


def column_names(path: str, kind: Literal["parquet", "root"]) -> list[str]:
    """Names of all columns or branches of a file, a dot before each field of a struct.

    Raises:
        InputError: the file isn't of that kind.
    """
    if kind == "root":
        return tree_keys(path)
    with open_input(path) as stream:
        try:
            return dotted_names(list(pq.read_schema(stream)))
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path}: truncated or damaged Parquet: {error}") from None


def guessed_columns(names: list[str]) -> Columns | None:
    """The likeliest mapping of columns; None where none are named like pt, eta and phi."""
    by_owner: dict[str, dict[str, str]] = {}
    for name in names:
        owner, _, leaf = re.sub(r"[._](?=[^._]*$)", "\0", name).partition("\0")
        if not leaf:
            owner, leaf = "", owner
        by_owner.setdefault(owner, {})[leaf.lower()] = name

    def last(owner: str) -> str:
        return re.split(r"[._]", owner.lower())[-1]

    owners = [
        owner
        for owner, of in by_owner.items()
        if {"pt", "eta", "phi"} <= set(of) and last(owner) not in NO_PARTICLES
    ]
    if not owners:
        return None

    def rank(owner: str) -> int:
        return LIKELY.index(last(owner)) if last(owner) in LIKELY else len(LIKELY)

    chosen = by_owner[min(owners, key=rank)]
    found = {role: chosen[role] for role in ("pt", "eta", "phi")}
    lowered = {name.lower(): name for name in names}
    for spellings, among in ((OF_A_PARTICLE, chosen), (OF_AN_EVENT, lowered)):
        for role, known in spellings.items():
            named = next((among[name] for name in known if name in among), None)
            if named is not None:
                found[role] = named
    return Columns.model_validate(found)
