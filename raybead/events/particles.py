"""Raw events: every particle of a range of rows, ragged and packed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

# Axes: E events, T particles of all events together.


@dataclass(frozen=True)
class Particles:
    """Particles of E events as flat arrays; event e owns ``offsets[e]:offsets[e + 1]``."""

    event: NDArray[np.int64]
    """[E] global position of each event in its source."""
    offsets: NDArray[np.int64]
    """[E + 1]"""
    pt: NDArray[np.float64]
    """[T] GeV"""
    eta: NDArray[np.float64]
    """[T] pseudorapidity; particles are massless"""
    phi: NDArray[np.float64]
    """[T] radians in [-pi, pi]"""
    truth: NDArray[np.int8] | None = None
    """[E] label; None where it is unknown"""
    generator: str | None = None
    source: str = ""

    def __len__(self) -> int:
        return len(self.event)

    def select(self, keep: NDArray[np.bool_]) -> Particles:
        """The events where ``keep`` [E] is true."""
        if keep.all():
            return self
        counts = np.diff(self.offsets)
        kept = np.repeat(keep, counts)
        return replace(
            self,
            event=self.event[keep],
            offsets=offsets_of(counts[keep]),
            pt=self.pt[kept],
            eta=self.eta[kept],
            phi=self.phi[kept],
            truth=None if self.truth is None else self.truth[keep],
        )


def offsets_of(counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Offsets [E + 1] of groups of ``counts`` [E] members that lie one behind another."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def wrap_phi(phi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles brought to [-pi, pi]; those that lie there already keep every bit."""
    return np.where(np.abs(phi) <= np.pi, phi, (phi + np.pi) % (2 * np.pi) - np.pi)


def members_of(starts: NDArray[np.integer], counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Indices of the members of groups, group after group.

    Args:
        starts: [G] index of each group's first member.
        counts: [G] members of each group.
    """
    offsets = offsets_of(counts)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    return np.repeat(starts, counts) + within
