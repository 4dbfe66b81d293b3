"""The whole hunt on pseudo-data: without a signal, and with one that was put in.

Axes: E events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from raybead.config import Calibrate, Hunt, Reach
from raybead.errors import HuntError
from raybead.hunt.binning import edges_of
from raybead.hunt.box import Box, prepare_box
from raybead.hunt.cut import Scores
from raybead.hunt.limits import limits
from raybead.hunt.pseudo import Calibration, Conditional, PseudoBackground, inject
from raybead.hunt.pseudo.calibration import WORDS
from raybead.hunt.sample import Sample
from raybead.hunt.scan import GaussianPeak, Templates, scan
from raybead.hunt.toys import combine, interval, significance_of, statistics

FOUND = 0.01
"""Global p-value up to which a signal counts as found."""


@dataclass(frozen=True)
class Material:
    """What pseudo-data are made of, and how they are hunted in."""

    pseudo: PseudoBackground
    conditional: Conditional | None
    """Scores given the mass, that injected ones are told by; of a study of the reach."""
    background: Sample
    """That thresholds are fitted on, where the job says so."""
    signal: Sample | None
    hunt: Hunt
    facts: dict[str, Any]
    """Told with the result."""

    @classmethod
    def of(
        cls, scores: Scores, hunt: Hunt, config: Calibrate, seed: int, *, injects: bool = False
    ) -> Material:
        """Pseudo-data of a run's scores.

        Args:
            scores: of both samples.
            hunt: to be tried.
            config: how pseudo-data are made.
            seed: of all sets.
            injects: whether signals will be put in.

        Raises:
            HuntError: the sample is too small.
        """
        background = scores.background
        source = background if config.sample == "background" else scores.search
        if hunt.threshold_fit == "background" and config.sample == "background":
            # Thresholds of the very events that pseudo-data are made of would fit too well.
            half = source.event % 2 == 0
            source, background = source.select(half), background.select(~half)
        events = len(scores.search) if config.events is None else config.events
        sets = config.sets
        edges = edges_of(hunt)
        window = (float(edges[0]), float(edges[-1]))
        pseudo = PseudoBackground.of(
            source, events, (seed, 7), config.method, sets=sets, window=window
        )
        conditional = pseudo.conditional
        if injects and conditional is None:
            inside = source.within(window)
            conditional = Conditional.of(inside.select(np.argsort(inside.mass, kind="stable")))
        facts = {
            "sets": config.sets,
            "events": events,
            "sample": config.sample,
            "method": config.method,
            "of": len(source),
            "cuts": sorted(hunt.cuts),
        }
        return cls(pseudo, conditional, background, scores.signal, hunt, facts)


LARGEST_SHARE = 0.25
"""Of a sample, that sets drawn of it can have before its own odd events show in their alarms."""


@dataclass(frozen=True)
class Outcome:
    """One hunt."""

    p: float
    """Global."""
    per_cut: tuple[float, ...]
    cuts: tuple[float, ...]
    """Quantiles of the cuts that could be hunted at."""
    low: float
    """Of the most significant window [GeV]"""
    high: float


@dataclass(frozen=True)
class Recovery:
    """What a hunt made of a signal that was put in."""

    outcome: Outcome
    passing: int
    """Signal events that pass the first cut, in the mass window."""
    fitted: float
    error: float
    limit: float
    """Upper, 95 %."""


def hunt_once(box: Box, config: Hunt, toys: int, seed: tuple[int, ...]) -> Outcome:
    """Hunt in a box with so many pseudo-experiments."""
    observed = box.observed(config)
    found = combine(observed, statistics(box.null(), box.looks(config), toys, seed))
    windows, _, best = box.cuts[found.best].best_window(config, box.supported)
    return Outcome(
        found.overall.p,
        tuple(one.p for one in found.per_look),
        tuple(cut.selection.quantile for cut in box.cuts),
        float(box.edges[windows.start[best]]),
        float(box.edges[windows.stop[best]]),
    )


def false_alarm(material: Material, toys: int, seed: tuple[int, ...]) -> Outcome:
    """Hunt in one set of pseudo-data without a signal; the last of the seed is its number."""
    pseudo = material.pseudo.set(seed[-1])
    box = prepare_box([Scores("", pseudo, material.background)], material.hunt)
    return hunt_once(box, material.hunt, toys, (*seed, 1))


def recovered(
    material: Material,
    config: Reach,
    mass: float,
    strength: float,
    toys: int,
    seed: tuple[int, ...],
) -> Recovery:
    """Put a signal into one set, hunt, and fit a peak of its mass at the first cut."""
    rng = np.random.default_rng(seed)
    pseudo = material.pseudo.set(seed[-1])
    n_signal = round(strength * len(pseudo))
    if config.signal == "truth" and (material.signal is None or len(material.signal) == 0):
        raise HuntError("reach.signal = 'truth': no event of the search sample is known as signal")
    donors = config.efficiency if config.signal == "efficiency" else material.signal
    assert material.conditional is not None
    assert donors is not None
    both = inject(pseudo, n_signal, mass, config.width, material.conditional, rng, donors)
    box = prepare_box([Scores("", both, material.background)], material.hunt)
    outcome = hunt_once(box, material.hunt, toys, (*seed, 1))
    cut = box.cuts[0]
    signal = np.isin(box.inside.event, both.event[len(pseudo) :])  # the signal's come last
    passing = int(np.sum(cut.selection.outlier & signal))
    model = cut.peak_model(
        Templates(GaussianPeak(config.width), box.edges, np.array([mass], dtype=np.float64))
    )
    found, limit = scan(model), limits(model)
    return Recovery(
        outcome,
        passing,
        found.signal[0],
        (found.error_low[0] + found.error_high[0]) / 2,
        limit.observed[0],
    )


def summed_up(found: Sequence[Outcome], toys: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    """All sets of a calibration, as JSON.

    Args:
        found: a hunt a set.
        toys: of each.
        facts: of the material.
    """
    p = [float(one.p) for one in found]
    summary = asdict(Calibration.of(p, toys))
    events, of = facts["events"], facts["of"]
    lumpy = facts["method"] != "disjoint" and events > LARGEST_SHARE * of
    if summary["verdict"] == "anti-conservative" and lumpy:
        # Alarms may be of the sample rather than of the hunt.
        counted = summary["words"].removeprefix(WORDS["anti-conservative"])
        summary["verdict"] = "undecided"
        summary["words"] = (
            f"{WORDS['undecided']}{counted} Sets of {events} events are drawn of {of}, so that the"
            " same odd events come up again and again: alarms may be more frequent than the hunt's"
            f" own. Whether they are is told by calibrate.events = {int(LARGEST_SHARE * of)}, or"
            f" by {round(events / LARGEST_SHARE)} events to draw of."
        )
    lost = {cut: sum(cut not in one.cuts for one in found) for cut in facts["cuts"]}
    for cut, sets in lost.items():
        if sets:
            summary["words"] += (
                f" The cut {cut:g} couldn't be hunted at in {sets} of {len(found)} sets, which"
                " have too few events for it: of it they say nothing."
            )
    return {"p": p, "summary": summary, "lost": {f"{cut:g}": sets for cut, sets in lost.items()}}


@dataclass(frozen=True)
class Point:
    """All sets of one mass and strength."""

    mass: float
    strength: float
    found: float
    """Share of hunts with a global p-value of at most 0.01; its 68 % interval follows."""
    found_low: float
    found_high: float
    median_z: float
    """Global."""
    covered: float
    """Share of hunts whose most significant window holds the mass."""
    injected: float
    """Signal events that pass the first cut, mean."""
    fitted: float
    fitted_error: float
    """Of the mean."""
    pull: float
    """Mean of (fitted - injected) / error."""
    pull_width: float
    limit_covers: float
    """Share of 95 % limits that lie above what was injected."""

    @classmethod
    def of(cls, mass: float, strength: float, found: Sequence[Recovery]) -> Point:
        """Of the sets' recoveries."""
        p = np.array([one.outcome.p for one in found])
        fitted, error, passing = (
            np.array([getattr(one, name) for one in found], dtype=np.float64)
            for name in ("fitted", "error", "passing")
        )
        pull = (fitted - passing) / np.maximum(error, 1e-9)
        hits = int(np.sum(p <= FOUND))
        low, high = interval(hits, len(p))
        return cls(
            mass=mass,
            strength=strength,
            found=hits / len(p),
            found_low=low,
            found_high=high,
            median_z=significance_of(float(np.median(p))),
            covered=float(np.mean([one.outcome.low <= mass <= one.outcome.high for one in found])),
            injected=float(passing.mean()),
            fitted=float(fitted.mean()),
            fitted_error=float(fitted.std(ddof=1) / np.sqrt(len(p))),
            pull=float(pull.mean()),
            pull_width=float(pull.std(ddof=1)),
            limit_covers=float(np.mean([one.limit >= one.passing for one in found])),
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
