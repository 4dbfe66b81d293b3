"""Events of any numbers of ready-made jets, and what slow loops make of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from raybead.config import Jets
from raybead.events import GivenJets, Particles
from raybead.events.grooming import soft_drop
from raybead.events.particles import offsets_of


def ragged_particles(
    events: Sequence[Sequence[tuple[float, int]]], seed: int = 0, width: float = 0.3
) -> Particles:
    """Events of jets of given pT, in GeV, and numbers of constituents, in the order given."""
    rng = np.random.default_rng(seed)
    jets = [jet for event in events for jet in event]
    sizes = np.array([n for _, n in jets], dtype=np.int64)
    pt = [p * rng.dirichlet(np.full(n, 0.7)) + 1e-3 for p, n in jets]
    eta = [rng.normal(0, 0.8) + width * rng.normal(size=n) for _, n in jets]
    phi = [rng.uniform(-np.pi, np.pi) + width * rng.normal(size=n) for _, n in jets]
    n_jets = np.array([len(event) for event in events], dtype=np.int64)
    offsets = offsets_of(sizes)
    flat = [np.concatenate([*parts, np.empty(0)]) for parts in (pt, eta, phi)]
    n = len(events)
    return Particles(
        event=np.arange(n) + 100,
        offsets=offsets[offsets_of(n_jets)],
        pt=flat[0],
        eta=flat[1],
        phi=(flat[2] + np.pi) % (2 * np.pi) - np.pi,
        met=rng.uniform(0, 90, n).astype(np.float32),
        met_phi=rng.uniform(-3, 3, n).astype(np.float32),
        generator=np.array([["a", "b", None][i % 3] for i in range(n)], dtype=object),
        jets=GivenJets(
            offsets=offsets_of(n_jets),
            constituents=offsets,
            btag=rng.integers(0, 2, len(jets)).astype(np.float32),
        ),
        source="made",
    )


def slow_jets(particles: Particles, config: Jets) -> tuple[dict[int, list[dict]], dict[str, int]]:
    """Jets of every event that is kept, and events that each cut drops, one jet at a time."""
    assert particles.jets is not None
    kept: dict[int, list[dict]] = {}
    dropped = {"fewer than 2 jets": 0, "leading jet too soft": 0}
    if config.soft_drop:
        dropped["jet groomed away"] = 0
    for row, event in enumerate(particles.event):
        jets = []
        for number in range(particles.jets.offsets[row], particles.jets.offsets[row + 1]):
            first, last = particles.jets.constituents[number : number + 2]
            jet = _jet([x[first:last] for x in (particles.pt, particles.eta, particles.phi)])
            if last - first >= config.min_constituents and jet["pt"] >= config.min_pt:
                jets.append(jet)
        jets = sorted(jets, key=lambda jet: -jet["pt"])[: config.leading]
        if len(jets) < 2:
            dropped["fewer than 2 jets"] += 1
            continue
        if jets[0]["pt"] < config.min_leading_pt:
            dropped["leading jet too soft"] += 1
            continue
        if config.soft_drop:
            jets = [_groomed(jet["parts"], config) for jet in jets]
            if any(len(jet["parts"][0]) < config.min_constituents for jet in jets[:2]):
                dropped["jet groomed away"] += 1
                continue
            jets = [jet for jet in jets if len(jet["parts"][0]) >= config.min_constituents]
        kept[int(event)] = jets
    return kept, dropped


def mass_of(jets: Sequence[dict]) -> float:
    px, py, pz, e = (sum(jet["p4"][x] for jet in jets) for x in range(4))
    return math.sqrt(max(e**2 - px**2 - py**2 - pz**2, 0.0))


def _groomed(parts: Sequence[np.ndarray], config: Jets) -> dict:
    assert config.soft_drop is not None
    cut = config.soft_drop
    whole = np.array([0, len(parts[0])])
    kept = soft_drop(*parts, whole, cut.z_cut, cut.beta, config.radius)  # type: ignore[misc]
    return _jet([x[kept] for x in parts])


def _jet(parts: Sequence[np.ndarray]) -> dict:
    pt, eta, phi = parts
    order = sorted(range(len(pt)), key=lambda i: -pt[i])
    px, py = sum(pt * np.cos(phi)), sum(pt * np.sin(phi))
    p4 = (px, py, sum(pt * np.sinh(eta)), sum(pt * np.cosh(eta)))
    return {"pt": math.hypot(px, py), "p4": p4, "parts": [x[order] for x in parts]}
