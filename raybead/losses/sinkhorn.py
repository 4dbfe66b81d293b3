"""Debiased Sinkhorn divergence: a smooth energy mover's distance, made of exps and sums alone.

Axes: B pairs of jets; in a block of G pairs, n and m nodes each.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from raybead.config import SinkhornLoss
from raybead.graphs import Momenta
from raybead.losses.ground import Block, blocks, collected, in_double
from raybead.losses.space import Space, Term

_PAIRS = {"cpu": 1 << 17, "cuda": 1 << 24}
"""Of nodes in a block: what a cache holds, and what keeps a GPU busy."""

_STRIDE = 1.8
"""Step of the later iterations; below 2, beyond which they part."""
_HELD = 5
"""Iterations between two exponentials of all pairs."""
_TINY = 1e-300
_SETTLED = 1e-3
"""Share of a jet's momentum that a plan may carry to or from the wrong place; less where a small
epsilon asks for more."""
_MOST_ROUNDS = 40


def build(config: SinkhornLoss, space: Space) -> Term:
    """The term of a job."""
    how = partial(
        sinkhorn,
        radius=config.radius,
        beta=config.power,
        epsilon=config.epsilon,
        iterations=config.iterations,
    )
    return space.between_momenta(how)


def sinkhorn(
    ours: Momenta,
    theirs: Momenta,
    ptr: Tensor,
    ptr2: Tensor | None = None,
    *,
    radius: float = 1.0,
    beta: float = 1.0,
    epsilon: float = 0.01,
    iterations: int = 50,
) -> Tensor:
    r"""[B] Sinkhorn divergence (arXiv:1810.08278) of pairs of jets of one momentum.

    .. math:: S_\epsilon(a, b) = OT_\epsilon(a, b)
              - \tfrac{1}{2} OT_\epsilon(a, a) - \tfrac{1}{2} OT_\epsilon(b, b)

    with :math:`OT_\epsilon(a, b) = \min_f \sum_{ij} f_{ij} C_{ij} + \epsilon\, KL(f | a b^T)`
    over the plans and costs of the energy mover's distance, which it tends to as epsilon falls to
    0. At least 0, and 0 for equal jets.

    Potentials are renewed in turns, in double precision. The smoothing falls from the largest cost
    to epsilon over the first half of the iterations and stays there, where every step but the
    last goes too far on purpose (arXiv:1711.01851), which takes a fraction of the iterations. The
    smaller epsilon, the more iterations are needed. The value is that of the dual problem, whose
    slope by the potentials vanishes at its optimum: so its gradient is that by costs and shares
    with the potentials held, and no iteration is kept for the backward pass.

    Args:
        ours: of the first jets' nodes.
        theirs: of the second jets'.
        ptr: [B + 1] offsets of the first jets.
        ptr2: [B + 1] offsets of the second; the same if not given.
        radius: R, by which distances are divided.
        beta: angular exponent.
        epsilon: smoothing, in units of the cost.
        iterations: how often potentials are renewed at first. Half as many follow as often as a
            pair's plan misplaces more than 1/1000 of its momentum, 40 times at most: like jets
            need many, and without them would seem nearer than they are.

    Returns:
        [B], of the momenta's type.

    Raises:
        InputError: a jet has no constituent.
    """
    max_pairs = _PAIRS.get(ptr.device.type, _PAIRS["cuda"])
    ptr2 = ptr if ptr2 is None else ptr2
    parts = [
        (block.jets_G, _divergence(block, radius, beta, epsilon, iterations))
        for block in blocks(in_double(ours), in_double(theirs), ptr, ptr2, max_pairs)
    ]
    return collected(parts, ours.pt_N)


def _divergence(
    block: Block, radius: float, beta: float, epsilon: float, iterations: int
) -> Tensor:
    """[G] divergences of a block."""
    cost_Gnm = block.costs(radius, beta)
    cost_Gnn, cost_Gmm = block.costs_within(radius, beta)
    a_Gn, b_Gm = block.share_Gn, block.share_Gm

    def least(cost: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return _least(cost, a, b, epsilon, iterations)

    # Either side first, so that neither is; a jet's own cost is found in the very same way.
    cost_Gmn = cost_Gnm.mT.contiguous()
    between = least(cost_Gnm, a_Gn, b_Gm) + least(cost_Gmn, b_Gm, a_Gn)
    within = least(cost_Gnn, a_Gn, a_Gn) + least(cost_Gmm, b_Gm, b_Gm)
    return (between - within) / 2


def _smoothings(cost_Gnm: Tensor, epsilon: float, iterations: int) -> list[Tensor]:
    """[G] smoothings that fall, each jet's from its own largest cost, and reach the last."""
    widest_G = cost_Gnm.amax(dim=(1, 2)).clamp(min=epsilon)
    falling = (iterations + 1) // 2
    return [epsilon * (widest_G / epsilon) ** (1 - step / falling) for step in range(falling)]


def _least(
    cost_Gnm: Tensor, a_Gn: Tensor, b_Gm: Tensor, epsilon: float, iterations: int
) -> Tensor:
    """[G] least regularised costs, with their gradient by costs and shares."""
    with torch.no_grad():
        f_Gn, g_Gm = torch.zeros_like(a_Gn), torch.zeros_like(b_Gm)
        for scale_G in _smoothings(cost_Gnm, epsilon, iterations):
            f_Gn, g_Gm = _renewed(cost_Gnm, a_Gn, b_Gm, f_Gn, g_Gm, scale_G, [1.0])
        f_Gn, g_Gm = _settled(cost_Gnm, a_Gn, b_Gm, f_Gn, g_Gm, epsilon, iterations)
        plan_Gnm = _plan(cost_Gnm, a_Gn, b_Gm, f_Gn, g_Gm, epsilon)
        excess_G = epsilon * (plan_Gnm.sum(dim=(1, 2)) - 1)
    value_G = (a_Gn * f_Gn).sum(dim=1) + (b_Gm * g_Gm).sum(dim=1) - excess_G
    # Nothing is added: only the slope by the costs, which is the plan.
    return value_G + (plan_Gnm * (cost_Gnm - cost_Gnm.detach())).sum(dim=(1, 2))


def _settled(
    cost_Gnm: Tensor,
    a_Gn: Tensor,
    b_Gm: Tensor,
    f_Gn: Tensor,
    g_Gm: Tensor,
    epsilon: float,
    iterations: int,
) -> tuple[Tensor, Tensor]:
    """The potentials [G, n] and [G, m] at the last smoothing.

    Each pair stops by itself: were it carried on with its block, its value would depend on the
    others, and a jet's distance from itself, of four such values, would not be 0.
    """
    strides = [_STRIDE] * (iterations // 2 - 1) + [1.0]
    f_Gn, g_Gm = f_Gn.clone(), g_Gm.clone()
    left = torch.arange(len(cost_Gnm), device=cost_Gnm.device)
    cost, a, b, f, g = cost_Gnm, a_Gn, b_Gm, f_Gn, g_Gm
    for _ in range(_MOST_ROUNDS):
        scale = torch.full_like(cost[:, 0, 0], epsilon)
        for start in range(0, len(strides), _HELD):
            f, g = _renewed(cost, a, b, f, g, scale, strides[start : start + _HELD])
        f_Gn[left], g_Gm[left] = f, g
        # The last half step has made the columns right; the rows tell how far it is.
        astray = (_plan(cost, a, b, f, g, epsilon).sum(dim=2) - a).abs().sum(dim=1)
        on = astray > min(_SETTLED, epsilon / 10)
        if not on.any():
            break
        if not on.all():
            left, cost, a, b, f, g = (x[on] for x in (left, cost, a, b, f, g))
    return f_Gn, g_Gm


def _plan(
    cost_Gnm: Tensor, a_Gn: Tensor, b_Gm: Tensor, f_Gn: Tensor, g_Gm: Tensor, epsilon: float
) -> Tensor:
    """[G, n, m] what goes from where to where."""
    plan_Gnm = _kernel(cost_Gnm, f_Gn, g_Gm, torch.full_like(cost_Gnm[:, 0, 0], epsilon))
    plan_Gnm *= a_Gn[:, :, None]
    plan_Gnm *= b_Gm[:, None, :]
    return plan_Gnm


def _kernel(cost_Gnm: Tensor, f_Gn: Tensor, g_Gm: Tensor, scale_G: Tensor) -> Tensor:
    """[G, n, m] the plan in units of what it would be if all were shared out evenly."""
    slack = f_Gn[:, :, None] + g_Gm[:, None, :]
    slack -= cost_Gnm
    slack /= scale_G[:, None, None]
    return slack.exp_()


def _renewed(
    cost_Gnm: Tensor,
    a_Gn: Tensor,
    b_Gm: Tensor,
    f_Gn: Tensor,
    g_Gm: Tensor,
    scale_G: Tensor,
    strides: list[float],
) -> tuple[Tensor, Tensor]:
    """The potentials [G, n] and [G, m] after some iterations at one smoothing.

    Between two exponentials of all pairs potentials move by factors of the kernel. It is taken
    about the potentials themselves, so that its sums are near 1 and far from the ends of floats.
    """
    kernel_Gnm = _kernel(cost_Gnm, f_Gn, g_Gm, scale_G)
    ahead_Gn, ahead_Gm = torch.zeros_like(f_Gn), torch.zeros_like(g_Gm)
    for stride in strides:
        into = (kernel_Gnm @ (b_Gm * ahead_Gm.exp())[:, :, None])[:, :, 0]
        ahead_Gn = ahead_Gn.lerp(-into.clamp(min=_TINY).log(), stride)
        into = (kernel_Gnm.mT @ (a_Gn * ahead_Gn.exp())[:, :, None])[:, :, 0]
        ahead_Gm = ahead_Gm.lerp(-into.clamp(min=_TINY).log(), stride)
    return f_Gn + scale_G[:, None] * ahead_Gn, g_Gm + scale_G[:, None] * ahead_Gm
