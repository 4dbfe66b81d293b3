"""Raw events: every particle of a range of rows, ragged and packed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raybead.events.kinematics import Momenta

# Axes: E events, T particles of all events together, J jets of all events together.


@dataclass(frozen=True)
class GivenJets:
    """Jets that come ready-made: J of all events together, their particles side by side."""

    offsets: NDArray[np.int64]
    """[E + 1] jets of each event"""
    constituents: NDArray[np.int64]
    """[J + 1] particles of each jet; every particle belongs to one"""
    btag: NDArray[np.float32] | None = None
    """[J] NaN where it is unknown; None where all are"""
    momenta: Momenta | None = None
    """[J] None where a jet's momentum is its constituents' sum"""
    n: NDArray[np.int64] | None = None
    """[J] constituents before some were cut off; None where all are there"""


@dataclass(frozen=True)
class Particles:
    """Particles of E events as flat arrays; event e owns ``offsets[e]:offsets[e + 1]``."""

    event: NDArray[np.int64]
    """[E] global position of each event in its source"""
    offsets: NDArray[np.int64]
    """[E + 1]"""
    pt: NDArray[np.float64]
    """[T] GeV"""
    eta: NDArray[np.float64]
    """[T] pseudorapidity; particles are massless"""
    phi: NDArray[np.float64]
    """[T] radians in [-pi, pi]"""
    pid: NDArray[np.int32] | None = None
    """[T] PDG numbers, 0 where one is unknown; None where all are"""
    truth: NDArray[np.int8] | None = None
    """[E] class, -1 where it is unknown; None where all are"""
    weight: NDArray[np.float64] | None = None
    """[E] None where every event counts as one"""
    met: NDArray[np.float32] | None = None
    """[E] missing transverse momentum, GeV, NaN where it is unknown; None where all are"""
    met_phi: NDArray[np.float32] | None = None
    """[E] its azimuth, radians"""
    jets: GivenJets | None = None
    """None where jets are yet to be found"""
    generator: str | NDArray[np.object_] | None = None
    """Of all events, or [E] of each (None where it is unknown)"""
    source: str = ""
    """Where the events come from: a path, URI, or generator"""

    def __len__(self) -> int:
        return len(self.event)

    @property
    def nbytes(self) -> int:
        """Of all numbers of the particles, as they lie in memory."""
        columns = (self.offsets, self.pt, self.eta, self.phi, self.pid)
        return sum(column.nbytes for column in columns if column is not None)

    def select(self, keep: NDArray[np.bool_]) -> Particles:
        """The events where ``keep`` [E] is true."""
        if keep.all():
            return self
        counts = np.diff(self.offsets)
        kept = np.repeat(keep, counts)

        def per_event(values: Any) -> Any:
            return values[keep] if isinstance(values, np.ndarray) else values

        return replace(
            self,
            event=self.event[keep],
            offsets=offsets_of(counts[keep]),
            pt=self.pt[kept],
            eta=self.eta[kept],
            phi=self.phi[kept],
            pid=None if self.pid is None else self.pid[kept],
            truth=per_event(self.truth),
            weight=per_event(self.weight),
            met=per_event(self.met),
            met_phi=per_event(self.met_phi),
            generator=per_event(self.generator),
            jets=None if self.jets is None else _select_jets(self.jets, keep),
        )


def _select_jets(jets: GivenJets, keep: NDArray[np.bool_]) -> GivenJets:
    per_event = np.diff(jets.offsets)
    kept = np.repeat(keep, per_event)
    return GivenJets(
        offsets=offsets_of(per_event[keep]),
        constituents=offsets_of(np.diff(jets.constituents)[kept]),
        btag=None if jets.btag is None else jets.btag[kept],
        momenta=None if jets.momenta is None else jets.momenta.take(np.flatnonzero(kept)),
        n=None if jets.n is None else jets.n[kept],
    )


def offsets_of(counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Offsets [E + 1] of groups of ``counts`` [E] members that lie one behind another."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def wrap_phi(phi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles brought to [-pi, pi]; those that lie there already keep every bit."""
    inside = np.abs(phi) <= np.pi
    return phi if inside.all() else np.where(inside, phi, (phi + np.pi) % (2 * np.pi) - np.pi)


def members_of(starts: NDArray[np.integer], counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Indices of the members of groups, group after group.

    Args:
        starts: [G] index of each group's first member.
        counts: [G] members of each group.
    """
    offsets = offsets_of(counts)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    return np.repeat(starts, counts) + within
