"""From particles to events of leading jets: found or given, cut, groomed, measured.

Axes: E events, J jets of all events together, C constituents of all jets together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.config import Jets
from raybead.events.clustering import cluster_all
from raybead.events.grooming import exclusive_subjets, soft_drop
from raybead.events.kinematics import Array, Momenta, massless
from raybead.events.particles import GivenJets, Particles, members_of, offsets_of

_LEAST = 2
"""Jets of an event at least: its m_jj needs them."""


@dataclass(frozen=True)
class FoundJets:
    """Every jet of E events, before any cut but the one on pT."""

    event: NDArray[np.int64]
    """[J] number of the jet's event, rising"""
    momenta: Momenta
    """[J]"""
    offsets: NDArray[np.int64]
    """[J + 1]"""
    constituents: NDArray[np.int64]
    """[C] indices into the particles"""
    btag: NDArray[np.float32] | None = None
    """[J]"""
    n: NDArray[np.int64] | None = None
    """[J] constituents, where it isn't those that are left"""


@dataclass(frozen=True)
class Constituents:
    """What jets are made of, jet after jet, pT falling."""

    offsets: NDArray[np.int64]
    """[J + 1]"""
    pt: Array
    """[C] GeV"""
    eta: Array
    """[C]"""
    phi: Array
    """[C] radians"""
    pid: NDArray[np.int32] | None = None
    """[C] PDG numbers; None where they are unknown"""

    def take(self, picked: NDArray[np.integer], offsets: NDArray[np.int64]) -> Constituents:
        """Those at ``picked`` [C'], in that order, jets ending at ``offsets``."""
        pid = None if self.pid is None else self.pid[picked]
        return Constituents(offsets, self.pt[picked], self.eta[picked], self.phi[picked], pid)


@dataclass(frozen=True)
class JetEvents:
    """Events with their leading jets, two at least, leading first."""

    particles: Particles
    """The events that passed every cut."""
    offsets: NDArray[np.int64]
    """[E + 1] jets of each event"""
    momenta: Momenta
    """[J]"""
    n: NDArray[np.int64]
    """[J] constituents, whatever stands for them in ``constituents``"""
    constituents: Constituents
    dropped: Mapping[str, int]
    """Events that each cut dropped, in the order of the cuts."""
    btag: NDArray[np.float32] | None = None
    """[J]"""

    @property
    def mjj(self) -> Array:
        """[E] invariant mass of the two leading jets, GeV."""
        first = self.offsets[:-1]
        return (self.momenta.take(first) + self.momenta.take(first + 1)).mass


def make_jets(particles: Particles, config: Jets) -> JetEvents:
    """Jets of events, as many as each has up to ``config.leading``, and the events that have two.

    Constituents take part as massless particles and are added by four-momentum (E-scheme).
    """
    found = find_jets(particles, config)
    pt = found.momenta.pt
    real = (np.diff(found.offsets) >= config.min_constituents) & (pt >= config.min_pt) & (pt > 0)
    # Leading first within each event; neither fastjet's order nor a file's is by pT.
    order = np.lexsort((-found.momenta.pt, found.event))
    order = order[real[order]]
    counts = np.bincount(found.event[order], minlength=len(particles))
    first = offsets_of(counts)[:-1]
    enough = counts >= _LEAST
    hard = enough.copy()
    leading_pt = found.momenta.pt[order]
    hard[enough] &= leading_pt[first[enough]] >= config.min_leading_pt
    dropped = {
        f"fewer than {_LEAST} jets": int((~enough).sum()),
        "leading jet too soft": int((enough & ~hard).sum()),
    }
    n_kept = np.minimum(counts[hard], config.leading)
    kept = order[members_of(first[hard], n_kept)]
    sizes = np.diff(found.offsets)[kept]
    events = JetEvents(
        particles=particles.select(hard),
        offsets=offsets_of(n_kept),
        momenta=found.momenta.take(kept),
        n=sizes if found.n is None else found.n[kept],
        constituents=_by_pt(particles, found.constituents, found.offsets[kept], sizes),
        dropped=dropped,
        btag=None if found.btag is None else found.btag[kept],
    )
    return _groomed(events, config)


def find_jets(particles: Particles, config: Jets) -> FoundJets:
    """Ready-made jets where an event has them, clustered ones otherwise."""
    if particles.jets is None or config.recluster:
        return FoundJets(*cluster_all(particles, config.radius, config.min_pt, config.algorithm))
    return _given(particles, particles.jets)


def _given(particles: Particles, jets: GivenJets) -> FoundJets:
    momenta = jets.momenta
    if momenta is None:
        momenta = _summed(particles.pt, particles.eta, particles.phi, jets.constituents)
    return FoundJets(
        event=np.repeat(np.arange(len(particles)), np.diff(jets.offsets)),
        momenta=momenta,
        offsets=jets.constituents,
        constituents=np.arange(len(particles.pt)),
        btag=jets.btag,
        n=jets.n,
    )


def _summed(pt: Array, eta: Array, phi: Array, offsets: NDArray[np.int64]) -> Momenta:
    """Four-momenta of groups of massless particles; zero for an empty group."""
    n_jets = len(offsets) - 1
    jet = np.repeat(np.arange(n_jets), np.diff(offsets))
    sums = (np.bincount(jet, component, n_jets) for component in massless(pt, eta, phi))
    return Momenta(*(np.asarray(component, np.float64) for component in sums))


def _by_pt(
    particles: Particles,
    constituents: NDArray[np.int64],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> Constituents:
    index = constituents[members_of(starts, sizes)]
    index = index[_falling(particles.pt[index], sizes)]
    return Constituents(
        offsets_of(sizes), particles.pt, particles.eta, particles.phi, particles.pid
    ).take(index, offsets_of(sizes))


def _falling(pt: Array, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """[C] order of constituents by jet and falling pT; those of one pT stay in their order.

    Jet, pT in the single precision that rows hold, and place in the jet make one whole number,
    which sorts several times faster than three columns.
    """
    jet = np.repeat(np.arange(len(sizes)), sizes)
    if len(sizes) > 1 << 19 or sizes.max(initial=0) > 1 << 12:
        return np.lexsort((-pt.astype(np.float32), jet))
    starts = offsets_of(sizes)[:-1]
    place = np.arange(len(pt)) - np.repeat(starts, sizes)
    # Bits of floats from zero up rise with them; adding zero makes a negative zero positive.
    softness = np.int64(0xFFFFFFFF) - (pt.astype(np.float32) + np.float32(0)).view(np.int32)
    key = np.sort((jet << 44) | (softness << 12) | place)
    return (key & 0xFFF) + np.repeat(starts, sizes)


def _groomed(events: JetEvents, config: Jets) -> JetEvents:
    """Jets less what soft drop removes; events of whose two leading jets it leaves one too small
    are dropped. A third or later jet that is left too small goes by itself: the event never needed
    it, and no cut counts it.

    The cuts on pT and the jets' order are those from before: that is how jets are selected where
    grooming is used, and a trigger knows no other.
    """
    if config.soft_drop is None:
        return events
    parts = events.constituents
    kept = soft_drop(
        parts.pt,
        parts.eta,
        parts.phi,
        parts.offsets,
        config.soft_drop.z_cut,
        config.soft_drop.beta,
        config.radius,
    )
    jet = np.repeat(np.arange(len(events.n)), np.diff(parts.offsets))
    sizes = np.bincount(jet[kept], minlength=len(events.n))
    parts = parts.take(np.flatnonzero(kept), offsets_of(sizes))
    n_events, per_event = len(events.particles), np.diff(events.offsets)
    event = np.repeat(np.arange(n_events), per_event)
    needed = np.arange(len(event)) - events.offsets[event] < _LEAST
    large = sizes >= config.min_constituents
    whole = np.bincount(event[needed & ~large], minlength=n_events) == 0
    of_jet = whole[event] & large
    return JetEvents(
        particles=events.particles.select(whole),
        offsets=offsets_of(np.bincount(event[of_jet], minlength=n_events)[whole]),
        momenta=_summed(parts.pt, parts.eta, parts.phi, parts.offsets).take(
            np.flatnonzero(of_jet)
        ),
        n=sizes[of_jet],
        constituents=parts.take(
            np.flatnonzero(np.repeat(of_jet, sizes)), offsets_of(sizes[of_jet])
        ),
        dropped={**events.dropped, "jet groomed away": int((~whole).sum())},
        btag=None if events.btag is None else events.btag[of_jet],
    )


def reduced(parts: Constituents, config: Jets) -> Constituents:
    """Subjets in place of constituents, and the cap on either, where a job asks for them."""
    if config.subjets is not None:
        subjets = exclusive_subjets(parts.pt, parts.eta, parts.phi, parts.offsets, config.subjets)
        momenta = subjets.momenta
        parts = Constituents(subjets.offsets, momenta.pt, momenta.eta, momenta.phi)
    if config.max_constituents is not None:
        sizes = np.minimum(np.diff(parts.offsets), config.max_constituents)
        parts = parts.take(members_of(parts.offsets[:-1], sizes), offsets_of(sizes))
    return parts
