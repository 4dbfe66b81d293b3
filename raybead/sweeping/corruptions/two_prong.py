"""Jets of two prongs, each made of a background jet.

Axes: J jets, P prongs: J first ones and then J second ones, C constituents of all prongs together.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from raybead.events.kinematics import Array
from raybead.events.particles import members_of
from raybead.sweeping.corruptions.clouds import Clouds
from raybead.sweeping.corruptions.draws import Draws

LIGHTEST, LIGHTEST_SHARE, HEAVIEST_SHARE = 50.0, 0.1, 0.3
"""Masses that are drawn: from 50 GeV, or the first share of pT R if that is less, to the second
share of pT R."""
SOFTEST = 0.1
"""Share of pT that a prong has at least; a softer one is what background radiates, and soft drop
removes. With it, and the heaviest mass, prongs are R apart at most."""
NARROW = 0.5
"""A prong's mass over its pT, in units of the jet's, at most. The angular size of a prong is then
about a quarter of the prongs' distance, at most."""
_ALIKE, _NEIGHBOURS = 256, 16
"""Jets of about the same pT, and the neighbours of one of them, to either side, in the order of
their numbers of constituents."""
_NARROWEST = 0.01
"""Factor on angles near a prong's axis, at least."""
_MENDED = 1.5
"""Factor on a jet's angles by which its mass is mended, or its inverse, at most."""


def masses(pt_J: Array, draws: Draws, radius: float) -> Array:
    """[J] masses of the jets to be, GeV, log-uniform.

    Args:
        pt_J: the jets' pT, GeV.
        draws: of the jets.
        radius: R of the jets.
    """
    lightest_J = np.minimum(LIGHTEST, LIGHTEST_SHARE * pt_J * radius)
    heaviest_J = HEAVIEST_SHARE * pt_J * radius
    (u_J,) = draws.of_jets(1)
    return lightest_J * (heaviest_J / lightest_J) ** u_J


def two_pronged(
    clouds: Clouds, pt_J: Array, rank_J: NDArray[np.int64], draws: Draws, radius: float
) -> tuple[Clouds, Array, NDArray[np.int64]]:
    r"""Every jet as two prongs of mass M, :func:`masses`.

    Prong one has a share z of the pT, uniform as in isotropic decays, and is made of a share z of
    the jet's constituents; the other has the rest, of another jet. So constituents are as many
    and as hard as background's. Prongs are narrowed so far that their own masses leave room for
    the mass of the decay, and are apart by what makes up for the rest of it:
    :math:`z (1-z) p_T^2 \Delta R^2 = M^2 - m_1^2/z - m_2^2/(1-z)`.

    Args:
        clouds: of the jets.
        pt_J: the jets' pT, whatever of it the constituents have.
        rank_J: of the jets in their events.
        draws: of the jets.
        radius: R of the jets.

    Returns:
        The jets, z [J], and the jets [J] that second prongs are of.
    """
    _, u_z, u_turn, u_partner, u_round, u_first, u_second = draws.of_jets(7)
    ratio_J = masses(pt_J, draws, radius) / pt_J
    z_J = SOFTEST + (1 - 2 * SOFTEST) * u_z
    n, jets = len(pt_J), np.arange(len(pt_J))
    partner_J = _partners(pt_J, rank_J, clouds.sizes_J, u_partner)
    sizes_J, others_J = clouds.sizes_J, clouds.sizes_J[partner_J]
    # What one count is rounded up by, the other is rounded down by.
    first_J = np.clip((z_J * sizes_J + u_round).astype(np.int64), 1, sizes_J)
    most_J = np.clip(sizes_J.max(initial=0) - first_J, 1, others_J)
    second_J = np.clip(((1 - z_J) * others_J + (1 - u_round)).astype(np.int64), 1, most_J)
    share_P = np.concatenate([z_J, 1 - z_J])
    prongs = _prongs(
        clouds,
        np.concatenate([jets, partner_J]),
        np.concatenate([first_J, second_J]),
        np.concatenate([u_first, u_second]),
        share_P * np.tile(clouds.sums(clouds.pt_C), 2),
    )
    reach_P = np.concatenate([1 - z_J, z_J]) * np.tile(ratio_J / np.sqrt(z_J * (1 - z_J)), 2)
    prongs, own_P = _narrowed(prongs, np.tile(NARROW * ratio_J, 2), radius - reach_P, radius)
    own_J = (share_P * own_P**2).reshape(2, n).sum(axis=0)
    apart_J = np.sqrt((ratio_J**2 - own_J) / (z_J * (1 - z_J)))
    arm_P = np.concatenate([(1 - z_J) * apart_J, -z_J * apart_J])
    turn_P = np.tile(2 * np.pi * u_turn, 2)
    eta_J, phi_J, _, _ = clouds.about_axis()
    _, _, x_C, y_C = prongs.about_axis()
    placed = prongs.placed(
        np.tile(eta_J, 2) + arm_P * np.cos(turn_P),
        np.tile(phi_J, 2) + arm_P * np.sin(turn_P),
        x_C,
        y_C,
    )
    whole = _joined(placed, n)
    # What is left to do: angles aren't that small.
    whole = whole.stretched(ratio_J, np.full(n, radius), 1 / _MENDED, _MENDED)
    return whole.by_pt(), z_J, partner_J


def _narrowed(
    prongs: Clouds, widest_P: Array, radius_P: Array, radius: float
) -> tuple[Clouds, Array]:
    """Prongs of a mass over pT of so much at most, and theirs [P].

    Args:
        prongs: as wide as background jets.
        widest_P: mass over pT.
        radius_P: within which they come to be, so that all are within the jet.
        radius: R of background jets.
    """
    prongs = prongs.scaled(radius_P / radius)
    found = prongs.momenta
    ratio_P = np.minimum(found.mass / found.pt, widest_P)
    prongs = prongs.stretched(ratio_P, radius_P, _NARROWEST, 1.0)
    found = prongs.momenta
    return prongs, np.minimum(found.mass / found.pt, widest_P)


def _partners(
    pt_J: Array, rank_J: NDArray[np.int64], sizes_J: NDArray[np.int64], u_J: Array
) -> NDArray[np.int64]:
    """[J] jets of the same rank, so of other events, about as hard and as large.

    A jet that is alone in its rank is its own partner.
    """
    block_J = np.empty(len(pt_J), np.int64)
    block_J[np.lexsort((pt_J, rank_J))] = np.arange(len(pt_J)) // _ALIKE
    order = np.lexsort((sizes_J, block_J, rank_J))
    counts = np.bincount(rank_J)
    size = np.repeat(counts, counts)
    start = np.repeat(np.cumsum(counts) - counts, counts)
    place = np.arange(len(order)) - start
    width = np.minimum(2 * _NEIGHBOURS, size - 1)
    low = np.clip(place - _NEIGHBOURS, 0, size - 1 - width)
    chosen = low + (u_J[order] * width).astype(np.int64)
    chosen += (chosen >= place) & (width > 0)
    partner_J = np.empty(len(order), np.int64)
    partner_J[order] = order[start + chosen]
    return partner_J


def _prongs(
    clouds: Clouds,
    jet_P: NDArray[np.int64],
    count_P: NDArray[np.int64],
    u_P: Array,
    pt_P: Array,
) -> Clouds:
    """Constituents at even steps down each jet's list, as if their jet were of less energy.

    Even steps take about their share of the pT, so that pT changes little. Those that fall below
    the jet's softest are dropped: no detector, or cut, would have let them through.
    """
    size_P = clouds.sizes_J[jet_P]
    prong_C = np.repeat(np.arange(len(jet_P)), count_P)
    step_C = members_of(np.zeros(len(jet_P), np.int64), count_P) + u_P[prong_C]
    place_C = (step_C * (size_P / count_P)[prong_C]).astype(np.int64)
    place_C = np.minimum(place_C, size_P[prong_C] - 1)
    prongs = clouds.picked(clouds.offsets[:-1][jet_P][prong_C] + place_C, count_P)
    softest_J = clouds.pt_C[clouds.offsets[1:] - 1]
    factor_P = pt_P / prongs.sums(prongs.pt_C)
    lasting_C = prongs.pt_C * factor_P[prong_C] >= softest_J[jet_P][prong_C]
    lasting_C[prongs.offsets[:-1]] = True
    kept = np.flatnonzero(lasting_C)
    prongs = prongs.picked(kept, np.bincount(prong_C[kept], minlength=len(jet_P)))
    return replace(prongs, pt_C=prongs.pt_C * (pt_P / prongs.sums(prongs.pt_C))[prongs.jet_C])


def _joined(prongs: Clouds, n_jets: int) -> Clouds:
    """Jets of two prongs each."""
    order = np.argsort(prongs.jet_C % max(n_jets, 1), kind="stable")
    sizes_J = prongs.sizes_J.reshape(2, n_jets).sum(axis=0)
    return prongs.picked(order, sizes_J)
