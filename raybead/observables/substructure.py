"""How many prongs a jet has: N-subjettiness and ratios of energy correlations.

Axes: J jets, C constituents of all jets together, N axes of a jet; in a block of B jets of like
size, M constituents each, those of smaller jets filled up with ones of no momentum.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement, pairwise

import numpy as np
from numpy.typing import NDArray

from raybead.events.grooming import recluster
from raybead.events.particles import members_of

Array = NDArray[np.float64]

# Pairs, and constituents, worked on at once: few enough that their arrays stay in the cache.
_PAIRS = 120_000
_CONSTITUENTS = 4_000
# Products of larger matrices are spread over threads, which costs more than it saves.
_TILE = 60
# Downhill: how often axes move at most, what move [rad] is too small to go on, and the distance
# [rad] below which a constituent pulls an axis no harder.
_STEPS = 100
_SETTLED = 1e-4
_CORE = 1e-5


def n_subjettiness(
    pt: Array,
    eta: Array,
    phi: Array,
    offsets: NDArray[np.integer],
    *,
    n_max: int = 3,
    radius: float = 1.0,
    beta: float = 1.0,
    minimise: bool = False,
) -> Array:
    r"""N-subjettiness (arXiv:1011.2268), tau_1 to tau_n_max.

    :math:`\tau_N = \sum_i p_{T,i} \min_k \Delta R_{ik}^\beta / (R^\beta \sum_i p_{T,i})` over the
    axes k = 1..N of the jet's exclusive kt subjets (E-scheme; rapidity and azimuth).

    Args:
        pt: [C] constituents' transverse momenta, GeV, above 0.
        eta: [C] their pseudorapidities; constituents are massless.
        phi: [C] their azimuths, radians.
        offsets: [J + 1] first constituent of each jet; a jet may be empty.
        n_max: the largest N.
        radius: R of the jets, which makes tau a number from 0 to about 1.
        beta: angular exponent, above 0.
        minimise: move the axes downhill from there to a minimum nearby (one pass;
            arXiv:1108.2701); for beta from 1 to 3. Never above the kt axes' tau.

    Returns:
        [J, n_max]; 0 where a jet has no more than N constituents, so also for the lonely and the
        empty.

    Raises:
        InputError: a jet holds a constituent that isn't finite or has no pT.
    """
    trees = recluster(pt, eta, phi, offsets, "kt")
    counts = np.diff(offsets)
    total = np.bincount(np.repeat(np.arange(len(counts)), counts), pt, len(counts))
    tau_JN = np.zeros((len(counts), n_max))
    for n in range(1, n_max + 1):
        subjets = trees.exclusive(n)
        axis_eta, axis_phi = subjets.rapidity, subjets.momenta.phi
        many = np.flatnonzero(counts > n)
        for jets in np.split(many, _cuts(counts[many], _CONSTITUENTS)):
            member = members_of(offsets[jets], counts[jets])
            axis_JN = subjets.offsets[jets][:, None] + np.arange(n)
            arms = _arms(
                (pt[member], eta[member], phi[member]),
                counts[jets],
                (axis_eta[axis_JN], axis_phi[axis_JN]),
                beta,
                _STEPS if minimise else 0,
            )
            tau_JN[jets, n - 1] = arms / (total[jets] * radius**beta)
    return tau_JN


def correlation_d2(
    pt: Array, eta: Array, phi: Array, offsets: NDArray[np.integer], *, beta: float = 1.0
) -> Array:
    r"""D2 (arXiv:1409.6298): small for two prongs, large for one.

    :math:`D_2 = e_3 / e_2^3` with :math:`e_2 = \sum_{i<j} z_i z_j R_{ij}^\beta`,
    :math:`e_3 = \sum_{i<j<k} z_i z_j z_k (R_{ij} R_{jk} R_{ki})^\beta` and
    :math:`z_i = p_{T,i} / \sum_j p_{T,j}`. A term of two equal indices is 0, so with
    :math:`A_{ij} = \sqrt{z_i z_j} R_{ij}^\beta` the triple sum is
    :math:`e_3 = tr(A^3) / 6`, products of matrices.

    Args:
        pt: [C] constituents' transverse momenta, GeV.
        eta: [C] their pseudorapidities.
        phi: [C] their azimuths, radians.
        offsets: [J + 1] first constituent of each jet; a jet may be empty.
        beta: angular exponent, above 0.

    Returns:
        [J]; 0 for jets of fewer than three constituents, and where all constituents have one
        direction.
    """
    d2 = np.zeros(len(offsets) - 1)
    for jets, member in _blocks(np.asarray(offsets)):
        real = member >= 0
        z = np.where(real, pt[member], 0.0)
        z /= z.sum(axis=1, keepdims=True)
        # About one constituent, so that no two of them are a whole turn apart.
        turn = np.where(real, phi[member] - phi[member[:, :1]], 0.0)
        turn -= 2 * np.pi * np.round(turn / (2 * np.pi))
        apart = _pair_distances(eta[member], turn)
        if beta != 1:
            apart **= beta
        root = np.sqrt(z)
        apart *= root[:, :, None]
        apart *= root[:, None, :]
        e2 = np.einsum("bi,bi->b", root, np.einsum("bij,bj->bi", apart, root)) / 2
        e3 = _trace_of_cube(apart) / 6
        wide = e2**3 > 0
        d2[jets[wide]] = e3[wide] / e2[wide] ** 3
    return d2


def _cuts(counts: NDArray[np.integer], most: int) -> NDArray[np.int64]:
    """Where to cut jets [J] into runs of about ``most`` constituents."""
    run = np.cumsum(counts) // most
    return np.flatnonzero(np.diff(run)) + 1


def _arms(
    constituents: tuple[Array, Array, Array],
    counts: NDArray[np.integer],
    axes_JN: tuple[Array, Array],
    beta: float,
    steps: int,
) -> Array:
    """Each jet's sum [J] of pT times its distance from the nearest axis to the power of beta.

    Each step moves every axis to its own constituents' mean, weighted by pT and the distance to
    the power of beta - 2: where that doesn't move it, the sum has no slope (Weiszfeld's algorithm
    at beta = 1). The least sum on the way counts.
    """
    pt, eta, phi = constituents
    axis_eta, axis_phi = axes_JN
    n_axes = axis_eta.shape[1]
    least = np.full(len(counts), np.inf)
    active = np.arange(len(counts))
    for step in range(steps + 1):
        sizes = counts[active]
        d_eta = eta[:, None] - np.repeat(axis_eta, sizes, axis=0)
        d_phi = phi[:, None] - np.repeat(axis_phi, sizes, axis=0)
        d_phi -= 2 * np.pi * np.round(d_phi / (2 * np.pi))
        square = d_eta**2 + d_phi**2
        nearest = square.argmin(axis=1)[:, None]
        d_eta, d_phi, square = (
            np.take_along_axis(values, nearest, axis=1)[:, 0] for values in (d_eta, d_phi, square)
        )
        jet = np.repeat(np.arange(len(active)), sizes)
        arms = np.bincount(jet, pt * square ** (beta / 2), len(active))
        least[active] = np.minimum(least[active], arms)
        if step == steps:
            break
        weight = pt * (square + _CORE**2) ** (beta / 2 - 1)
        slot, slots = jet * n_axes + nearest[:, 0], axis_eta.size
        whole = np.bincount(slot, weight, slots)
        whole[whole == 0] = 1.0  # an axis that is nobody's nearest stays
        move_eta, move_phi = (
            (np.bincount(slot, weight * d, slots) / whole).reshape(-1, n_axes)
            for d in (d_eta, d_phi)
        )
        on_move = np.hypot(move_eta, move_phi).max(axis=1) > _SETTLED
        axis_eta, axis_phi = (axis_eta + move_eta)[on_move], (axis_phi + move_phi)[on_move]
        of_moving = np.repeat(on_move, sizes)
        pt, eta, phi = pt[of_moving], eta[of_moving], phi[of_moving]
        active = active[on_move]
        if len(active) == 0:
            break
    return least


def _blocks(
    offsets: NDArray[np.integer],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Jets of three constituents and more [B], and their constituents [B, M]; -1 where none."""
    counts = np.diff(offsets)
    by_size = np.argsort(counts, kind="stable")
    by_size = by_size[counts[by_size] > 2]
    rising = counts[by_size]
    stop = len(by_size)
    while stop > 0:
        largest = int(rising[stop - 1])
        start = max(stop - max(_PAIRS // largest**2, 1), 0)
        # Not far smaller ones in the same block, which would be mostly filling.
        start = max(start, int(np.searchsorted(rising, largest * 0.9)))
        jets = by_size[start:stop]
        place = np.arange(largest)
        inside = place < counts[jets][:, None]
        yield jets, np.where(inside, offsets[jets][:, None] + place, -1)
        stop = start


def _pair_distances(eta: Array, phi: Array) -> Array:
    """Distances [B, M, M] of points [B, M] whose azimuths are at most 2 pi apart."""
    apart = phi[:, :, None] - phi[:, None, :]
    if np.ptp(phi) > np.pi:
        np.abs(apart, out=apart)
        np.minimum(apart, 2 * np.pi - apart, out=apart)
    np.square(apart, out=apart)
    d_eta = eta[:, :, None] - eta[:, None, :]
    apart += np.square(d_eta, out=d_eta)
    return np.sqrt(apart, out=apart)


def _trace_of_cube(matrix: Array) -> Array:
    """Trace [B] of the cubes of symmetric matrices [B, M, M], tile by tile.

    Tiles I, J, K give the same in any order, so each three are multiplied once and counted as
    often as they can be ordered.
    """
    size = matrix.shape[1]
    edges = np.linspace(0, size, -(-size // _TILE) + 1).round().astype(int)
    tiles = [slice(first, last) for first, last in pairwise(edges)]
    trace = np.zeros(len(matrix))
    for i, j, k in combinations_with_replacement(range(len(tiles)), 3):
        one, two, three = tiles[i], tiles[j], tiles[k]
        orders = {1: 1, 2: 3, 3: 6}[len({i, j, k})]
        product = matrix[:, one, two] @ matrix[:, two, three]
        trace += orders * np.einsum("bik,bik->b", product, matrix[:, one, three])
    return trace
