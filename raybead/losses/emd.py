"""Exact energy mover's distance with a gradient.

Axes: B pairs of jets; N nodes of all first jets together, M of all second ones; K pairs of nodes
between which momentum is carried.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from raybead.config import EmdLoss
from raybead.errors import InputError
from raybead.graphs import Momenta
from raybead.losses.ground import ground_cost, in_double, shares
from raybead.losses.space import Space, Term
from raybead.observables.transport import ground_costs, optimal_transport


def build(config: EmdLoss, space: Space) -> Term:
    """The term of a job."""
    how = partial(emd, radius=config.radius, beta=config.power)
    return space.between_momenta(how)


def emd(
    ours: Momenta,
    theirs: Momenta,
    ptr: Tensor,
    ptr2: Tensor | None = None,
    *,
    radius: float = 1.0,
    beta: float = 1.0,
) -> Tensor:
    r"""[B] energy mover's distance (arXiv:1902.02346) of pairs of jets, each of one momentum.

    Solved by :func:`raybead.observables.energy_movers_distance`'s solver, on the CPU and in
    double precision, whatever the momenta are. The gradient is that of the least cost by the
    envelope theorem: the plan by the costs, the potentials by the shares of momentum; exact where
    the best plan is the only one, a subgradient elsewhere. It is taken through the pairs that
    carry momentum alone, n + m - 1 at most.

    Args:
        ours: of the first jets' nodes.
        theirs: of the second jets'.
        ptr: [B + 1] offsets of the first jets.
        ptr2: [B + 1] offsets of the second; the same if not given.
        radius: R, by which distances are divided.
        beta: angular exponent.

    Returns:
        [B], of the momenta's type; NaN for jets whose momenta aren't all finite.

    Raises:
        InputError: a jet has no constituent, or the solver finds no optimum.
    """
    ptr2 = ptr if ptr2 is None else ptr2
    first, second = in_double(ours), in_double(theirs)
    share_N, share_M = shares(first.pt_N, ptr), shares(second.pt_N, ptr2)
    jet_K, from_K, to_K, carried_K, potential_N, potential_M = _solved(
        (share_N, first.eta_N, first.phi_N),
        (share_M, second.eta_N, second.phi_N),
        ptr,
        ptr2,
        radius,
        beta,
    )
    cost_K = ground_cost(
        first.eta_N[from_K] - second.eta_N[to_K],
        first.phi_N[from_K] - second.phi_N[to_K],
        radius,
        beta,
    )
    work_B = carried_K.new_zeros(len(ptr) - 1).index_add(0, jet_K, carried_K * cost_K)
    # Nothing is added: only the slope by the shares, which the plan was found for.
    slope_B = _sums(potential_N * (share_N - share_N.detach()), ptr)
    slope_B = slope_B + _sums(potential_M * (share_M - share_M.detach()), ptr2)
    return (work_B + slope_B).to(ours.pt_N.dtype)


def _solved(
    first: tuple[Tensor, Tensor, Tensor],
    second: tuple[Tensor, Tensor, Tensor],
    ptr: Tensor,
    ptr2: Tensor,
    radius: float,
    beta: float,
) -> tuple[Tensor, ...]:
    """Pairs that carry [K]: jet, from, to, how much; and the potentials [N], [M]."""
    device = ptr.device
    share, eta, phi = (x.detach().cpu().numpy() for x in first)
    share2, eta2, phi2 = (x.detach().cpu().numpy() for x in second)
    starts, starts2 = ptr.cpu().numpy(), ptr2.cpu().numpy()
    if len(starts) != len(starts2):
        raise InputError(f"distance of {len(starts) - 1} jets from {len(starts2) - 1}")
    potential, potential2 = np.zeros_like(share), np.zeros_like(share2)
    found: list[tuple[np.ndarray, ...]] = []
    for jet in range(len(starts) - 1):
        own, other = slice(*starts[jet : jet + 2]), slice(*starts2[jet : jet + 2])
        if own.start == own.stop or other.start == other.stop:
            raise InputError(f"distance of jets: jet {jet} of the batch has no constituent")
        cost_NM = ground_costs(
            eta[own], phi[own], eta2[other], phi2[other], radius=radius, beta=beta
        )
        if not np.isfinite(cost_NM.sum() + share[own].sum() + share2[other].sum()):
            potential[own] = potential2[other] = np.nan
            continue
        plan = optimal_transport(share[own], share2[other], cost_NM)
        potential[own], potential2[other] = plan.potential_N, plan.potential_M
        i, j = plan.plan_NM.nonzero()
        jets = np.full(len(i), jet)
        found.append((jets, i + own.start, j + other.start, plan.plan_NM[i, j]))
    none = np.zeros(0, dtype=np.int64)
    columns = (
        [np.concatenate(column) for column in zip(*found, strict=True)]
        if found
        else [none, none, none, np.zeros(0)]
    )
    return tuple(
        torch.from_numpy(values).to(device) for values in (*columns, potential, potential2)
    )


def _sums(values_N: Tensor, ptr: Tensor) -> Tensor:
    return torch.segment_reduce(values_N, "sum", offsets=ptr, axis=0)
