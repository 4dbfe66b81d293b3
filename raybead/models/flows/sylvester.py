"""Sylvester flows: planar flows of many directions at once, orthogonal to one another.

Axes: N items, Z numbers of the latent, M directions, K reflections, I of the context.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from raybead.config.flow import SylvesterFlow
from raybead.models.flows.amortised import Amortised
from raybead.models.flows.chain import Chain, Map
from raybead.models.flows.rising import bounded, solve_rising


class Inside(NamedTuple):
    """R, R' and b of every item."""

    above_MMN: Tensor
    """R above its diagonal, 0 elsewhere"""
    diagonal_MN: Tensor
    other_above_MMN: Tensor
    """R' above its diagonal, 0 elsewhere"""
    other_diagonal_MN: Tensor
    b_MN: Tensor


class Sylvester(Map):
    """z + Q R tanh(R' Q^T z + b) (arXiv:1803.05649), R and R' upper triangular.

    The M columns of Q are orthonormal, so that the determinant is that of 1 + diag(tanh') R' R, a
    triangular matrix of M x M. A subclass says what Q is; here it is one.
    """

    def __init__(self, directions: int, context: int, **basis: Tensor) -> None:
        """Set the map up.

        Args:
            directions: M.
            context: I.
            basis: what the parameter of Q starts close to, if it has one.
        """
        super().__init__()
        zeros_M, ones_M = torch.zeros(directions), torch.ones(directions)
        # R starts close to 0, so that the map does to the identity; R' doesn't, or else neither
        # would have a gradient to speak of.
        self.amortised = Amortised(
            context,
            both=torch.zeros(directions, directions),
            diagonal=zeros_M,
            other_diagonal=ones_M,
            b=zeros_M,
            **basis,
        )

    def forward(self, z_NZ: Tensor, context_NI: Tensor) -> tuple[Tensor, Tensor]:
        inside, basis = self.parameters_of(context_NI)
        move_MN, log_det_N = _move(inside, self.down(z_NZ.t(), basis))
        return z_NZ + self.up(move_MN, basis).t(), log_det_N

    def inverse(self, z_NZ: Tensor, context_NI: Tensor) -> tuple[Tensor, Tensor]:
        inside, basis = self.parameters_of(context_NI)
        before_MN = _solved(inside, self.down(z_NZ.t(), basis))
        move_MN, log_det_N = _move(inside, before_MN)
        return z_NZ - self.up(move_MN, basis).t(), log_det_N

    def parameters_of(self, context_NI: Tensor) -> tuple[Inside, Tensor | None]:
        """R, R' and b, and what :meth:`down` and :meth:`up` want to know of Q."""
        both_MMN, diagonal_MN, other_MN, b_MN, *basis = self.amortised(context_NI)
        above_MM1 = both_MMN.new_ones(both_MMN.shape[:2]).triu(1)[:, :, None]
        inside = Inside(
            # One square matrix holds what is above the diagonal of both.
            both_MMN * above_MM1,
            bounded(diagonal_MN),
            both_MMN.transpose(0, 1) * above_MM1,
            bounded(other_MN),
            b_MN,
        )
        return inside, self.basis(*basis)

    def basis(self, *_parameters: Tensor) -> Tensor | None:
        """What Q is, from its parameters."""
        return None

    def down(self, z_ZN: Tensor, _basis: Tensor | None) -> Tensor:
        """[M, N] Q^T z."""
        return z_ZN

    def up(self, x_MN: Tensor, _basis: Tensor | None) -> Tensor:
        """[Z, N] Q x."""
        return x_MN


class Orthogonal(Sylvester):
    """Q of a few vectors, made orthonormal one after another."""

    def __init__(self, latent: int, rank: int, context: int) -> None:
        start_ZM, _ = torch.linalg.qr(torch.randn(latent, rank))
        super().__init__(rank, context, vectors=start_ZM.t())

    def basis(self, vectors_MZN: Tensor) -> Tensor:
        return orthonormal(vectors_MZN)

    def down(self, z_ZN: Tensor, q_MZN: Tensor) -> Tensor:
        return (q_MZN * z_ZN).sum(dim=1)

    def up(self, x_MN: Tensor, q_MZN: Tensor) -> Tensor:
        return (q_MZN * x_MN[:, None]).sum(dim=0)


class Householder(Sylvester):
    """Q of all directions: a product of reflections."""

    def __init__(self, latent: int, reflections: int, context: int) -> None:
        super().__init__(latent, context, normals=torch.randn(reflections, latent))

    def basis(self, normals_KZN: Tensor) -> Tensor:
        return functional.normalize(normals_KZN, dim=1)

    def down(self, z_ZN: Tensor, normals_KZN: Tensor) -> Tensor:
        for normal_ZN in normals_KZN.unbind():
            z_ZN = _reflected(z_ZN, normal_ZN)
        return z_ZN

    def up(self, x_MN: Tensor, normals_KZN: Tensor) -> Tensor:
        for normal_ZN in reversed(normals_KZN.unbind()):
            x_MN = _reflected(x_MN, normal_ZN)
        return x_MN


def _reflected(z_ZN: Tensor, normal_ZN: Tensor) -> Tensor:
    return torch.addcmul(z_ZN, normal_ZN, (normal_ZN * z_ZN).sum(dim=0), value=-2)


def orthonormal(vectors_MZN: Tensor) -> Tensor:
    """[M, Z, N] Gram and Schmidt's orthonormal vectors of M linearly independent ones.

    Unlike a QR decomposition's they move with the vectors without jumps of sign.
    """
    found: list[Tensor] = []
    for vector_ZN in vectors_MZN.unbind():
        left_ZN = functional.normalize(vector_ZN, dim=0)
        # Twice is enough for all digits (doi:10.1007/s00211-005-0615-4).
        q_mZN = torch.stack(found) if found else vectors_MZN[:0]
        for _ in range(2):
            along_mN = (q_mZN * left_ZN).sum(dim=1)
            left_ZN = left_ZN - (q_mZN * along_mN[:, None]).sum(dim=0)
        found.append(functional.normalize(left_ZN, dim=0))
    return torch.stack(found)


def _move(inside: Inside, x_MN: Tensor) -> tuple[Tensor, Tensor]:
    """[M, N] by how much a latent moves that lies at x in Q, and [N] log-determinant."""
    r_MMN, diagonal_MN, other_MMN, other_diagonal_MN, b_MN = inside
    tanh_MN = torch.tanh((other_MMN * x_MN).sum(dim=1) + other_diagonal_MN * x_MN + b_MN)
    slopes_MN = diagonal_MN * other_diagonal_MN * (1 - tanh_MN.square())
    move_MN = (r_MMN * tanh_MN).sum(dim=1) + diagonal_MN * tanh_MN
    return move_MN, torch.log1p(slopes_MN).sum(dim=0)


def _solved(inside: Inside, after_MN: Tensor) -> Tensor:
    """[M, N] where in Q a latent was that is at ``after_MN`` now: from the last direction to the
    first, because with triangular matrices each follows from itself and those behind it."""
    r_MMN, diagonal_MN, other_MMN, other_diagonal_MN, b_MN = inside
    size = len(after_MN)
    found: dict[int, Tensor] = {}
    tanhs: dict[int, Tensor] = {}
    for m in reversed(range(size)):
        y_N, d_N = after_MN[m], b_MN[m]
        for k in range(m + 1, size):
            y_N = y_N - r_MMN[m, k] * tanhs[k]
            d_N = d_N + other_MMN[m, k] * found[k]
        found[m] = solve_rising(y_N, diagonal_MN[m], other_diagonal_MN[m], d_N)
        tanhs[m] = torch.tanh(other_diagonal_MN[m] * found[m] + d_N)
    return torch.stack([found[m] for m in range(size)])


def build(config: SylvesterFlow, latent: int, context: int) -> Chain:
    """The flow of a job."""
    layers = range(config.layers)
    match config.basis:
        case "orthogonal":
            return Chain(Orthogonal(latent, config.rank, context) for _ in layers)
        case "householder":
            return Chain(Householder(latent, config.rank, context) for _ in layers)
        case "triangular":
            # A permutation that reverses is a Q, too.
            return Chain((Sylvester(latent, context) for _ in layers), alternate=True)
