"""Random numbers that belong to a jet or a constituent, wherever in a table it stands.

Axes: J jets, C constituents of all jets together, Z numbers each.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.events.particles import members_of

_ODD = tuple(
    np.uint64(odd) for odd in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
"""The constants of splitmix64 (doi:10.1145/2714064.2660195)."""


@dataclass(frozen=True)
class Draws:
    """Numbers that follow from a seed, a purpose, and the event and rank of a jet."""

    keys_J: NDArray[np.uint64]

    @classmethod
    def of(
        cls, seed: int, purpose: str, event_J: NDArray[np.integer], rank_J: NDArray[np.integer]
    ) -> Draws:
        """Draws for jets of those events and ranks."""
        salt = np.full(1, seed % 2**64, np.uint64)
        key = _mixed(_mixed(salt) + np.uint64(zlib.crc32(purpose.encode())))
        keys_J = _mixed(key + np.asarray(event_J).astype(np.int64).view(np.uint64))
        return cls(_mixed(keys_J + np.asarray(rank_J).astype(np.uint64)))

    def of_jets(self, width: int) -> NDArray[np.float64]:
        """[Z, J] independent uniform numbers, from 0 to below 1; the first ones of more."""
        return _uniform(_mixed(self.keys_J + np.arange(width, dtype=np.uint64)[:, None]))

    def of_constituents(self, sizes_J: NDArray[np.integer]) -> NDArray[np.float64]:
        """[C] one for each of a jet's constituents, by its place."""
        place_C = members_of(np.zeros(len(sizes_J), np.int64), sizes_J).view(np.uint64)
        # Not the keys that the jet's own numbers come from.
        return _uniform(_mixed(np.repeat(_mixed(~self.keys_J), sizes_J) + place_C))


def _uniform(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (bits >> np.uint64(11)).astype(np.float64) / 2.0**53


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64's output of a state; unsigned arithmetic wraps round."""
    x = x * _ODD[0]
    for shift, odd in ((30, _ODD[1]), (27, _ODD[2])):
        x = (x ^ (x >> np.uint64(shift))) * odd
    return x ^ (x >> np.uint64(31))
