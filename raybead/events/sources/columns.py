"""Mapped columns as particles of events: what they have to be, and what no event can have.

A column goes by its role, a key of ``[columns]``. Raybead's own events have four roles more:
``jet_px``, ``jet_py``, ``jet_pz`` and ``jet_e``.

Axes: E events, T particles of all events together, J jets of all events together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raybead.config import Columns, FileSource
from raybead.errors import InputError
from raybead.events.kinematics import Momenta
from raybead.events.particles import GivenJets, Particles, offsets_of, wrap_phi
from raybead.events.sources.ragged import Ragged, Shape

COMPONENTS = ("jet_px", "jet_py", "jet_pz", "jet_e")
A_PARTICLE = ("pt", "eta", "phi", "pid")
A_JET = ("btag", "jet_pt", "jet_eta", "jet_phi", "jet_mass", "jet_n", *COMPONENTS)
MOMENTA = ("pt", "met", "jet_pt", "jet_mass")
"""Roles that a unit of momentum scales."""
MEV = 1e-3
MAY_BE_NAN = ("btag", "met", "met_phi")
FLOAT32_PI = float(np.float32(np.pi))


def mapped(columns: Columns) -> dict[str, str]:
    """Names of columns by role, of the roles that are mapped."""
    names = columns.model_dump(exclude={"unit"}, exclude_none=True)
    return {role: str(name) for role, name in names.items()}


def check_shapes(uri: str, shapes: Mapping[str, Shape]) -> None:
    """Refuse columns whose type can't be their role's.

    Raises:
        InputError: naming file, column, and what it has to be.
    """
    nested = shapes["pt"].depth == 2
    for role, shape in shapes.items():
        if role == "pt":
            right, wanted = shape.depth in (1, 2), "a list an event, or lists of lists: jets"
        elif role in A_PARTICLE:
            right = shape.depth == shapes["pt"].depth
            wanted = f"{shapes['pt'].said.removeprefix('of ')}, as columns.pt"
        elif role in A_JET:
            right, wanted = shape.depth == 1, "a list an event with a number a jet"
        else:
            right, wanted = shape.depth == 0, "a number an event"
        if not (right and shape.numbers):
            raise InputError(
                f"{uri}: column {shape.name!r} (columns.{role}) is {shape.said};"
                f" it has to be {wanted}"
            )
        if role in A_JET and not nested:
            raise InputError(
                f"{uri}: column {shape.name!r} (columns.{role}) says something of jets, but"
                f" {shapes['pt'].name!r} is {shapes['pt'].said}: there are no ready-made jets"
            )


def particles_of(
    columns: Mapping[str, Ragged],
    config: FileSource,
    *,
    uri: str,
    start: int,
    scale: float = 1.0,
    generator: NDArray[np.object_] | None = None,
    own: bool = False,
) -> tuple[Particles, Mapping[str, int]]:
    """The events of a span, and how many unphysical rows were dropped.

    Args:
        columns: by role, of shapes that :func:`check_shapes` passes.
        config: the source's section.
        uri: of the file.
        start: row of the first event.
        scale: GeV of the columns' unit.
        generator: [E] of each event, where the file says it.
        own: whether they are raybead's own events, which may not know a value.

    Raises:
        InputError: a row that can't be an event, naming row and reason.
    """
    n = len(columns["pt"])
    faults = {f"a null in {column.name}": column.null for column in columns.values()}
    faults |= _misfits(columns)
    # Values are looked at only where lists fit together.
    whole = ~np.any(list(faults.values()), axis=0)
    fitting = {role: _scaled(role, column, scale, whole) for role, column in columns.items()}
    for reason, hit in _unphysical(fitting, config.max_abs_eta, own=own).items():
        faults[reason] = np.zeros(n, dtype=bool)
        faults[reason][whole] = hit
    good = _good_rows(faults, config, uri, start)
    event = np.arange(start, start + n)[good]
    part = {role: column.select(good[whole]) for role, column in fitting.items()}
    if config.truth is not None:
        truth = np.full(len(event), config.truth, np.int8)
    else:
        truth = _truth(part.get("truth"), uri, event, least=-1 if own else 0)
    if config.generator is None and generator is not None:
        said: str | NDArray[np.object_] | None = generator[good]
    else:
        said = config.generator
    offsets, jets, present_T = _without_padding(part)
    flat = {role: part[role].values[present_T] for role in A_PARTICLE if role in part}
    met_phi = part.get("met_phi")
    particles = Particles(
        event=event,
        offsets=offsets,
        pt=flat["pt"].astype(np.float64),
        eta=flat["eta"].astype(np.float64),
        phi=_angle(flat["phi"]),
        pid=flat["pid"].astype(np.int32) if "pid" in flat else None,
        truth=truth,
        weight=_values(part, "weight", np.float64),
        met=_values(part, "met", np.float32),
        met_phi=None if met_phi is None else _angle(met_phi.values).astype(np.float32),
        jets=jets,
        generator=said,
        source=uri,
    )
    dropped = {} if config.bad_rows == "refuse" else {"unphysical row": int((~good).sum())}
    return particles, dropped


def _misfits(columns: Mapping[str, Ragged]) -> dict[str, NDArray[np.bool_]]:
    """Reasons why lists of an event don't belong together, and the events [E] of each."""
    pt = columns["pt"]
    faults = {}
    for role in ("eta", "phi", "pid"):
        if role in columns:
            reason = f"{pt.name} and {columns[role].name} of different lengths"
            faults[reason] = _differ(pt, columns[role], len(pt.offsets))
    for role in A_JET:
        if role in columns:
            reason = f"{columns[role].name} is not one value a jet of {pt.name}"
            faults[reason] = _differ(pt, columns[role], 1)
    return faults


def _differ(a: Ragged, b: Ragged, levels: int) -> NDArray[np.bool_]:
    """[E] whether the first lists of an event, as many levels as asked, differ in length."""
    differ = np.diff(a.offsets[0]) != np.diff(b.offsets[0])
    if levels == 2:
        alike = ~differ
        of_a, of_b = a.select(alike), b.select(alike)
        unlike_J = np.diff(of_a.offsets[1]) != np.diff(of_b.offsets[1])
        jet_event = np.repeat(np.arange(len(of_a)), np.diff(of_a.offsets[0]))
        differ[np.flatnonzero(alike)[jet_event[unlike_J]]] = True
    return differ


def _unphysical(
    part: Mapping[str, Ragged], max_abs_eta: float, *, own: bool
) -> dict[str, NDArray[np.bool_]]:
    """Reasons why values can't be an event's, and the events of each."""
    faults = {}
    for role, column in part.items():
        if role != "truth" and not (own and role in MAY_BE_NAN):
            reason = f"NaN or infinity in {column.name}"
            faults[reason] = column.any_of(~np.isfinite(column.values))
    beyond = f"|eta| beyond {max_abs_eta:g}"
    for pt, eta, what in (("pt", "eta", ""), ("jet_pt", "jet_eta", " of a jet")):
        if pt in part:
            pts, etas = part[pt], part[eta]
            faults["negative pT" + what] = pts.any_of(pts.values < 0)
            far = (np.abs(etas.values) > max_abs_eta) & (pts.values > 0)
            faults[beyond + what] = etas.any_of(far)
    if "met" in part:
        faults["negative MET"] = part["met"].values < 0
    if "pid" in part:
        values = part["pid"].values
        finite = np.where(np.isfinite(values), values, 0)
        odd = (finite != np.rint(finite)) | (np.abs(finite.astype(np.float64)) >= 2**31)
        faults[f"{part['pid'].name} is no PDG number"] = part["pid"].any_of(odd)
    return faults


def _good_rows(
    faults: Mapping[str, NDArray[np.bool_]], config: FileSource, uri: str, start: int
) -> NDArray[np.bool_]:
    bad = np.any(list(faults.values()), axis=0)
    if bad.any() and config.bad_rows == "refuse":
        row = int(np.argmax(bad))
        reason = next(reason for reason, hit in faults.items() if hit[row])
        more = int(bad.sum()) - 1
        rest = f" (and {more} more bad rows up to row {start + len(bad) - 1})" if more else ""
        raise InputError(
            f"{uri}: row {start + row}: {reason}{rest};"
            " bad_rows = 'drop' in its [data] section drops and counts such rows"
        )
    return ~bad


def _without_padding(
    part: Mapping[str, Ragged],
) -> tuple[NDArray[np.int64], GivenJets | None, NDArray[np.bool_]]:
    """Offsets [E + 1] of the particles, the jets, and which particles [T] aren't padding.

    Padding has pT 0. A jet of padding alone is padding too, unless it has a momentum.
    """
    pt = part["pt"]
    present_T = pt.values > 0
    rank = offsets_of(present_T.astype(np.int64))
    offsets = rank[pt.bounds]
    if len(pt.offsets) == 1:
        return offsets, None, present_T
    per_event, per_jet = pt.offsets
    counts_J = np.diff(rank[per_jet])
    momenta = _momenta(part)
    nothing = np.diff(per_jet) > 0 if momenta is None else momenta.e == 0
    real_J = (counts_J > 0) | ~nothing
    btag = _values(part, "btag", np.float32)
    jets = GivenJets(
        offsets=offsets_of(real_J.astype(np.int64))[per_event],
        constituents=offsets_of(counts_J[real_J]),
        btag=None if btag is None else btag[real_J],
        momenta=None if momenta is None else momenta.take(np.flatnonzero(real_J)),
        n=None if "jet_n" not in part else part["jet_n"].values.astype(np.int64)[real_J],
    )
    return offsets, jets, present_T


def _momenta(part: Mapping[str, Ragged]) -> Momenta | None:
    if COMPONENTS[0] in part:
        return Momenta(*(part[role].values.astype(np.float64) for role in COMPONENTS))
    if "jet_pt" not in part:
        return None
    pt, eta, phi, mass = (
        part[role].values.astype(np.float64)
        for role in ("jet_pt", "jet_eta", "jet_phi", "jet_mass")
    )
    eta = np.where(pt > 0, eta, 0.0)  # padding may hold anything
    # A negative mass is how files write a square below zero, which rounding makes.
    square = (pt * np.cosh(eta)) ** 2 + mass * np.abs(mass)
    return Momenta(
        pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), np.sqrt(np.maximum(square, 0.0))
    )


def _truth(
    column: Ragged | None, uri: str, row: NDArray[np.int64], *, least: int
) -> NDArray[np.int8] | None:
    if column is None:
        return None
    odd = ~np.isin(column.values, np.arange(least, 100))
    if odd.any():
        first = int(np.argmax(odd))
        raise InputError(
            f"{uri}: row {row[first]}: {column.name} {column.values[first]} is no class number"
        )
    return column.values.astype(np.int8)


def _scaled(role: str, column: Ragged, scale: float, keep: NDArray[np.bool_]) -> Ragged:
    column = column.select(keep)
    if scale == 1.0 or role not in MOMENTA:
        return column
    scaled = column.values.astype(np.float64) * scale
    return Ragged(column.name, scaled, column.offsets, column.null)


def _values(part: Mapping[str, Ragged], role: str, kind: type[Any]) -> NDArray[Any] | None:
    return part[role].values.astype(kind) if role in part else None


def _angle(phi: NDArray[Any]) -> NDArray[np.float64]:
    """Angles in [-pi, pi]. Pi as float32 is a little more than pi: it stays where it is."""
    wide = phi.astype(np.float64)
    if phi.dtype == np.float32:
        wide = np.where(np.abs(wide) <= FLOAT32_PI, np.clip(wide, -np.pi, np.pi), wide)
    return wrap_phi(wide)
