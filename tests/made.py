"""Events that tests make for themselves: two back-to-back jets and some radiation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from raybead.config import LhcoSource
from raybead.events import Particles
from raybead.events.particles import offsets_of


def make_particles(n_events: int, seed: int = 0, signal: float = 0.0) -> Particles:
    """Dijet-like events: collimated sprays about two axes. Signal jets are two-pronged, wide."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(n_events) < signal).astype(np.int8)
    events = []
    for is_signal in truth:
        phi0, eta0 = rng.uniform(-np.pi, np.pi), rng.normal(0, 0.7)
        parts = [np.array([[0.7, rng.uniform(-2.4, 2.4), rng.uniform(-np.pi, np.pi)]])]
        hardness = 1750.0 if is_signal else 1250 + rng.exponential(350)
        for axis_phi, axis_eta in ((phi0, eta0), (phi0 + np.pi, -eta0)):
            n = int(rng.integers(8, 40))
            share = rng.dirichlet(np.full(n, 0.4))
            radius = rng.exponential(0.06, n)
            angle = rng.uniform(-np.pi, np.pi, n)
            eta, phi = radius * np.cos(angle), radius * np.sin(angle)
            if is_signal:
                eta += np.where(np.arange(n) % 2, 0.25, -0.25)
            pt = np.maximum(share * hardness, 0.6)
            parts.append(np.stack([pt, axis_eta + eta, axis_phi + phi], axis=1))
        event = np.concatenate(parts)
        events.append(event[np.argsort(-event[:, 0])].astype(np.float32).astype(np.float64))
    flat = np.concatenate(events)
    return Particles(
        event=np.arange(n_events),
        offsets=offsets_of(np.array([len(event) for event in events])),
        pt=flat[:, 0],
        eta=flat[:, 1],
        phi=(flat[:, 2] + np.pi) % (2 * np.pi) - np.pi,
        truth=truth,
        source="made",
    )


def lhco(path: Path | str, **more: object) -> LhcoSource:
    """A source section for a file."""
    return LhcoSource.model_validate({"source": "lhco", "path": str(path), **more})
