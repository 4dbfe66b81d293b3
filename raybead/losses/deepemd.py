"""Energy mover's distance as a quadratic programme: smooth in its plan, solved on any device.

Axes: B pairs of jets; in a block of G pairs, n and m nodes each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from raybead.config import DeepEmdLoss
from raybead.errors import TrainingError
from raybead.graphs import Momenta
from raybead.losses.ground import Block, blocks, collected, in_double
from raybead.losses.space import Space, Term

_PAIRS = {"cpu": 1 << 17, "cuda": 1 << 22}
"""Of nodes in a block: what a cache holds, and what keeps a GPU busy."""
_GAP = 1e-9
"""Distance from the optimum, in units of the largest cost, at which a jet is done."""
_DOUBTFUL = 1e-5
"""Distance from the optimum beyond which a value isn't given."""
_MOST_STEPS = 60
_SHORT = 0.99
"""Share of the way to the nearest bound that a step goes."""


def build(config: DeepEmdLoss, space: Space) -> Term:
    """The term of a job."""
    how = partial(deepemd, radius=config.radius, beta=config.power, regulariser=config.regulariser)
    return space.between_momenta(how)


def deepemd(
    ours: Momenta,
    theirs: Momenta,
    ptr: Tensor,
    ptr2: Tensor | None = None,
    *,
    radius: float = 1.0,
    beta: float = 1.0,
    regulariser: float = 1e-4,
) -> Tensor:
    r"""[B] energy mover's distance with its plan's squares penalised, for pairs of jets.

    .. math:: D(a, b) = \Big[ \min_f \sum_{ij} f_{ij} C_{ij} + \tfrac{\gamma}{2} f_{ij}^2
              - \tfrac{\gamma}{4} \Big(\sum_i a_i^2 + \sum_j b_j^2\Big) \Big]_+

    over the plans, shares of momentum a, b (each of sum 1) and costs C of the energy mover's
    distance; gamma is ``regulariser``. A plan's squares sum to at most those of either jet's
    shares, so with the second term taken off

    .. math:: EMD - \tfrac{\gamma}{4} \Big(\sum_i a_i^2 + \sum_j b_j^2\Big) \le D \le EMD,

    whatever the number of particles: within 1 % from EMD = 50 gamma on. D is symmetric, not
    negative, and 0 for equal jets, whose plan at rest is the upper bound of the first term.

    The penalised problem has one plan f*, and its least value is differentiable everywhere. The
    plan is best, so that moving it doesn't change the value to first order (the envelope
    theorem): the derivative by the costs is f* itself, that by the shares the potentials. So the
    gradient is exact without differentiating the solver. It is a primal-dual interior-point
    method, in double precision, of all jets of a block at once, as in OptNet (arXiv:1703.00443).

    Args:
        ours: of the first jets' nodes.
        theirs: of the second jets'.
        ptr: [B + 1] offsets of the first jets.
        ptr2: [B + 1] offsets of the second; the same if not given.
        radius: R, by which distances are divided.
        beta: angular exponent.
        regulariser: gamma, above 0, in units of the cost.

    Returns:
        [B], of the momenta's type; NaN for jets whose momenta aren't all finite.

    Raises:
        InputError: a jet has no constituent.
        TrainingError: a jet's programme isn't solved to 1e-5 of its largest cost.
    """
    max_pairs = _PAIRS.get(ptr.device.type, _PAIRS["cuda"])
    ptr2 = ptr if ptr2 is None else ptr2
    parts = [
        (block.jets_G, _distance(block, radius, beta, regulariser))
        for block in blocks(in_double(ours), in_double(theirs), ptr, ptr2, max_pairs)
    ]
    return collected(parts, ours.pt_N)


def _distance(block: Block, radius: float, beta: float, regulariser: float) -> Tensor:
    """[G] distances of a block, with their gradient by costs and shares."""
    a_Gn, b_Gm, cost_Gnm = block.share_Gn, block.share_Gm, block.costs(radius, beta)
    best = _solve(a_Gn.detach(), b_Gm.detach(), cost_Gnm.detach(), regulariser)
    least_G = (best.plan_Gnm * cost_Gnm).sum(dim=(1, 2))
    least_G = least_G + regulariser / 2 * best.plan_Gnm.square().sum(dim=(1, 2))
    # Nothing is added: only the slope by the shares, which is the potentials.
    least_G = least_G + (best.potential_Gn * (a_Gn - a_Gn.detach())).sum(dim=1)
    least_G = least_G + (best.potential_Gm * (b_Gm - b_Gm.detach())).sum(dim=1)
    at_rest_G = a_Gn.square().sum(dim=1) + b_Gm.square().sum(dim=1)
    return (least_G - regulariser / 4 * at_rest_G).relu()


@dataclass(frozen=True)
class _Best:
    plan_Gnm: Tensor
    potential_Gn: Tensor
    potential_Gm: Tensor


@torch.no_grad()
def _solve(a_Gn: Tensor, b_Gm: Tensor, cost_Gnm: Tensor, regulariser: float) -> _Best:
    """The best plans: Mehrotra's predictor and corrector, along x s = mu w.

    x is the plan and s the slack of its costs; mu is the distance from the optimum, since w sums
    to 1. The start x = a b is a plan. A w in proportion to the root of a b, between that of one
    weight for all and that of a start on the path, takes the fewest steps where shares differ by
    orders of magnitude. Padding has no share, hence x = 0 all along.
    """
    widest_G = cost_Gnm.amax(dim=(1, 2)).clamp(min=1e-3)
    c = cost_Gnm / widest_G[:, None, None]
    gamma = (regulariser / widest_G)[:, None, None]
    x = a_Gn[:, :, None] * b_Gm[:, None, :]
    weight = x.sqrt() / x.sqrt().sum(dim=(1, 2), keepdim=True)
    u, v = torch.full_like(a_Gn, -0.1), torch.zeros_like(b_Gm)
    s = c + gamma * x + 0.1
    for _ in range(_MOST_STEPS):
        mu = (x * s).sum(dim=(1, 2))
        going = mu > _GAP
        if not going.any():
            break
        off_dual = c + gamma * x - u[:, :, None] - v[:, None, :] - s
        off_n, off_m = x.sum(dim=2) - a_Gn, x.sum(dim=1) - b_Gm
        stiff = gamma * x + s
        solve = _normal_equations(x / stiff, b_Gm)

        def newton(off_path: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            target = (x * off_dual + off_path) / stiff  # noqa: B023
            du, dv = solve(target.sum(dim=2) - off_n, target.sum(dim=1) - off_m)  # noqa: B023
            both = du[:, :, None] + dv[:, None, :]
            dx = x / stiff * both - target  # noqa: B023
            return dx, gamma * dx - both + off_dual, du, dv  # noqa: B023

        dx, ds, _, _ = newton(x * s)
        in_plan, in_slack = _longest(x, dx), _longest(s, ds, x > 0)
        ahead = (x + in_plan[:, None, None] * dx) * (s + in_slack[:, None, None] * ds)
        aim = mu * (ahead.sum(dim=(1, 2)) / mu).clamp(0, 1) ** 3
        dx, ds, du, dv = newton(x * s + dx * ds - aim[:, None, None] * weight)
        in_plan, in_slack = _longest(x, dx) * going, _longest(s, ds, x > 0) * going
        x, s = x + in_plan[:, None, None] * dx, s + in_slack[:, None, None] * ds
        u, v = u + in_slack[:, None] * du, v + in_slack[:, None] * dv
    off = (x.sum(dim=2) - a_Gn).abs().sum(dim=1) + (x.sum(dim=1) - b_Gm).abs().sum(dim=1)
    doubt = torch.maximum((x * s).sum(dim=(1, 2)), off)
    if (doubt > _DOUBTFUL).any():
        raise TrainingError(
            f"deepemd: the quadratic programme of {int((doubt > _DOUBTFUL).sum())} jets wasn't "
            f"solved in {_MOST_STEPS} steps (off by {doubt[doubt.isfinite()].max():.1e}); use emd "
            "or sinkhorn, or a larger regulariser"
        )
    # Who has no share takes no part: its potential is the largest that fits.
    cost_n = (c - v[:, None, :]).masked_fill((b_Gm == 0)[:, None, :], torch.inf).amin(dim=2)
    cost_m = (c - u[:, :, None]).masked_fill((a_Gn == 0)[:, :, None], torch.inf).amin(dim=1)
    u, v = torch.where(a_Gn == 0, cost_n, u), torch.where(b_Gm == 0, cost_m, v)
    return _Best(x, u * widest_G[:, None], v * widest_G[:, None])


def _longest(x: Tensor, dx: Tensor, real: Tensor | None = None) -> Tensor:
    """[G] share of a step that can be gone, nearly to where the first number becomes 0."""
    down = dx < 0 if real is None else (dx < 0) & real
    return torch.where(down, -x / dx, torch.inf).amin(dim=(1, 2)).mul(_SHORT).clamp(max=1.0)


def _normal_equations(d_Gnm: Tensor, b_Gm: Tensor) -> Callable[..., tuple[Tensor, Tensor]]:
    """Solves sums of d (u + v) over m and over n for u and v; v of no mean.

    What is left of the second after the first is a Laplacian: its diagonal is added up from the
    rest, rather than taken as a difference, which would lose weak links.
    """
    row_Gn = d_Gnm.sum(dim=2)
    over_Gn = torch.where(row_Gn > 0, 1 / row_Gn, 0.0)
    link = (d_Gnm * over_Gn[:, :, None]).mT @ d_Gnm
    link.diagonal(dim1=1, dim2=2).zero_()
    degree = link.sum(dim=2)
    whole = degree.sum(dim=1)[:, None, None].clamp(min=1.0)
    matrix = whole * b_Gm[:, :, None] * b_Gm[:, None, :] - link
    matrix.diagonal(dim1=1, dim2=2).add_(degree * (1 + 1e-14) + (b_Gm == 0))
    factor, _ = torch.linalg.cholesky_ex(matrix)

    def solve(of_n: Tensor, of_m: Tensor) -> tuple[Tensor, Tensor]:
        carried = ((of_n * over_Gn)[:, None, :] @ d_Gnm)[:, 0]
        v = torch.cholesky_solve((of_m - carried)[:, :, None], factor)
        return (of_n - (d_Gnm @ v)[:, :, 0]) * over_Gn, v[:, :, 0]

    return solve
