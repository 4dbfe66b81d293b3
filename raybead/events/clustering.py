"""Jets by sequential recombination, through fastjet's array interface (arXiv:1111.6097).

Axes: E events, J jets of all events together, C constituents of all jets together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import awkward as ak
import fastjet
import numpy as np
from numpy.typing import NDArray

from raybead.config import Jets
from raybead.events.kinematics import Momenta, massless
from raybead.events.particles import Particles, members_of, offsets_of

Algorithm = Literal["antikt", "kt", "cambridge-aachen"]
"""Anti-kt (arXiv:0802.1189), longitudinally invariant kt (arXiv:hep-ph/9305266) or
Cambridge/Aachen (arXiv:hep-ph/9707323)."""


@dataclass(frozen=True)
class JetEvents:
    """Events with their leading jets, ``n_leading`` each, leading first."""

    particles: Particles
    """The events that passed every cut."""
    n_leading: int
    momenta: Momenta
    """[J] with J = E * n_leading"""
    constituents: NDArray[np.int64]
    """[C] indices into the particles, jet after jet, pT falling"""
    offsets: NDArray[np.int64]
    """[J + 1]"""
    dropped: Mapping[str, int]
    """Events that each cut dropped, in the order of the cuts."""

    @property
    def mjj(self) -> NDArray[np.float64]:
        """[E] invariant mass of the two leading jets, GeV."""
        first = self.momenta.take(np.arange(0, len(self.offsets) - 1, self.n_leading))
        second = self.momenta.take(np.arange(1, len(self.offsets) - 1, self.n_leading))
        return (first + second).mass


def cluster(particles: Particles, config: Jets) -> JetEvents:
    """Cluster events, and keep those with enough jets.

    Constituents take part as massless particles and are added by four-momentum (E-scheme).
    """
    jet_event, momenta, offsets, constituents = _cluster_all(
        particles, config.radius, config.min_pt
    )
    real = np.diff(offsets) >= config.min_constituents
    # Leading first within each event; fastjet's own order is not by pT.
    order = np.lexsort((-momenta.pt, jet_event))
    order = order[real[order]]
    counts = np.bincount(jet_event[order], minlength=len(particles))
    first = offsets_of(counts)[:-1]
    enough = counts >= config.leading
    hard = enough.copy()
    leading_pt = momenta.pt[order]
    hard[enough] &= leading_pt[first[enough]] >= config.min_leading_pt
    dropped = {
        f"fewer than {config.leading} jets": int((~enough).sum()),
        "leading jet too soft": int((enough & ~hard).sum()),
    }
    kept = order[members_of(first[hard], np.full(hard.sum(), config.leading))]
    kept_counts = np.diff(offsets)[kept]
    kept_constituents = constituents[members_of(offsets[kept], kept_counts)]
    jet_of = np.repeat(np.arange(len(kept)), kept_counts)
    kept_constituents = kept_constituents[np.lexsort((-particles.pt[kept_constituents], jet_of))]
    if config.max_constituents is not None:
        starts = offsets_of(kept_counts)[:-1]
        kept_counts = np.minimum(kept_counts, config.max_constituents)
        kept_constituents = kept_constituents[members_of(starts, kept_counts)]
    return _restrict(
        particles,
        hard,
        config.leading,
        momenta.take(kept),
        kept_constituents,
        offsets_of(kept_counts),
        dropped,
    )


def leading_pt_eta(
    particles: Particles, radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """pT and eta [E] of each event's leading jet; 0 and 0 where there is none."""
    jet_event, momenta, _, _ = _cluster_all(particles, radius, min_pt=1.0)
    pt, eta = np.zeros(len(particles)), np.zeros(len(particles))
    rising = np.argsort(momenta.pt)  # the last to be written is the leading one
    pt[jet_event[rising]] = momenta.pt[rising]
    eta[jet_event[rising]] = momenta.eta[rising]
    return pt, eta


def _restrict(
    particles: Particles,
    keep: NDArray[np.bool_],
    n_leading: int,
    momenta: Momenta,
    constituents: NDArray[np.int64],
    offsets: NDArray[np.int64],
    dropped: Mapping[str, int],
) -> JetEvents:
    """Point the constituents into the particles of the kept events alone."""
    kept = np.repeat(keep, np.diff(particles.offsets))
    renumbered = np.cumsum(kept) - 1
    return JetEvents(
        particles.select(keep), n_leading, momenta, renumbered[constituents], offsets, dropped
    )


def _content(values: Any) -> ak.contents.NumpyArray:
    contiguous: Any = np.ascontiguousarray(values)
    return ak.contents.NumpyArray(contiguous)


def cluster_sequence(
    momenta: Momenta, counts: NDArray[np.integer], radius: float, algorithm: Algorithm
) -> fastjet.ClusterSequence:
    """Cluster groups of particles, each by itself.

    Args:
        momenta: [T] of all groups' particles, group after group.
        counts: [G] particles of each group; fastjet isn't asked about groups without any.
        radius: the algorithm's R.
        algorithm: which recombines them, in the E-scheme.
    """
    record = ak.contents.RecordArray(
        [_content(component) for component in momenta],
        ["px", "py", "pz", "E"],
        parameters={"__record__": "Momentum4D"},
    )
    groups = ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets_of(counts)), record))
    # A JetDefinition doesn't pickle, so it lives no longer than its use.
    return fastjet.ClusterSequence(groups, fastjet.JetDefinition(_number(algorithm), radius))


def _number(algorithm: Algorithm) -> int:
    match algorithm:
        case "antikt":
            return fastjet.antikt_algorithm
        case "kt":
            return fastjet.kt_algorithm
        case "cambridge-aachen":
            return fastjet.cambridge_algorithm
        case _:
            assert_never(algorithm)


def _cluster_all(
    particles: Particles, radius: float, min_pt: float, algorithm: Algorithm = "antikt"
) -> tuple[NDArray[np.int64], Momenta, NDArray[np.int64], NDArray[np.int64]]:
    """Every jet above ``min_pt``: its event [J], momentum [J], offsets [J + 1], indices [C]."""
    sizes = np.diff(particles.offsets)
    filled = np.flatnonzero(sizes > 0)
    nothing = np.empty(0)
    if len(filled) == 0:
        empty = np.empty(0, dtype=np.int64)
        return empty, Momenta(nothing, nothing, nothing, nothing), offsets_of(empty), empty
    inputs = massless(particles.pt, particles.eta, particles.phi)
    sequence = cluster_sequence(inputs, sizes[filled], radius, algorithm)
    jets = sequence.inclusive_jets(min_pt=min_pt)
    indices = sequence.constituent_index(min_pt=min_pt)
    jet_event = np.repeat(filled, ak.to_numpy(ak.num(jets)))
    momenta = Momenta(*(ak.to_numpy(ak.flatten(jets[c])) for c in ("px", "py", "pz", "E")))
    sizes_J = ak.to_numpy(ak.flatten(ak.num(indices, axis=2))).astype(np.int64)
    local = ak.to_numpy(ak.flatten(ak.flatten(indices))).astype(np.int64)
    return (
        jet_event,
        momenta,
        offsets_of(sizes_J),
        local + np.repeat(particles.offsets[:-1][jet_event], sizes_J),
    )
