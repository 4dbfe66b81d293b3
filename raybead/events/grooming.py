"""Jets clustered again from their constituents: soft drop and exclusive subjets.

Axes: J jets, C constituents of all jets together, S subjets of all jets together, H steps of all
jets' clusterings together.
"""

from __future__ import annotations

from dataclasses import dataclass

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from raybead.errors import InputError
from raybead.events.clustering import Algorithm, cluster_sequence
from raybead.events.kinematics import Momenta, massless
from raybead.events.particles import members_of, offsets_of

Array = NDArray[np.float64]

# fastjet's largest radius: nothing is so far from a jet's rest as to be left to the beam.
_WHOLE_JET = 1000.0


@dataclass(frozen=True)
class Subjets:
    """Up to N subjets of each jet, leading in pT first."""

    momenta: Momenta
    """[S] massive, by the E-scheme"""
    offsets: NDArray[np.int64]
    """[J + 1] first subjet of each jet"""
    subjet_of: NDArray[np.int64]
    """[C] the subjet, counted over all jets, that each constituent fell into"""

    @property
    def rapidity(self) -> Array:
        """[S] in which fastjet measures distances; of massive subjets it isn't eta."""
        return _rapidity(self.momenta)


@dataclass(frozen=True)
class Reclustered:
    """Jets' binary trees of mergings.

    Constituents are reordered so that every branch of a tree is a range of them, and each merging
    is known by the place where the range of its second branch begins.
    """

    momenta: Momenta
    """[C] constituents in the trees' order"""
    order: NDArray[np.int64]
    """[C] where each of them stands in the input"""
    offsets: NDArray[np.int64]
    """[J + 1] of the jets; the same before and after reordering"""
    undone: NDArray[np.int64]
    """[C] how many mergings, this one included, have to be undone to part each constituent from
    the one before it; 0 for the first of a jet"""

    def exclusive(self, n: int) -> Subjets:
        """Undo the last n - 1 mergings of each jet, or all where there are fewer."""
        if n < 1:
            raise ValueError(f"jets can't be parted into {n} subjets")
        counts = np.diff(self.offsets)
        starts = np.flatnonzero(self.undone < n)
        jet = np.repeat(np.arange(len(counts)), counts)
        jet_S = jet[starts]
        momenta = Momenta(*(np.add.reduceat(c, starts) for c in self.momenta))
        falling = np.lexsort((-momenta.pt, jet_S))
        rank = np.empty_like(falling)
        rank[falling] = np.arange(len(falling))
        subjet_of = np.empty(len(self.order), dtype=np.int64)
        sizes = np.diff(starts, append=len(self.order))
        subjet_of[self.order] = np.repeat(rank, sizes)
        return Subjets(
            momenta.take(falling),
            offsets_of(np.bincount(jet_S, minlength=len(counts))),
            subjet_of,
        )


def recluster(
    pt: Array, eta: Array, phi: Array, offsets: NDArray[np.integer], algorithm: Algorithm
) -> Reclustered:
    """Cluster each jet's constituents until one is left, whatever their distances.

    Args:
        pt: [C] constituents' transverse momenta, GeV, above 0.
        eta: [C] their pseudorapidities; constituents are massless.
        phi: [C] their azimuths, radians.
        offsets: [J + 1] first constituent of each jet; a jet may be empty.
        algorithm: whose distances decide what merges first.

    Raises:
        InputError: a jet holds a constituent that isn't finite or has no pT.
    """
    counts = np.diff(offsets)
    fit = np.isfinite(pt) & (pt > 0) & np.isfinite(eta) & np.isfinite(phi)
    if not fit.all():
        worst = int(np.flatnonzero(~fit)[0])
        jet = int(np.searchsorted(offsets, worst, side="right")) - 1
        raise InputError(
            f"jet {jet}, constituent {worst - int(offsets[jet])}: pT {pt[worst]}, "
            f"eta {eta[worst]}, phi {phi[worst]} can't be clustered"
        )
    momenta = massless(pt, eta, phi)
    if len(pt) == 0:
        nothing = np.empty(0, dtype=np.int64)
        return Reclustered(momenta, nothing, offsets_of(counts), nothing)
    filled = np.flatnonzero(counts > 0)
    sequence = cluster_sequence(momenta, counts[filled], _WHOLE_JET, algorithm)
    return _trees(momenta, counts, filled, sequence.unique_history_order())


def soft_drop(
    pt: Array,
    eta: Array,
    phi: Array,
    offsets: NDArray[np.integer],
    z_cut: float,
    beta: float,
    radius: float,
) -> NDArray[np.bool_]:
    r"""Which constituents soft drop keeps (arXiv:1402.2657).

    Each jet is clustered by Cambridge/Aachen and declustered along the branch harder in pT until
    :math:`\min(p_{T1}, p_{T2}) / (p_{T1} + p_{T2}) > z_{cut} (\Delta R_{12} / R)^\beta`, with
    rapidities in :math:`\Delta R`. Where no splitting passes, the hardest branch's last
    constituent is left ("grooming mode", for any beta), so a jet is never groomed away.

    Args:
        pt: [C] constituents' transverse momenta, GeV, above 0.
        eta: [C] their pseudorapidities; constituents are massless.
        phi: [C] their azimuths, radians.
        offsets: [J + 1] first constituent of each jet; a jet may be empty.
        z_cut: the softest share of a splitting that isn't dropped.
        beta: angular exponent; 0 is the modified mass-drop tagger.
        radius: R of the jets, in which angles are measured.

    Returns:
        [C] true for those kept.

    Raises:
        InputError: a jet holds a constituent that isn't finite or has no pT.
    """
    trees = recluster(pt, eta, phi, offsets, "cambridge-aachen")
    low, high = trees.offsets[:-1].copy(), trees.offsets[1:].copy()
    active = np.flatnonzero(high - low > 1)
    while len(active):
        middle = _last_merging(trees.undone, low[active], high[active])
        first, second = _branches(trees.momenta, low[active], middle, high[active])
        pt_1, pt_2 = first.pt, second.pt
        apart = np.hypot(_rapidity(first) - _rapidity(second), _turn(first.phi, second.phi))
        with np.errstate(divide="ignore"):  # beta below 0: nothing without angle passes
            least = z_cut * (apart / radius) ** beta
        passed = np.minimum(pt_1, pt_2) > least * (pt_1 + pt_2)
        to_first, to_second = ~passed & (pt_1 >= pt_2), ~passed & (pt_1 < pt_2)
        high[active[to_first]] = middle[to_first]
        low[active[to_second]] = middle[to_second]
        active = active[~passed]
        active = active[high[active] - low[active] > 1]
    kept = np.zeros(len(pt), dtype=np.bool_)
    kept[trees.order[members_of(low, high - low)]] = True
    return kept


def exclusive_subjets(
    pt: Array, eta: Array, phi: Array, offsets: NDArray[np.integer], n: int
) -> Subjets:
    """Exclusive kt subjets (arXiv:hep-ph/9305266): the jets' last n - 1 mergings undone.

    A jet with fewer than ``n`` constituents has as many subjets as constituents.

    Args:
        pt: [C] constituents' transverse momenta, GeV, above 0.
        eta: [C] their pseudorapidities; constituents are massless.
        phi: [C] their azimuths, radians.
        offsets: [J + 1] first constituent of each jet; a jet may be empty.
        n: subjets of each jet, at least 1.

    Raises:
        InputError: a jet holds a constituent that isn't finite or has no pT.
    """
    return recluster(pt, eta, phi, offsets, "kt").exclusive(n)


def _trees(
    momenta: Momenta, counts: NDArray[np.integer], filled: NDArray[np.int64], history: ak.Array
) -> Reclustered:
    """Read the trees off fastjet's unique history order.

    That order lists each jet's n particles (numbers below n) and n mergings (n and above, as they
    happened, the last with the beam), a merging right after the subtrees of both its branches:
    reverse Polish notation. With each particle the stack grows by one, with each merging it
    shrinks by one; so a merging's first branch ended where the stack last had the height that the
    merging leaves behind.
    """
    step_H = ak.to_numpy(ak.flatten(history)).astype(np.int64)
    size_J = counts[filled]
    jet_H = np.repeat(np.arange(len(filled)), 2 * size_J)
    size_H = size_J[jet_H]
    particle = step_H < size_H
    # Over all jets at once; each jet adds n particles, n - 1 mergings and the beam: nothing.
    height = np.cumsum(np.where(particle, 1, -1))
    ends = offsets_of(2 * size_J)[1:] - 1
    inside = np.ones(len(step_H), dtype=np.bool_)
    inside[ends] = False
    if (height[inside] < 1).any():  # a merging with the beam before the last
        raise InputError("constituents too far apart to be clustered into one jet")
    same = np.lexsort((height, jet_H))  # stable: steps stay in their order
    before = np.empty(len(step_H), dtype=np.int64)
    before[same[1:]] = same[:-1]
    read = np.cumsum(particle)  # particles up to and with each step
    merging = np.flatnonzero(~particle & inside)
    undone = np.zeros(len(momenta.px), dtype=np.int64)
    undone[read[before[merging]]] = (2 * size_H - 1 - step_H)[merging]
    offsets = offsets_of(counts)
    order = step_H[particle] + np.repeat(offsets[filled], size_J)
    return Reclustered(momenta.take(order), order, offsets, undone)


def _last_merging(
    undone: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Where the second branch begins, of the last merging within each range [low, high)."""
    sizes = high - low - 1
    inner = members_of(low + 1, sizes)
    starts = offsets_of(sizes)[:-1]
    values = undone[inner]
    # Of a range's mergings the last to happen is the first to be undone.
    is_last = values == np.repeat(np.minimum.reduceat(values, starts), sizes)
    return inner[is_last]


def _branches(
    momenta: Momenta,
    low: NDArray[np.int64],
    middle: NDArray[np.int64],
    high: NDArray[np.int64],
) -> tuple[Momenta, Momenta]:
    """Sums over [low, middle) and over [middle, high)."""
    within = members_of(low, high - low)
    bounds = offsets_of(np.stack([middle - low, high - middle], axis=1).ravel())[:-1]
    sums = [np.add.reduceat(component[within], bounds) for component in momenta]
    return Momenta(*(c[0::2] for c in sums)), Momenta(*(c[1::2] for c in sums))


def _rapidity(momenta: Momenta) -> Array:
    return np.arcsinh(momenta.pz / np.hypot(momenta.pt, momenta.mass))


def _turn(one: Array, other: Array) -> Array:
    """Angle between azimuths that lie in [-pi, pi], in [0, pi]."""
    apart = np.abs(one - other)
    return np.minimum(apart, 2 * np.pi - apart)
