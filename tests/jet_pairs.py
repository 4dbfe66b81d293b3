"""Jets that tests of distances make for themselves, and what one costs to carry to another."""

from __future__ import annotations

import numpy as np

from raybead.events.particles import offsets_of


def jets(sizes, seed=0, width=0.3):
    """Jets of falling pT about axes anywhere: (pt, eta, phi, offsets)."""
    r = np.random.default_rng(seed)
    total = sum(sizes)
    jet = np.repeat(np.arange(len(sizes)), sizes)
    pt = 1e3 * r.pareto(1.5, total) + 0.5
    eta = r.normal(0, 0.7, len(sizes))[jet] + r.normal(0, width, total)
    phi = r.uniform(-np.pi, np.pi, len(sizes))[jet] + r.normal(0, width, total)
    return pt, eta, (phi + np.pi) % (2 * np.pi) - np.pi, offsets_of(np.array(sizes))


def cost_of(ours, theirs):
    d_phi = np.abs(ours[2][:, None] - theirs[2][None]) % (2 * np.pi)
    return np.hypot(ours[1][:, None] - theirs[1][None], np.minimum(d_phi, 2 * np.pi - d_phi))


def member(many, b):
    own = slice(many[3][b], many[3][b + 1])
    return many[0][own], many[1][own], many[2][own]
