"""Event rows to corrupted event rows.

Axes: E events, J jets of all events together, C constituents of all jets together.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raybead.config import CorruptionKind
from raybead.errors import InputError
from raybead.events import JET
from raybead.events.kinematics import Array, Momenta
from raybead.events.particles import offsets_of
from raybead.graphs.rows import Rows
from raybead.sweeping.corruptions.clouds import Clouds
from raybead.sweeping.corruptions.draws import Draws
from raybead.sweeping.corruptions.mass_scaling import mass_scaled
from raybead.sweeping.corruptions.shuffle import shuffled
from raybead.sweeping.corruptions.two_prong import two_pronged

_UNSEEN = 1e-3
"""Share of its mass that a jet's constituents have at least, where it follows theirs."""


def corrupt(events: pa.Table, kind: CorruptionKind, seed: int, *, radius: float = 1.0) -> pa.Table:
    r"""The same events with corrupted jets.

    Every jet keeps its three-momentum, so that neither cuts on pT nor the jets' order tell; its
    mass and energy, ``n`` and the event's ``mjj`` are those of the corrupted constituents. Truth
    is null. Measured fields of the jets (``tau1``, ...) are left out, as they'd be the old jet's.

    Where the rows don't hold all of a jet (subjets, leading constituents) its mass changes in
    proportion to that of what they hold, and its new mass is over all of its pT.

    What is drawn belongs to the seed, the kind, and the event and rank of a jet; which jet lends
    a second prong depends on the other events as well.

    Args:
        events: rows of :func:`raybead.events.event_schema`, background alone.
        kind: of the corruption; see :class:`raybead.config.Sweep`.
        seed: the same one makes the same rows.
        radius: R of the jets, which their constituents stay within.

    Raises:
        InputError: a jet without constituents, or one of theirs that has no pT.
    """
    rows = Rows.of(events)
    clouds = _clouds(rows)
    number = events.column("event").to_numpy()[rows.event]
    draws = Draws.of(seed, kind, number, rows.rank)
    old = Momenta(*(rows.of_jets(name) for name in ("px", "py", "pz", "e")))
    held, pt_J, mass_J = clouds.momenta, old.pt, rows.of_jets("mass")
    # Of those whose constituents are of one direction, as good as all mass is unseen.
    follows_J = held.mass > _UNSEEN * mass_J
    grown_J = np.divide(mass_J, held.mass, out=np.zeros(len(mass_J)), where=follows_J)
    n_J = rows.of_jets("n").astype(np.int64)
    match kind:
        case "shuffle":
            clouds = shuffled(clouds, draws, radius)
        case "mass-scaling":
            clouds = mass_scaled(clouds, mass_J / pt_J, draws, radius)
        case "two-prong":
            unheld_J = n_J - clouds.sizes_J
            clouds, z_J, partner_J = two_pronged(clouds, pt_J, rows.rank, draws, radius)
            unheld_J = np.rint(z_J * unheld_J + (1 - z_J) * unheld_J[partner_J])
            n_J = clouds.sizes_J + unheld_J.astype(np.int64)
            follows_J, grown_J = np.ones_like(follows_J), pt_J / held.pt
    clouds = clouds.restored(held)
    mass_J = np.where(follows_J, grown_J * clouds.momenta.mass, mass_J)
    energy_J = np.sqrt(old.px**2 + old.py**2 + old.pz**2 + mass_J**2)
    columns = {
        "truth": pa.nulls(len(events), pa.int8()),
        "mjj": pa.array(_mjj(events, rows, old._replace(e=energy_J))),
        "jets": _jets(rows, {"mass": mass_J, "e": energy_J, "n": n_J.astype(np.int32)}),
        "constituents": _constituents(rows, clouds),
    }
    schema = pa.schema(
        [f.with_type(columns[f.name].type) if f.name in columns else f for f in events.schema]
    )
    return pa.Table.from_arrays(
        [columns.get(name, events.column(name)) for name in schema.names], schema=schema
    )


def _clouds(rows: Rows) -> Clouds:
    pt_C, eta_C, phi_C = (rows.of_parts(name).astype(np.float64) for name in ("pt", "eta", "phi"))
    jet_C = np.repeat(np.arange(len(rows.sizes)), rows.sizes)
    bad_J = (rows.sizes == 0) | (np.bincount(jet_C, ~(pt_C > 0), len(rows.sizes)) > 0)
    if bad_J.any():
        jet = int(np.flatnonzero(bad_J)[0])
        event = rows.table.column("event")[int(rows.event[jet])]
        raise InputError(
            f"event {event}, jet {int(rows.rank[jet])}: no constituents, or one without pT; such"
            " a jet can't be corrupted"
        )
    return Clouds(rows.sizes, pt_C, eta_C, phi_C, np.arange(len(pt_C)))


def _mjj(events: pa.Table, rows: Rows, momenta: Momenta) -> Array:
    """[E] as :attr:`raybead.events.JetEvents.mjj`; what it was where there is one jet."""
    mjj_E = events.column("mjj").to_numpy().copy()
    pairs = rows.n_jets > 1
    first = offsets_of(rows.n_jets)[:-1][pairs]
    mjj_E[pairs] = (momenta.take(first) + momenta.take(first + 1)).mass
    return mjj_E


def _jets(rows: Rows, changed: dict[str, NDArray]) -> pa.ListArray:
    kind = rows.table.schema.field("jets").type
    fields = [f for f in kind.value_type if f.name in JET.names]
    values = pa.StructArray.from_arrays(
        [
            pa.array(changed[f.name], f.type) if f.name in changed else rows.jets.field(f.name)
            for f in fields
        ],
        fields=fields,
    )
    return _lists(rows.n_jets, values, kind)


def _constituents(rows: Rows, clouds: Clouds) -> pa.ListArray:
    kind = rows.table.schema.field("constituents").type
    moved = {"pt": clouds.pt_C, "eta": clouds.eta_C, "phi": clouds.phi_C}
    fields = list(kind.value_type.value_type)
    values = pa.StructArray.from_arrays(
        [
            pa.array(moved[f.name].astype(np.float32), f.type)
            if f.name in moved
            else pc.take(rows.parts.field(f.name), pa.array(clouds.row_C))
            for f in fields
        ],
        fields=fields,
    )
    return _lists(rows.n_jets, _lists(clouds.sizes_J, values, kind.value_type), kind)


def _lists(counts: NDArray[np.int64], values: pa.Array, kind: pa.ListType) -> pa.ListArray:
    """Lists of so many values each, their type ``kind`` but for the values' own."""
    of_these = pa.list_(kind.value_field.with_type(values.type))
    offsets = pa.array(offsets_of(counts), pa.int32())
    return pa.ListArray.from_arrays(offsets, values, type=of_these)
