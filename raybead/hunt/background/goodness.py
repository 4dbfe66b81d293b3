"""How well a prediction describes the outliers.

Axes: M bins, G groups of bins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from raybead.hunt.background.prediction import Background, Compared
from raybead.hunt.background.runs import Runs, run_test
from raybead.hunt.histogram import Array, Histogram

LEAST = 5.0
"""(Effective) events expected in a group of bins."""
TOYS = 400
"""Pseudo-experiments: a p-value of 0.01 is known to half of itself."""
POOR = 0.01
"""p-value below which a prediction is called a bad one."""


@dataclass(frozen=True)
class LikelihoodRatio:
    """Baker and Cousins' test of all bins, by pseudo-experiments with predictions of their own."""

    value: float
    """-2 log of the likelihood ratio to the saturated model."""
    ndf: int
    """Bins less fitted parameters: what the value is about, where many events are expected."""
    p: float
    """(k + 1) / (n + 1) of pseudo-experiments, which is right for few events, too."""


@dataclass(frozen=True)
class Agreement:
    """How well a prediction describes the outliers, away from the most significant window."""

    chi2: float
    """Pearson's."""
    ndf: int
    """Groups of bins less fitted parameters."""
    p: float
    """By pseudo-experiments, as that of the likelihood ratio: where groups hold many bins, a fit
    to the bins takes fewer degrees of freedom from the groups than it has parameters."""
    parameters: int
    """Fitted to the bins compared: degrees of freedom that are spent."""
    likelihood: LikelihoodRatio
    runs: Runs
    notes: tuple[str, ...]
    """What went otherwise in the prediction than asked for."""

    def warnings(self) -> tuple[str, ...]:
        """What is bad or couldn't be tested, in words; nothing where all is well."""
        said = list(self.notes)
        if self.ndf == 0:
            said.append("too few events are expected away from the window for a chi2 test")
        elif self.p < POOR:
            said.append(
                "the prediction doesn't describe the outliers away from the window:"
                f" chi2/ndf = {self.chi2:.1f}/{self.ndf}, p = {self.p:.2g}"
            )
        if self.likelihood.ndf == 0:
            said.append("too few bins are left away from the window for a likelihood-ratio test")
        elif self.likelihood.p < POOR:
            said.append(
                "the prediction doesn't describe the outliers away from the window:"
                f" -2 log L ratio = {self.likelihood.value:.1f} for {self.likelihood.ndf} degrees"
                f" of freedom, p = {self.likelihood.p:.2g}"
            )
        if self.runs.p < POOR:
            said.append(
                "outliers are above and below the prediction in too few turns:"
                f" {self.runs.runs} runs of {self.runs.above} bins above and {self.runs.below}"
                f" below, p = {self.runs.p:.2g}"
            )
        return tuple(said)


def agreement(
    outliers: Histogram, background: Background, without: slice | None, seed: int = 0
) -> Agreement:
    """Pearson's chi2, the likelihood ratio and the run test, a window left out.

    The prediction is made anew from the bins compared, so that a signal in the window isn't held
    against it. For chi2 and runs, neighbouring bins are taken together until at least 5
    (effective) events are expected of them.

    Args:
        outliers: of the data [M].
        background: their prediction.
        without: the bins of the window.
        seed: of the pseudo-experiments.
    """
    kept = np.ones(len(background.expected), dtype=bool)
    if without is not None:
        kept[without] = False
    rng = np.random.default_rng([seed, len(kept)])
    outside = background.outside(kept, rng, TOYS)
    group_M = _groups(outside.data.expected[0] / background.per_event, kept)
    groups_MG = (group_M[:, None] == np.arange(group_M.max() + 1)).astype(np.float64)
    # Sums below 0 are compared as they are.
    data = replace(outside.data, seen=np.where(kept, outliers.sums, 0.0)[None])
    chi2 = _pearson(data, groups_MG, background.per_event)
    ndf = _ndf(groups_MG.shape[1], outside.parameters)
    bins = int(np.sum(data.expected > 0))
    residuals = ((data.seen - data.expected) @ groups_MG)[0]
    likelihood_ndf = _ndf(bins, outside.parameters)
    return Agreement(
        float(chi2[0]),
        ndf,
        _p(chi2, _pearson(outside.toys, groups_MG, background.per_event)) if ndf else 1.0,
        outside.parameters,
        LikelihoodRatio(
            float(data.deviance[0]),
            likelihood_ndf,
            _p(data.deviance, outside.toys.deviance) if likelihood_ndf else 1.0,
        ),
        run_test(residuals),
        background.warnings(),
    )


def _pearson(compared: Compared, groups_MG: Array, per_event: Array) -> Array:
    """[N] chi2 of groups of bins."""
    difference_NG = (compared.seen - compared.expected) @ groups_MG
    variance_NG = (compared.expected * per_event + compared.variance) @ groups_MG
    some = variance_NG > 0
    return np.sum(np.where(some, difference_NG**2 / np.where(some, variance_NG, 1.0), 0.0), axis=1)


def _ndf(compared: int, parameters: int) -> int:
    return max(compared - parameters, 0) if parameters else 0


def _p(observed: Array, toys: Array) -> float:
    # Equal values count as beyond: counts are discrete.
    return (int(np.sum(toys >= observed * (1 - 1e-10))) + 1) / (len(toys) + 1)


def _groups(events_M: Array, kept_M: NDArray[np.bool_]) -> NDArray[np.int64]:
    """[M] the group of each bin, -1 where it is left out.

    Groups don't reach over a window. What is left over at a side's end joins its last group; a
    side without enough events isn't compared.
    """
    group_M = np.full(len(events_M), -1)
    number = 0
    edges = np.flatnonzero(np.diff(kept_M.astype(int), prepend=0, append=0))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        first, collected = number, 0.0
        for place in range(start, stop):
            group_M[place] = number
            collected += max(events_M[place], 0.0)
            if collected >= LEAST:
                number, collected = number + 1, 0.0
        if number == first:
            group_M[start:stop] = -1
        elif collected or group_M[stop - 1] == number:
            group_M[start:stop][group_M[start:stop] == number] = number - 1
    return group_M
