"""A search sample and all looks at it: every cut of every model's score.

Axes: E events, L looks, M bins, N pseudo-experiments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt.background import NonOutliers, RatioPolynomial
from raybead.hunt.binning import Array, edges_of
from raybead.hunt.cut import Cut, Scores, make_cut
from raybead.hunt.histogram import Histogram
from raybead.hunt.sample import Sample
from raybead.hunt.scan import Upcrossings
from raybead.hunt.selection import select
from raybead.hunt.toys import (
    Look,
    Marked,
    Null,
    Permutation,
    Spectra,
    Thinned,
    observed_statistics,
)
from raybead.hunt.weights import shared_weight

TRIALS = 300
"""Pseudo-experiments for the number of a peak's chances, whose mean they tell to some 5 %."""


@dataclass(frozen=True)
class Box:
    """One search sample within the mass window, and the looks at it."""

    edges: Array
    inside: Sample
    """Events of the window; their scores are the first run's."""
    place: NDArray[np.int64]
    """[E] bin of each."""
    every: Histogram
    cuts: tuple[Cut, ...]
    refused: tuple[str, ...]
    """Cuts that can't be hunted at, with their reasons."""
    n_search: float
    n_window: float
    fitted: int
    """Parameters of the thresholds that these very events were fitted with; 1 where none were."""
    unit: float
    """What histograms are in units of: the weight that all events share, so that they are counts;
    1 where weights differ."""

    @property
    def window(self) -> tuple[float, float]:
        """Of masses [GeV]."""
        return float(self.edges[0]), float(self.edges[-1])

    @property
    def flags(self) -> NDArray[np.bool_]:
        """[E, L] whether an event is an outlier of a cut."""
        return np.stack([cut.selection.outlier for cut in self.cuts], axis=1)

    @property
    def supported(self) -> NDArray[np.bool_]:
        """[M] bins that hold events."""
        return np.bincount(self.place, minlength=len(self.edges) - 1) > 0

    def looks(self, config: Hunt) -> tuple[Look, ...]:
        """How spectra of every cut become numbers."""
        return tuple(cut.look(config, self.supported) for cut in self.cuts)

    def null(self) -> Null:
        """What pseudo-experiments of all cuts are drawn from."""
        backgrounds = [cut.background for cut in self.cuts]
        if all(isinstance(background, NonOutliers) for background in backgrounds):
            counted = self.every.are_counts
            weight = None if counted else self.inside.weight
            parts = self.fitted if counted and len({cut.run for cut in self.cuts}) == 1 else 1
            return Permutation(self.place, self.flags, len(self.edges) - 1, weight, parts)
        runs = [cut.run for cut in self.cuts]
        chains = tuple(
            tuple(k for k, run in enumerate(runs) if run == name) for name in dict.fromkeys(runs)
        )
        counted = self.every.are_counts
        expected = tuple(background.expected for background in backgrounds)
        # A ratio's toys need the others, too, and can't have more outliers than events.
        ratio = any(isinstance(background, RatioPolynomial) for background in backgrounds)
        if counted:
            every = self.every.sums.astype(np.int64) if ratio else None
            held = expected if every is None else tuple(np.minimum(e, every) for e in expected)
            return Thinned(held, chains, every)
        if ratio:
            filled = self.every.sums > 0
            total = np.where(filled, self.every.sums, 1.0)
            share = tuple(np.where(filled, np.minimum(e / total, 1.0), 0.0) for e in expected)
            return Marked(self.place, self.inside.weight, share, chains)
        weigh = tuple(background.per_event for background in backgrounds)
        return Thinned(expected, chains, per_event=weigh)

    def data(self) -> Spectra:
        """Outliers and others of every cut, [1, M]."""
        return tuple((cut.outliers.row(), cut.others.row()) for cut in self.cuts)

    def observed(self, config: Hunt) -> Array:
        """[L] test statistics of the data."""
        return observed_statistics(self.null(), self.looks(config), self.data())


def prepare_box(runs: Sequence[Scores], config: Hunt) -> Box:
    """Select outliers at every cut of every run's score, and predict them.

    Thresholds are fitted and applied within the mass window alone: what lies outside has no part
    in the hunt.

    Args:
        runs: with the same events in their search samples.
        config: of the hunt.

    Raises:
        HuntError: no cut can be hunted at, or the window holds no events or too few bins.
    """
    edges = edges_of(config)
    window = (float(edges[0]), float(edges[-1]))
    search = runs[0].search
    inside = search.within(window)
    if len(inside) == 0:
        raise HuntError(
            f"no event of the search sample has {window[0]:.0f} <= {config.observable} <"
            f" {window[1]:.0f} GeV"
        )
    unit = shared_weight(inside.weight)
    place = np.searchsorted(edges, inside.mass, side="right") - 1
    cuts: list[Cut] = []
    refused: list[str] = []
    for run in runs:
        whose = "" if len(runs) == 1 else f" ({run.run})"
        quantiles = tuple(sorted(config.cuts))
        within = (run.search.within(window), run.background.within(window))
        for quantile, found in zip(quantiles, select(*within, config, quantiles), strict=True):
            try:
                if isinstance(found, HuntError):
                    raise found
                cuts.append(make_cut(run, found, edges, inside, unit, config))
            except HuntError as error:
                named = str(error).startswith("cut ")
                refused.append(f"{error if named else f'cut {quantile:g}: {error}'}{whose}")
    if not cuts:
        raise HuntError(refused[0])
    return Box(
        edges=edges,
        inside=inside,
        place=place,
        every=Histogram.of(inside.mass, None if unit is not None else inside.weight, edges),
        cuts=tuple(cuts),
        refused=tuple(refused),
        n_search=search.total,
        n_window=inside.total,
        fitted=_parameters(config),
        unit=1.0 if unit is None else unit,
    )


def _parameters(config: Hunt) -> int:
    """How many parameters of its thresholds follow the sample that is hunted in."""
    if config.threshold_fit == "background" or config.conditional == "none":
        return 1
    return 3 if config.threshold_order == "auto" else config.threshold_order + 1


def boxes_of(runs: Sequence[Scores], config: Hunt) -> list[Box]:
    """Runs by the search sample that they score, the first run's first.

    Runs of the same events are looks at one sample, whose fluctuations they share; runs of other
    events have fluctuations of their own.

    Raises:
        HuntError: two runs have some events in common and not all, so that they are neither; or
            nothing can be hunted in.
    """
    groups: list[list[Scores]] = []
    for run in runs:
        for group in groups:
            if _same_events(group[0].search, run.search):
                group.append(run)
                break
            if (shared := _shared_events(group[0].search, run.search)) > 0:
                raise HuntError(
                    f"hunt.runs: {shared} events of {run.run} are also {group[0].run}'s, but not"
                    " all: hunt in the same search sample, or in others without common events"
                )
        else:
            groups.append([run])
    return [prepare_box(group, config) for group in groups]


def _same_events(one: Sample, other: Sample) -> bool:
    return np.array_equal(one.event, other.event) and np.allclose(one.mass, other.mass, rtol=1e-6)


def _shared_events(one: Sample, other: Sample) -> int:
    """Events of equal number and mass: those of different samples share numbers alone."""
    _, mine, theirs = np.intersect1d(
        one.event, other.event, assume_unique=True, return_indices=True
    )
    return int(np.sum(np.isclose(one.mass[mine], other.mass[theirs], rtol=1e-6)))


def trials_of(box: Box, seed: tuple[int, ...]) -> list[Upcrossings | None]:
    """How often the likelihood of a peak comes up by chance in each cut's scan.

    None for a cut in which no peak can be fitted.
    """
    spectra = box.null().draw(np.random.default_rng(seed), TRIALS)
    crossings: list[Upcrossings | None] = []
    for cut, (outliers, others) in zip(box.cuts, spectra, strict=True):
        if cut.peaks is None:
            crossings.append(None)
            continue
        scan = cut.likelihood(cut.peaks)
        expected = cut.background.refit(outliers, others)
        crossings.append(Upcrossings.of(scan.curves(outliers, others, expected)))
    return crossings
