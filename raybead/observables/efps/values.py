"""Energy flow polynomials of jets (arXiv:1712.07124, eq. 8), many jets and all graphs at a time.

Axes: B jets, of a bucket or all; N particles of all jets together; n particles of a jet, all of a
bucket filled up to one number with particles of no momentum; L leaves; E polynomials.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from raybead.config import Efps
from raybead.errors import InputError
from raybead.observables.efps.elimination import Matrix
from raybead.observables.efps.multigraphs import composites
from raybead.observables.efps.plan import Hang, Join, Plan, Rows, Seen, Times, plan_of

_ROWS = 4
"""Of a matrix that comes from stars, made at once."""
_ENTRIES = {"cpu": 2**16, "cuda": 2**22}
"""Of a matrix of all jets of a pass: on a CPU what caches hold, on a GPU what keeps it busy."""


@torch.no_grad()
def polynomials(pt_N: Tensor, eta_N: Tensor, phi_N: Tensor, ptr: Tensor, config: Efps) -> Tensor:
    r"""Energy flow polynomials of massless particles, in the hadronic measure.

    A graph of n vertices and edges (k, l) has
    :math:`\sum_{i_1 \ldots i_n} z_{i_1} \cdots z_{i_n} \prod_{(k, l)} \theta^\beta_{i_k i_l}`
    with :math:`z_i = p_{T,i} / \sum_j p_{T,j}` and
    :math:`\theta_{ij}^2 = \Delta\eta^2 + \Delta\phi^2`, the short way round; a composite has the
    product of its parts'. All sums run over the leading ``config.constituents`` particles alone.

    Args:
        pt_N: [N] transverse momenta, at least 0.
        eta_N: [N] pseudorapidities.
        phi_N: [N] azimuths, radians, in any turn.
        ptr: [B + 1] first particle of each jet; within a jet they may come in any order.
        config: which polynomials.

    Returns:
        [B, E] float64 whatever goes in, in the order of
        :func:`~raybead.observables.efps.multigraphs.multigraphs`; the single vertex's is 1.

    Raises:
        InputError: a jet has no particle or no momentum, or a value isn't finite.
    """
    plan = plan_of(config.n, config.d)
    ends = _Ends.of(plan, pt_N.device)
    z_N, eta_N, phi_N, size_B = _leading(pt_N, eta_N, phi_N, ptr, config.constituents)
    start_B = size_B.cumsum(0) - size_B
    found = z_N.new_empty(len(size_B), len(plan.ends))
    for width, index_B in _buckets(size_B):
        place_n = torch.arange(width, device=z_N.device)
        for part_B in index_B.split(max(1, _ENTRIES.get(z_N.device.type, 2**16) // width**2)):
            there_Bn = place_n < size_B[part_B, None]
            # Who isn't there has no momentum, and an angle that is a number.
            index_Bn = start_B[part_B, None] + torch.where(there_Bn, place_n, 0)
            theta_Bnn = _angles(eta_N[index_Bn], phi_N[index_Bn], config.beta)
            found[part_B] = _connected(plan, ends, z_N[index_Bn] * there_Bn, theta_Bnn)
    unions = composites(config.n, config.d) if config.composites else ()
    if not unions:
        return found
    most = max(map(len, unions))
    parts = [(*union, *(0,) * (most - len(union))) for union in unions]  # 0: the single vertex, 1
    return torch.cat([found, found[:, torch.tensor(parts, device=found.device)].prod(-1)], dim=1)


def _leading(
    pt_N: Tensor, eta_N: Tensor, phi_N: Tensor, ptr: Tensor, most: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Momentum fractions, etas and phis of the leading particles, and how many a jet has."""
    size_B = ptr.diff()
    jet_N = torch.repeat_interleave(size_B, output_size=len(pt_N))
    pt_N, eta_N, phi_N = pt_N.double(), eta_N.double(), phi_N.double()
    bad_N = ~(torch.isfinite(pt_N + eta_N + phi_N) & (pt_N >= 0))
    if bad_N.any():
        raise InputError(
            f"energy flow polynomials: jet {int(jet_N[bad_N][0])} has a particle of negative pT, "
            "or one that isn't finite"
        )
    if (size_B > most).any():
        order_N = pt_N.argsort(descending=True, stable=True)
        order_N = order_N[jet_N[order_N].argsort(stable=True)]
        rank_N = torch.arange(len(pt_N), device=pt_N.device) - ptr[:-1][jet_N]
        kept = order_N[rank_N < most]
        pt_N, eta_N, phi_N, jet_N = (x[kept] for x in (pt_N, eta_N, phi_N, jet_N))
        size_B = size_B.clamp(max=most)
    total_B = torch.zeros(len(size_B), dtype=pt_N.dtype, device=pt_N.device)
    total_B.index_add_(0, jet_N, pt_N)
    if not (total_B > 0).all():
        jet = int((total_B > 0).logical_not().nonzero()[0])
        raise InputError(f"energy flow polynomials: jet {jet} has no momentum")
    return pt_N / total_B[jet_N], eta_N, phi_N, size_B


def _buckets(size_B: Tensor) -> list[tuple[int, Tensor]]:
    """Jets that are filled up to the same number of particles, which follows from the jet alone.

    Four numbers for every doubling: up to a fourth is filling.
    """
    step_B = 2 ** (size_B.double().sub(0.5).log2().floor() - 2).clamp(min=0).long()
    width_B = (size_B + step_B - 1) // step_B * step_B
    widths = width_B.unique().tolist()
    return [(width, (width_B == width).nonzero().squeeze(1)) for width in widths]


def _angles(eta_Bn: Tensor, phi_Bn: Tensor, beta: float) -> Tensor:
    """[B, n, n] to the power beta."""
    eta_Bnn = eta_Bn[:, :, None] - eta_Bn[:, None]
    phi_Bnn = phi_Bn[:, :, None] - phi_Bn[:, None]
    phi_Bnn -= 2 * math.pi * torch.round(phi_Bnn / (2 * math.pi))
    square_Bnn = eta_Bnn.square_().add_(phi_Bnn.square_())
    match beta:
        case 1.0:
            return square_Bnn.sqrt_()
        case 2.0:
            return square_Bnn
        case _:
            return square_Bnn.pow_(beta / 2)


@dataclass(frozen=True)
class _Ends:
    """Products of leaves, the longest first."""

    places: tuple[Tensor, ...]
    """Of their first, second, ... leaf, of those products that have one."""
    back: Tensor
    """[E] where the product of each graph is."""

    @classmethod
    def of(cls, plan: Plan, device: torch.device) -> _Ends:
        order = sorted(range(len(plan.ends)), key=lambda end: -len(plan.ends[end]))
        products = [plan.ends[end] or (plan.leaves,) for end in order]
        places = [
            torch.tensor([rows[i] for rows in products if len(rows) > i], device=device)
            for i in range(len(products[0]))
        ]
        return cls(tuple(places), torch.tensor(order, device=device).argsort())


def _connected(plan: Plan, ends: _Ends, z_Bn: Tensor, theta_Bnn: Tensor) -> Tensor:
    """[B, E] polynomials of the connected graphs."""
    jets = _Pass(z_Bn, theta_Bnn, plan.leaves)
    for step in plan.steps:
        jets.take(step.does)
        for matrix in step.last:
            del jets.matrices[matrix]
    return jets.sums(ends)


class _Pass:
    """What the steps so far have made of some jets."""

    def __init__(self, z_Bn: Tensor, theta_Bnn: Tensor, leaves: int) -> None:
        self.matrices = {
            Matrix(0): torch.ones_like(theta_Bnn[:1]).expand_as(theta_Bnn),
            Matrix(1): theta_Bnn,
        }
        self._z_Bn = z_Bn
        # The last is ones.
        self._leaf_BLn = z_Bn.new_ones(len(z_Bn), leaves + 1, z_Bn.shape[1])
        self._done = 0
        self._weights: dict[Rows, Tensor] = {(): z_Bn}

    def take(self, does: Times | Join | Hang) -> None:
        match does:
            case Times(made, a, b):
                self.matrices[made] = self._seen(a) * self._seen(b)
            case Hang(a, weights):
                w_BLn = torch.stack([self._weighted(w) for w in weights], dim=1)
                rows = slice(self._done, self._done + len(weights))
                self._leaf_BLn[:, rows] = torch.bmm(w_BLn, self._seen(a).mT)
                self._done = rows.stop
            case Join(made, a, b, w, (), _):
                weighed_Bnn = self._seen(a) * self._weighted(w)[:, None]
                self.matrices[made] = torch.bmm(weighed_Bnn, self._seen(b).mT)
            case Join():
                self.matrices[does.made] = self._through_stars(does)

    def sums(self, ends: _Ends) -> Tensor:
        """[B, E] over particles with their momentum fractions, of products of leaves."""
        first, *others = ends.places
        product_BEn = self._leaf_BLn.index_select(1, first)
        for place in others:
            product_BEn[:, : len(place)] *= self._leaf_BLn.index_select(1, place)
        sums_BE = torch.bmm(product_BEn, self._z_Bn[:, :, None]).squeeze(2)
        return sums_BE.index_select(1, ends.back)

    def _seen(self, seen: Seen) -> Tensor:
        matrix = self.matrices[seen.matrix]
        return matrix.mT if seen.turned else matrix

    def _weighted(self, rows: Rows) -> Tensor:
        """[B, n] momentum fractions times leaves."""
        if rows not in self._weights:
            self._weights[rows] = self._weighted(rows[:-1]) * self._leaf_BLn[:, rows[-1]]
        return self._weights[rows]

    def _through_stars(self, join: Join) -> Tensor:
        """Some rows of the matrix after others: of three axes of particles, one is short."""
        made_Bnn = torch.empty_like(self.matrices[Matrix(1)])
        n = made_Bnn.shape[1]
        for i in range(0, n, _ROWS):
            rows, rest = slice(i, i + _ROWS), slice(i if join.even else 0, None)
            arms = {}  # often the same for the link and its stars
            for part in (join, *join.stars):
                if (part.a, part.b, part.w) in arms:
                    continue
                b_Bnn = self._seen(part.b) * self._weighted(part.w)[:, None]
                arms[part.a, part.b, part.w] = (
                    self._seen(part.a)[:, rows, None] * b_Bnn[:, None, rest]
                )
            product_Bmnn = arms[join.a, join.b, join.w]
            for star in join.stars:
                star_Bmnn = arms[star.a, star.b, star.w]
                star_Bmn = torch.bmm(star_Bmnn.flatten(1, 2), self._seen(star.c).mT)
                product_Bmnn = star_Bmn.view_as(product_Bmnn).mul_(product_Bmnn)
            sum_Bmn = product_Bmnn.sum(dim=3)
            made_Bnn[:, rows, rest] = sum_Bmn
            if join.even:
                made_Bnn[:, rest, rows] = sum_Bmn.mT
        return made_Bnn
