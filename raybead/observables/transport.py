"""Energy mover's distance between jets: the least work that turns one into the other, exactly.

Axes: B pairs of jets; in one pair, N constituents of the first jet and M of the second; T
constituents of all first jets together, U of all second ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.errors import InputError

Array = NDArray[np.float64]

MOST_PIVOTS = 1_000_000
"""Steps of the network simplex before it is called stuck; two jets of 700 take about 50,000."""
_OPTIMAL = 1


@dataclass(frozen=True)
class Transport:
    r"""The solution of one transport problem, :math:`\min_f \sum_{ij} f_{ij} C_{ij}`.

    The least cost's derivative by the costs is the plan, that by the weights the potentials (up
    to a constant, which weights of one sum don't feel). Where several plans are best they are
    one of the subgradients.
    """

    cost: float
    plan_NM: Array
    """[N, M] what goes where: its rows sum to the first weights, its columns to the second."""
    potential_N: Array
    """[N] of the sources; potential_N[i] + potential_M[j] <= C[i, j], equal where plan > 0."""
    potential_M: Array
    """[M] of the targets."""


def optimal_transport(weight_N: Array, weight_M: Array, cost_NM: Array) -> Transport:
    """Carry weights onto others of the same sum at the least cost, by POT's network simplex.

    Args:
        weight_N: [N] at least 0, of which one is above.
        weight_M: [M] the same; rescaled to the sum of the first.
        cost_NM: [N, M] of carrying one unit.

    Raises:
        InputError: a value isn't finite, or the solver finds no optimum.
    """
    # POT loads torch where that is installed: only who asks for a distance waits for it.
    from ot.lp.emd_wrap import emd_c

    if not (np.isfinite(cost_NM).all() and np.isfinite(weight_N.sum() + weight_M.sum())):
        raise InputError("transport: weights and costs must be finite numbers")
    weight_M = weight_M * (weight_N.sum() / weight_M.sum())
    # Not ot.emd2, which takes as long again to check what is right here by construction, and
    # only warns where the solver stops early.
    plan_NM, cost, potential_N, potential_M, outcome = emd_c(
        np.ascontiguousarray(weight_N, dtype=np.float64),
        np.ascontiguousarray(weight_M, dtype=np.float64),
        np.ascontiguousarray(cost_NM, dtype=np.float64),
        MOST_PIVOTS,
        1,
    )
    if outcome != _OPTIMAL:
        raise InputError(
            f"transport of {len(weight_N)} onto {len(weight_M)} constituents: the solver found no "
            f"optimum within {MOST_PIVOTS} pivots (POT's code {outcome})"
        )
    # The solver leaves out who weighs nothing: their potentials are the largest that fit.
    idle_N, idle_M = weight_N == 0, weight_M == 0
    if idle_N.any():
        potential_N[idle_N] = (cost_NM[idle_N][:, ~idle_M] - potential_M[~idle_M]).min(axis=1)
    if idle_M.any():
        potential_M[idle_M] = (cost_NM[:, idle_M] - potential_N[:, None]).min(axis=0)
    return Transport(float(cost), plan_NM, potential_N, potential_M)


def energy_movers_distance(
    pt: NDArray[np.floating],
    eta: NDArray[np.floating],
    phi: NDArray[np.floating],
    offsets: NDArray[np.integer],
    pt2: NDArray[np.floating],
    eta2: NDArray[np.floating],
    phi2: NDArray[np.floating],
    offsets2: NDArray[np.integer],
    *,
    radius: float = 1.0,
    beta: float = 1.0,
) -> Array:
    r"""Energy mover's distance (arXiv:1902.02346, eq. 1) of pairs of jets of one momentum.

    :math:`\min_f \sum_{ij} f_{ij} (\Delta R_{ij} / R)^\beta` with :math:`f_{ij} \ge 0`,
    :math:`\sum_j f_{ij} = p_{T,i} / \sum_k p_{T,k}` and the same of the second jet's: every jet's
    pT counts in units of its sum, so no momentum is made or lost, and the distance has no unit.
    :math:`\Delta R^2 = \Delta\eta^2 + \Delta\phi^2`, the short way round. A metric for beta = 1.

    Args:
        pt: [T] first jets' constituents' transverse momenta, at least 0.
        eta: [T] their pseudorapidities.
        phi: [T] their azimuths, radians, in any turn.
        offsets: [B + 1] first constituent of each jet.
        pt2: [U] second jets'.
        eta2: [U]
        phi2: [U]
        offsets2: [B + 1]
        radius: R, by which distances are divided.
        beta: angular exponent, above 0.

    Returns:
        [B], at least 0.

    Raises:
        InputError: a jet has no constituent or no momentum, a value isn't finite, or the two
            sides aren't of one length.
    """
    if len(offsets) != len(offsets2):
        raise InputError(
            f"energy mover's distance: {len(offsets) - 1} jets on one side, "
            f"{len(offsets2) - 1} on the other"
        )
    weight = normalised_momenta(pt, eta, phi, offsets, "first")
    weight2 = normalised_momenta(pt2, eta2, phi2, offsets2, "second")
    eta, phi, eta2, phi2 = (np.asarray(x, dtype=np.float64) for x in (eta, phi, eta2, phi2))
    found = np.empty(len(offsets) - 1)
    for jet in range(len(found)):
        ours = slice(offsets[jet], offsets[jet + 1])
        theirs = slice(offsets2[jet], offsets2[jet + 1])
        cost_NM = ground_costs(
            eta[ours], phi[ours], eta2[theirs], phi2[theirs], radius=radius, beta=beta
        )
        found[jet] = optimal_transport(weight[ours], weight2[theirs], cost_NM).cost
    return found


def ground_costs(
    eta_N: Array, phi_N: Array, eta_M: Array, phi_M: Array, *, radius: float, beta: float
) -> Array:
    r"""[N, M] costs :math:`(\Delta R_{ij} / R)^\beta` of carrying one unit of momentum."""
    d_eta = eta_N[:, None] - eta_M
    turn = phi_N[:, None] - phi_M
    turn -= 2 * np.pi * np.round(turn / (2 * np.pi))
    cost_NM = np.sqrt(d_eta**2 + turn**2) / radius
    return cost_NM if beta == 1 else cost_NM**beta


def normalised_momenta(
    pt: NDArray[np.floating],
    eta: NDArray[np.floating],
    phi: NDArray[np.floating],
    offsets: NDArray[np.integer],
    side: str,
) -> Array:
    """[T] constituents' pT in units of their jets' sums.

    Args:
        pt: [T] transverse momenta.
        eta: [T] pseudorapidities, of which only whether they are finite counts here.
        phi: [T] azimuths, the same.
        offsets: [B + 1] first constituent of each jet.
        side: what these jets are called in an error.

    Raises:
        InputError: a jet that can't be a distribution of momentum.
    """
    counts = np.diff(offsets)
    pt = np.asarray(pt, dtype=np.float64)
    jet = np.repeat(np.arange(len(counts)), counts)
    good = np.isfinite(pt) & (pt >= 0) & np.isfinite(eta) & np.isfinite(phi)
    if not good.all():
        raise InputError(
            f"energy mover's distance: {side} jet {jet[~good][0]} has a constituent of negative "
            "pT, or one that isn't finite"
        )
    total = np.bincount(jet, pt, len(counts))
    if not (total > 0).all():
        raise InputError(
            f"energy mover's distance: {side} jet {np.flatnonzero(total <= 0)[0]} has no momentum"
        )
    return pt / total[jet]
