"""Pythia 8 as a source: QCD dijets and W' -> X Y, as the LHC Olympics selected them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from raybead.config import PythiaSource
from raybead.errors import InputError
from raybead.events.clustering import leading_pt_eta
from raybead.events.particles import Particles, offsets_of, wrap_phi
from raybead.events.sources.pythia_settings import refuse_reaching_out
from raybead.events.span import Span, even_spans

MAX_ETA = 2.5
"""Acceptance of the tracker, and of the selection's jet."""
MIN_PT = 0.5
"""GeV; softer particles aren't seen."""
SELECTION_RADIUS = 1.0
HOPELESS = 5000
"""Events without one that passes the selection, after which none is expected to."""
BATCH = 64
"""Events that Pythia makes at a time; part of what fixes a slice's events."""
VINCIA = 2
"""Number of the parton shower (arXiv:2003.00702)."""
VINCIA_GAP = 50.0
"""GeV that a top has to be heavier than a W for Vincia; it crashes below about 35."""

# Stable particles by |PDG id|, for what a detector makes of them.
INVISIBLE = (12, 14, 16)
ELECTROMAGNETIC = (11, 22)
NEUTRAL_HADRONS = (130, 310, 2112, 3122, 3322)


class PythiaGenerator:
    """Generates slices of events; a slice's content follows from the seed and its number."""

    def __init__(self, config: PythiaSource) -> None:
        self.config = config

    def spans(self, rows_per_task: int) -> list[Span]:
        del rows_per_task  # a slice is a task: its size is part of what fixes the events
        return even_spans(0, self.config.events, self.config.slice_events)

    def read(self, span: Span) -> tuple[Particles, Mapping[str, int]]:
        config, start, stop = self.config, span.start, span.stop
        number = start // config.slice_events
        placing, background_seed, signal_seed = np.random.SeedSequence(
            [config.seed, number]
        ).spawn(3)
        n_signal = _signal_before(config, stop) - _signal_before(config, start)
        truth = np.zeros(stop - start, dtype=np.int8)
        truth[np.random.default_rng(placing).permutation(stop - start)[:n_signal]] = 1
        wanted = {0: int((truth == 0).sum()), 1: n_signal}
        made: dict[int, list[NDArray[np.float64]]] = {0: [], 1: []}
        for label, seed in ((0, background_seed), (1, signal_seed)):
            if wanted[label]:
                made[label] = _accepted(config, bool(label), seed, wanted[label])
        queues = {label: iter(events) for label, events in made.items()}
        events = [next(queues[int(label)]) for label in truth]
        flat_T3 = np.concatenate(events)
        return (
            Particles(
                event=np.arange(start, stop),
                offsets=offsets_of(np.array([len(event) for event in events])),
                pt=flat_T3[:, 0],
                eta=flat_T3[:, 1],
                phi=flat_T3[:, 2],
                truth=truth,
                generator=config.generator,
                source="pythia",
            ),
            {},
        )

    def depends(self) -> dict[str, object]:
        return {**self.config.model_dump(mode="json"), "pythia": metadata.version("pythia8mc")}


def _signal_before(config: PythiaSource, row: int) -> int:
    # Cumulative rounding: slices add up to the share of the whole, whatever their size.
    return math.floor(config.signal_fraction * row + 1e-6)


def _accepted(
    config: PythiaSource, signal: bool, seed: np.random.SeedSequence, wanted: int
) -> list[NDArray[np.float64]]:
    """``wanted`` events that pass the selection, each [n, 3] of (pT, eta, phi), pT falling."""
    pythia_seed, detector_seed = seed.spawn(2)
    detector = np.random.default_rng(detector_seed)
    events: list[NDArray[np.float64]] = []
    tried = 0
    for batch in _batches(config, signal, int(pythia_seed.generate_state(1)[0]) % 900_000_000 + 1):
        pid, offsets, pt, eta, phi = _final_state(batch)
        if config.smearing:
            pt, eta, phi = smear(detector, pid, pt, eta, phi)
        seen = (np.abs(eta) < MAX_ETA) & (pt > MIN_PT) & ~np.isin(np.abs(pid), INVISIBLE)
        event_of = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        counts = np.bincount(event_of[seen], minlength=len(offsets) - 1)
        particles = Particles(
            event=np.arange(len(counts)),
            offsets=offsets_of(counts),
            pt=pt[seen],
            eta=eta[seen],
            phi=wrap_phi(phi[seen]),
        )
        jet_pt, jet_eta = leading_pt_eta(particles, SELECTION_RADIUS)
        passed = (jet_pt > config.min_leading_pt) & (np.abs(jet_eta) < MAX_ETA)
        tried += len(particles)
        if tried >= HOPELESS and not events and not passed.any():
            raise InputError(
                f"none of {tried} events has a jet above {config.min_leading_pt:g} GeV;"
                " lower min_leading_pt, or raise pt_hat_min or the resonance's mass"
            )
        for event in np.flatnonzero(passed):
            inside = slice(particles.offsets[event], particles.offsets[event + 1])
            grid = np.stack([particles.pt, particles.eta, particles.phi], axis=1)[inside]
            # As a file would hold them: single precision, leading first.
            grid = grid[np.argsort(-grid[:, 0], kind="stable")].astype(np.float32)
            events.append(grid.astype(np.float64))
            if len(events) == wanted:
                return events
    raise AssertionError("batches never end")


def _batches(config: PythiaSource, signal: bool, seed: int) -> Iterator[Any]:
    import pythia8mc

    pythia = pythia8mc.Pythia("", False)
    lines = [
        "Print:quiet = on",
        "Random:setSeed = on",
        f"Random:seed = {seed}",
        f"Beams:eCM = {config.beam_energy}",
        *(_resonance_settings(config) if signal else _qcd_settings(config)),
    ]
    for line in config.settings:
        refuse_reaching_out(pythia, line)
    for line in (*lines, *config.settings):
        if not pythia.readString(line):
            raise InputError(f"Pythia refuses the setting {line!r}")
    _refuse_crash(pythia)
    if not pythia.init():
        raise InputError("Pythia can't start with these settings: it says more when run by itself")
    empty = 0
    while True:
        batch = pythia.nextBatch(BATCH, "skip")
        empty = empty + 1 if len(batch) == 0 else 0
        if empty > 10:
            raise InputError("Pythia makes no events with these settings")
        yield batch


def _refuse_crash(pythia: Any) -> None:
    """Vincia ends the whole process, at its start, where it can't make a top decay to a W."""
    if pythia.settings.mode("PartonShowers:model") != VINCIA:
        return
    w, top = (pythia.particleData.m0(number) for number in (24, 6))
    if top < w + VINCIA_GAP:
        raise InputError(
            f"Vincia (PartonShowers:model = 2) takes no W of {w:g} GeV, as which the resonance's X"
            f" is made, with a top of {top:g} GeV; add '6:m0 = {w + 2 * VINCIA_GAP:g}' to settings"
        )


def _qcd_settings(config: PythiaSource) -> list[str]:
    return ["HardQCD:all = on", f"PhaseSpace:pTHatMin = {config.pt_hat_min}"]


def _resonance_settings(config: PythiaSource) -> list[str]:
    """W' -> W Z of the sequential standard model, with W and Z made into X and Y."""
    r = config.resonance
    width = r.width * r.mass
    settings = [
        "NewGaugeBoson:ffbar2Wprime = on",
        "Wprime:coup2WZ = 1.",
        f"34:m0 = {r.mass}",
        f"34:mWidth = {width}",
        f"34:mMin = {max(r.mass - 10 * width, r.mass_x + r.mass_y)}",
        f"34:mMax = {r.mass + 10 * width}",
        "34:doForceWidth = on",
        "34:onMode = off",
        "34:onIfMatch = 24 23",
    ]
    for particle, mass in ((24, r.mass_x), (23, r.mass_y)):
        settings += [
            f"{particle}:m0 = {mass}",
            f"{particle}:mWidth = {0.01 * mass}",
            f"{particle}:mMin = {0.9 * mass}",
            f"{particle}:mMax = {1.1 * mass}",
            f"{particle}:doForceWidth = on",
            f"{particle}:onMode = off",
            f"{particle}:onIfAny = 1 2 3 4 5",
        ]
    return settings


def _final_state(
    batch: Any,
) -> tuple[NDArray[np.int64], NDArray[np.int64], *tuple[NDArray[np.float64], ...]]:
    """pid [T], offsets [E + 1], pT, eta, phi [T] of the final particles."""
    particles = batch.prt
    moving = np.hypot(particles.p.px, particles.p.py) > 0  # eta of what follows the beam: none
    final = particles[(particles.status > 0) & moving]
    counts = ak.to_numpy(ak.num(final.id))
    pid = ak.to_numpy(ak.flatten(final.id)).astype(np.int64)
    px, py, pz = (ak.to_numpy(ak.flatten(final.p[axis])) for axis in ("px", "py", "pz"))
    pt = np.hypot(px, py)
    return pid, offsets_of(counts), pt, np.arcsinh(pz / pt), np.arctan2(py, px)


def smear(
    rng: np.random.Generator,
    pid: NDArray[np.int64],
    pt: NDArray[np.float64],
    eta: NDArray[np.float64],
    phi: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """A light detector: resolutions of tracker, electromagnetic and hadronic calorimeter.

    Relative resolutions: tracks 1 % + 0.01 % pT; electromagnetic 10 %/sqrt(E) + 1 %; neutral
    hadrons 60 %/sqrt(E) + 5 %, added in quadrature (E, pT in GeV). Angles: 0.001, 0.005, 0.02.
    They have the size of a multi-purpose detector's at the LHC, not the detail of one.
    """
    energy = pt * np.cosh(eta)
    kind = np.abs(pid)
    electromagnetic = np.isin(kind, ELECTROMAGNETIC)
    hadronic = np.isin(kind, NEUTRAL_HADRONS)
    stochastic = np.select([electromagnetic, hadronic], [0.10, 0.60], 0.0) / np.sqrt(energy)
    constant = np.select([electromagnetic, hadronic], [0.01, 0.05], 0.01)
    linear = np.where(electromagnetic | hadronic, 0.0, 1e-4 * pt)
    angle = np.select([electromagnetic, hadronic], [0.005, 0.02], 0.001)
    relative = np.sqrt(stochastic**2 + constant**2 + linear**2)
    normal = rng.standard_normal((3, len(pt)))
    return (
        pt * np.maximum(1.0 + relative * normal[0], 0.0),
        eta + angle * normal[1],
        phi + angle * normal[2],
    )
