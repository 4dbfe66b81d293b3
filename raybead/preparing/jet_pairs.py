"""Pairs of background jets with their exact energy mover's distance, for a network to learn.

Axes: J jets of the pool, E their events; T constituents of all jets together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raybead.config import Emd
from raybead.errors import InputError
from raybead.events import read_parquet, row_count
from raybead.events.particles import members_of, offsets_of
from raybead.observables import energy_movers_distance
from raybead.storage import Folder

Array = NDArray[np.float64]

SIDES = ("train", "validation", "test")
KINDS = ("random", "copy", "equal")
PAIRS_A_FILE = 500
"""Fixed, so that how the work is cut up doesn't decide what is drawn."""
PAIR_SCHEMA = pa.schema(
    [
        pa.field("pair", pa.int64(), nullable=False),
        pa.field("side", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("emd", pa.float64(), nullable=False),
        *(
            pa.field(f"{name}{jet}", pa.list_(pa.float32()), nullable=False)
            for jet in (1, 2)
            for name in ("pt", "eta", "phi")
        ),
    ]
)
_WEAKEST = 2.0
"""Powers of ten between the strongest copy and the faintest."""


class Jet(NamedTuple):
    """One jet's constituents: pT in GeV, and places about its centroid in radians."""

    pt: Array
    eta: Array
    phi: Array


@dataclass(frozen=True)
class JetPool:
    """Jets that pairs are drawn from, by the side of the split that their events lie on."""

    pt: NDArray[np.float32]
    """[T] GeV"""
    eta: NDArray[np.float32]
    phi: NDArray[np.float32]
    offsets: NDArray[np.int64]
    """[J + 1]"""
    side: NDArray[np.int64]
    """[J] place in :data:`SIDES`; both jets of an event lie on one side"""

    def jet(self, number: int) -> Jet:
        """One jet, seen from its own centroid."""
        own = slice(self.offsets[number], self.offsets[number + 1])
        pt, eta, phi = (x[own].astype(np.float64) for x in (self.pt, self.eta, self.phi))
        share = pt / pt.sum()
        turn = phi - math.atan2(share @ np.sin(phi), share @ np.cos(phi))
        turn -= 2 * np.pi * np.round(turn / (2 * np.pi))
        return Jet(pt, eta - share @ eta, turn - share @ turn)


def pool_of(events: Folder, config: Emd, seed: int) -> JetPool:
    """The jets of prepared events, evenly from all files, as many events as there are pairs.

    Raises:
        InputError: too few for pairs on every side of the split.
    """
    files = events.names(".parquet")
    rows = [row_count(events, name) for name in files]
    total = sum(rows)
    wanted = min(total, config.pairs)
    parts, seen, taken = [], 0, 0
    for name, n in zip(files, rows, strict=True):
        seen += n
        share = wanted * seen // max(total, 1) - taken
        taken += share
        if share:
            table = read_parquet(events.read(name), f"{events}/{name}", ["constituents"])
            parts.append(_constituents(table.take(np.arange(share) * n // share), config.nodes))
    n_validation, n_test = (round(share * wanted) for share in (config.validation, config.test))
    if min(n_validation, n_test, wanted - n_validation - n_test) < 1:
        raise InputError(f"{events}: {wanted} events are too few to make pairs of jets of")
    side = np.zeros(wanted, dtype=np.int64)
    order = np.random.default_rng([seed, 0]).permutation(wanted)
    side[order[:n_validation]] = 1
    side[order[n_validation : n_validation + n_test]] = 2
    pt, eta, phi = (np.concatenate([part[x] for part in parts]) for x in range(3))
    counts, of_event = (np.concatenate([part[x] for part in parts]) for x in (3, 4))
    return JetPool(pt, eta, phi, offsets_of(counts), np.repeat(side, of_event))


def _constituents(table: pa.Table, most: int) -> tuple[NDArray[Any], ...]:
    """pt, eta, phi [T] of the leading constituents of all jets, their numbers [J], and those of
    the events' jets [E]."""
    column = table.column("constituents").combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    inner = column.flatten()
    sizes = np.diff(inner.offsets.to_numpy())
    kept = np.minimum(sizes, most)
    picked = members_of(offsets_of(sizes)[:-1], kept)
    parts = inner.flatten()
    found = [parts.field(x).to_numpy(zero_copy_only=False)[picked] for x in ("pt", "eta", "phi")]
    return (*found, kept, np.diff(column.offsets.to_numpy()))


def files_of(config: Emd) -> list[str]:
    """Names of the files that all pairs go to, in order."""
    starts = range(0, config.pairs, PAIRS_A_FILE)
    return [f"pairs-{at:08d}-{min(at + PAIRS_A_FILE, config.pairs):08d}.parquet" for at in starts]


def make_pairs(pool: JetPool, config: Emd, seed: int, file: int) -> pa.Table:
    """The pairs of one file with their exact distances: rows of :data:`PAIR_SCHEMA`.

    Args:
        pool: the jets.
        config: how many pairs of which kinds.
        seed: the job's.
        file: number of the file, which with the seed decides all that is drawn.
    """
    rng = np.random.default_rng([seed, 1, file])
    numbers = range(file * PAIRS_A_FILE, min((file + 1) * PAIRS_A_FILE, config.pairs))
    of_side = [np.flatnonzero(pool.side == side) for side in range(len(SIDES))]
    sides, kinds, pairs = [], [], []
    for number in numbers:
        side = _side_of(number, config)
        draw = rng.random()
        kind = 1 if draw < config.copies else 2 if draw < config.copies + config.equal else 0
        jets = of_side[side]
        first = rng.integers(len(jets))
        other = (first + rng.integers(1, len(jets))) % len(jets)
        jet = pool.jet(int(jets[first]))
        match KINDS[kind]:
            case "copy":
                partner = perturbed(jet, config, rng)
            case "equal":
                order = rng.permutation(len(jet.pt))
                partner = Jet(*(x[order] for x in jet))
            case _:
                partner = _shifted(pool.jet(int(jets[other])), config, rng)
        sides.append(SIDES[side])
        kinds.append(KINDS[kind])
        pairs.append((_single(jet), _single(partner)))
    clouds, columns = [], {}
    for jet in (0, 1):
        offsets = offsets_of(np.array([len(pair[jet].pt) for pair in pairs]))
        flat = [np.concatenate([pair[jet][x] for pair in pairs]) for x in range(3)]
        clouds += [*flat, offsets]
        for name, values in zip(("pt", "eta", "phi"), flat, strict=True):
            columns[f"{name}{jet + 1}"] = pa.ListArray.from_arrays(
                pa.array(offsets, pa.int32()), pa.array(values, pa.float32())
            )
    distance = energy_movers_distance(*clouds, radius=config.radius)
    return pa.table(
        {"pair": list(numbers), "side": sides, "kind": kinds, "emd": distance, **columns},
        schema=PAIR_SCHEMA,
    )


def _side_of(number: int, config: Emd) -> int:
    """The first pairs choose the epoch, the next are held out; each drawn from jets of its own."""
    n_validation, n_test = (
        max(1, round(share * config.pairs)) for share in (config.validation, config.test)
    )
    return 1 if number < n_validation else 2 if number < n_validation + n_test else 0


def perturbed(jet: Jet, config: Emd, rng: np.random.Generator) -> Jet:
    """A copy of a jet with the faults of a reconstruction, each of a strength drawn for itself.

    Constituents are merged, lost and moved, their momenta wrong, and the whole is shifted.

    Args:
        jet: of one constituent at least.
        config: the strongest faults.
        rng: that draws.
    """
    merge, lose, noise, smear = 10 ** (-_WEAKEST * rng.random(4))
    jet = _merged(jet, rng.random(len(jet.pt)) < merge * config.merged)
    kept = rng.random(len(jet.pt)) >= lose * config.lost
    kept[rng.integers(len(kept))] = True
    pt, eta, phi = (x[kept] for x in jet)
    pt = pt * np.exp(noise * config.momentum_noise * rng.normal(size=len(pt)))
    spread = smear * config.smear
    moved = (x + spread * rng.normal(size=len(pt)) for x in (eta, phi))
    return _shifted(Jet(pt, *moved), config, rng)


def _merged(jet: Jet, merging: NDArray[np.bool_]) -> Jet:
    """Some constituents merged into the nearest of the others."""
    merging[jet.pt.argmax()] = False
    stay, go = np.flatnonzero(~merging), np.flatnonzero(merging)
    if len(go) == 0:
        return jet
    apart = np.hypot(*(x[go, None] - x[None, stay] for x in (jet.eta, jet.phi)))
    into = np.arange(len(jet.pt))
    into[go] = stay[apart.argmin(axis=1)]
    pt, arm_eta, arm_phi = (
        np.bincount(into, weights, len(jet.pt))[stay].astype(np.float64)
        for weights in (jet.pt, jet.pt * jet.eta, jet.pt * jet.phi)
    )
    return Jet(pt, arm_eta / pt, arm_phi / pt)


def _shifted(jet: Jet, config: Emd, rng: np.random.Generator) -> Jet:
    """A jet moved as a whole."""
    strength = config.smear * 10 ** (-_WEAKEST * rng.random())
    d_eta, d_phi = strength * rng.normal(size=2)
    return Jet(jet.pt, jet.eta + d_eta, jet.phi + d_phi)


def _single(jet: Jet) -> Jet:
    """As it will be stored: the distance is that of what the network sees."""
    return Jet(*(x.astype(np.float32).astype(np.float64) for x in jet))
