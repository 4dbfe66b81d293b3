"""Sequential recombination the slow and obvious way, in plain Python: what tests compare with."""

from __future__ import annotations

from dataclasses import dataclass
from math import asinh, atan2, cos, cosh, hypot, pi, sin, sinh, sqrt

import numpy as np

from raybead.events.particles import offsets_of


@dataclass(frozen=True)
class Branch:
    """A particle, or two branches that merged."""

    p: tuple[float, float, float, float]
    members: tuple[int, ...]
    parents: tuple[Branch, Branch] | None = None

    @property
    def pt(self) -> float:
        return hypot(self.p[0], self.p[1])

    @property
    def phi(self) -> float:
        return atan2(self.p[1], self.p[0])

    @property
    def rapidity(self) -> float:
        square = self.p[3] ** 2 - self.p[2] ** 2
        return asinh(self.p[2] / sqrt(max(square, self.pt**2)))


def distance(a: Branch, b: Branch) -> float:
    turn = abs(a.phi - b.phi)
    return hypot(a.rapidity - b.rapidity, min(turn, 2 * pi - turn))


def recombine(pt, eta, phi, power: int, stop: int = 1) -> list[Branch]:
    """Merge the nearest two by min(pT^2p) dR^2, again and again, until ``stop`` are left."""
    left = [
        Branch((t * cos(f), t * sin(f), t * sinh(y), t * cosh(y)), (i,))
        for i, (t, y, f) in enumerate(zip(pt, eta, phi, strict=True))
    ]
    while len(left) > stop:
        _, i, j = min(
            (min(a.pt, b.pt) ** (2 * power) * distance(a, b) ** 2, i, j)
            for i, a in enumerate(left)
            for j, b in enumerate(left[:i])
        )
        a, b = left[i], left[j]
        total = tuple(x + y for x, y in zip(a.p, b.p, strict=True))
        merged = Branch(total, a.members + b.members, (a, b))
        left = [branch for k, branch in enumerate(left) if k not in (i, j)] + [merged]
    return left


def soft_drop(pt, eta, phi, z_cut: float, beta: float, radius: float) -> set[int]:
    """Constituents that soft drop keeps of one jet."""
    (branch,) = recombine(pt, eta, phi, power=0)
    while branch.parents:
        soft, hard = sorted(branch.parents, key=lambda b: b.pt)
        if soft.pt / (soft.pt + hard.pt) > z_cut * (distance(soft, hard) / radius) ** beta:
            break
        branch = hard
    return set(branch.members)


def make_jets(sizes, seed: int):
    """Packed jets (pt, eta, phi, offsets) of up to three prongs, some about phi = pi."""
    rng = np.random.default_rng(seed)
    offsets = offsets_of(np.array(sizes, dtype=np.int64))
    jet = np.repeat(np.arange(len(sizes)), sizes)
    n = len(jet)
    prong_eta, prong_phi = rng.normal(0, 0.3, (2, len(sizes), 3))
    which = rng.integers(0, 3, n)
    eta = rng.normal(0, 1, len(sizes))[jet] + prong_eta[jet, which] + rng.normal(0, 0.08, n)
    phi = rng.uniform(2, 4, len(sizes))[jet] + prong_phi[jet, which] + rng.normal(0, 0.08, n)
    return 0.5 + 10 * rng.pareto(1.2, n), eta, (phi + np.pi) % (2 * np.pi) - np.pi, offsets
