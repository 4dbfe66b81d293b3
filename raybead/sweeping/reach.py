r"""The smallest signal that the hunt would find, of a score on jets of two prongs.

Nothing is hunted in here: injections into pseudo-data would take minutes a trial for a number that
jumps. The background of a search sample of :data:`EVENTS` events is that which the judged one's
masses say, smoothed as pseudo-data's are (:mod:`raybead.hunt.pseudo`), and what a peak needs to be
found in it is that of Asimov data (:func:`raybead.hunt.limits.reach`): the yield among outliers
whose median significance is 3 after all masses of the hunt's scan were looked at. That is the same
for all trials. What a trial decides is how many signal events are outliers, and how many
background events with them. Both are asked at the mass of the signal, with scores moved there as
those of injections are: each as far above the background's as it was at its own mass.

A signal's events that don't pass are background to a hunt that predicts by the others. With shares
e of signal and f of background that pass, S events show as

.. math:: S e - S (1 - e) \frac{f}{1 - f} = S \frac{e - f}{1 - f}

outliers too many. So a score that doesn't tell the signal finds none, however many there are,
unless a function fitted to the outliers alone is the background, which then shows all e S.

Thresholds are those of background alone. Where the hunt fits its own on the search sample, they
follow a signal and take some of it, most where a score tells it least: a hunt then needs from a
little more to over twice as much. Nor are several cuts counted as looks. So the number is for
comparing trials, and what a hunt finds is for ``raybead reach`` to tell.

A cut whose background follows the mass is asked as if that were known: what it passes at that mass
costs, and what a hunt would get wrong by it doesn't win. See ``stability`` for that.

Axes: R replicas, E background events, S signal events, C cuts, F shares, G masses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt.background import predict
from raybead.hunt.binning import Array, edges_of
from raybead.hunt.box import TRIALS
from raybead.hunt.cut import Cut
from raybead.hunt.histogram import Histogram
from raybead.hunt.limits import reach
from raybead.hunt.pseudo import PseudoBackground
from raybead.hunt.pseudo.conditional import drawn_by
from raybead.hunt.sample import Sample
from raybead.hunt.scan import GaussianPeak, Templates, Upcrossings
from raybead.hunt.selection import Family, Selection, Threshold

EVENTS = 20_000
"""Of the search sample that signals are looked for in, those outside the window among them."""
LARGEST = 1.0
"""Signal events over background events beyond which it doesn't matter how many it would take."""
Z = 3.0
"""Global significance, of all masses at one cut, that is to be had half of the time."""
FEWEST = 20
"""Two-prong events of the window."""
SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of what should pass a cut: those that needed yields are worked out for, linear in logarithms
between."""
_NEVER = 1e12


@dataclass(frozen=True)
class Reach:
    """What passes each cut at each mass, and how many events it takes."""

    weight_E: Array
    """0 for those outside the window, as below."""
    passes_ECG: Array
    weight_S: Array
    signal_SCG: Array
    log_share_CF: Array
    log_needed_CFG: Array
    by_others: bool
    """Whether signal events that don't pass count as background."""

    @classmethod
    def of(
        cls,
        background: Sample,
        signal: Sample,
        hunt: Hunt,
        masses: tuple[float, ...],
        seed: int,
    ) -> Reach:
        """Of one trial.

        Args:
            background: [E] judged.
            signal: [S] of two prongs.
            hunt: whose thresholds, background and peak are taken.
            masses: of signals [GeV].
            seed: of the pseudo-experiments for the price of looking at many masses.

        Raises:
            HuntError: too few events in the window, no cut that they allow, or a mass outside.
        """
        edges = edges_of(hunt)
        window = (float(edges[0]), float(edges[-1]))
        if outside := [m for m in masses if not window[0] <= m < window[1]]:
            raise HuntError(
                f"reach: sweep.masses has {outside[0]:g} GeV, and the bins of the hunt reach from"
                f" {window[0]:g} to {window[1]:g}"
            )
        rows, of_signal = (
            np.flatnonzero((s.mass >= window[0]) & (s.mass < window[1]))
            for s in (background, signal)
        )
        inside, prongs = background.select(rows), signal.select(of_signal)
        if len(prongs) < FEWEST or not prongs.weight.sum() > 0:
            raise HuntError(
                f"reach: {len(prongs)} of {len(signal)} two-prong events lie from {window[0]:g} to"
                f" {window[1]:g} GeV; {FEWEST} of a positive sum of weights are needed"
            )
        pseudo = PseudoBackground.of(background, EVENTS, (seed,), window=window)
        cuts = tuple(sorted(hunt.cuts))
        spectrum = tuple(expected(pseudo, edges).tolist())
        log_share_CF, log_needed_CFG = needed(spectrum, hunt.model_dump_json(), cuts, masses, seed)
        order = hunt.threshold_order if hunt.conditional == "mjj" else 0
        thresholds = Family(inside, order, window).fit(cuts)
        if all(isinstance(found, HuntError) for found in thresholds):
            raise HuntError(f"reach: {thresholds[0]}")
        assert pseudo.conditional is not None
        passes_ECG = np.zeros((len(background), len(cuts), len(masses)))
        signal_SCG = np.zeros((len(signal), len(cuts), len(masses)))
        for sample, places, flags in (
            (inside, rows, passes_ECG), (prongs, of_signal, signal_SCG),
        ):  # fmt: skip
            z = pseudo.conditional.standardised(sample.mass, sample.score)
            for g, mass in enumerate(masses):
                score = pseudo.conditional.unstandardised(np.full(len(z), mass), z)
                for c, threshold in enumerate(thresholds):
                    if isinstance(threshold, Threshold):
                        flags[places, c, g] = score > threshold.at(np.array([mass]))
        weight_E, weight_S = np.zeros(len(background)), np.zeros(len(signal))
        weight_E[rows], weight_S[of_signal] = inside.weight, prongs.weight
        by_others = hunt.background != "dijet"
        return cls(
            weight_E, passes_ECG, weight_S, signal_SCG, log_share_CF, log_needed_CFG, by_others
        )

    def strengths(self, times_RE: Array) -> Array:
        """[R, G] signal events over background events of the sample, at the best cut.

        Args:
            times_RE: how often every row is there; signal rows are those of background.
        """
        share_RCG = _passing(times_RE * self.weight_E, self.passes_ECG)
        efficiency_RCG = _passing(times_RE * self.weight_S, self.signal_SCG)
        visible_RCG = efficiency_RCG
        if self.by_others:
            above = np.maximum(efficiency_RCG - share_RCG, 0.0)
            visible_RCG = above / np.maximum(1 - share_RCG, 1e-12)
        log_RCG = np.log(np.maximum(share_RCG, 1e-12))
        needed_RCG = np.empty_like(share_RCG)
        for c, g in np.ndindex(share_RCG.shape[1:]):
            table = self.log_share_CF[c], self.log_needed_CFG[c, :, g]
            needed_RCG[:, c, g] = np.exp(np.interp(log_RCG[:, c, g], *table))
        strength_RCG = needed_RCG / EVENTS / np.maximum(visible_RCG, 1e-12)
        return np.minimum(strength_RCG.min(axis=1), LARGEST)

    def of_draws(self, times_RE: Array) -> Array:
        """[R] minus the mean over masses of log10 of the strength."""
        return 0.0 - np.log10(self.strengths(times_RE)).mean(axis=1)


def expected(pseudo: PseudoBackground, edges: Array) -> Array:
    """[M] events of each bin that smooth pseudo-data hold in the mean."""
    x = np.log(pseudo.sample.mass)
    weight = drawn_by(pseudo.sample.weight)
    low, high = x[0], x[-1]
    below = np.zeros(len(edges))
    width = max(pseudo.noise, 1e-9)
    for centre, sign in ((x, 1.0), (2 * low - x, 1.0), (2 * high - x, 1.0)):
        # What noise takes beyond an end comes back.
        at = np.clip(np.log(edges), low, high)
        share = special.ndtr((at[:, None] - centre) / width)
        below += sign * (share @ weight)
    return pseudo.n * np.diff(below) / (below[-1] - below[0])


@lru_cache(maxsize=32)
def needed(
    spectrum: tuple[float, ...],
    said: str,
    cuts: tuple[float, ...],
    masses: tuple[float, ...],
    seed: int,
) -> tuple[Array, Array]:
    """Logarithms of shares that pass [C, F], and of yields among outliers [C, F, G].

    The same for every trial on the same events, and so worked out once a process.

    Args:
        spectrum: [M] background events of the search sample in each bin.
        said: the hunt as JSON, whose background is predicted and whose peak is looked for; a
            Gaussian of ``hunt.signal.width``.
        cuts: quantiles.
        masses: [G] GeV
        seed: of pseudo-experiments.
    """
    hunt = Hunt.model_validate_json(said)
    edges = edges_of(hunt)
    every = np.array(spectrum)
    scanned = Templates.over(edges, GaussianPeak(hunt.signal.width), hunt.signal.masses)
    at = scanned.at(np.array(masses))
    share_CF = np.minimum((1 - np.array(cuts))[:, None] * SHARES, 0.95)
    needed_CFG = np.full((*share_CF.shape, len(masses)), _NEVER)
    for c in range(len(cuts)):
        rng = np.random.default_rng((seed, c))
        nominal = _cut(every, 1 - cuts[c], edges, scanned, hunt)
        outliers, others = (
            Histogram.counted(rng.poisson(part.sums, (TRIALS, len(every))))
            for part in (nominal.outliers, nominal.others)
        )
        refitted = nominal.background.refit(outliers, others)
        trials = Upcrossings.of(nominal.likelihood(scanned).curves(outliers, others, refitted))
        for f, share in enumerate(share_CF[c]):
            found = reach(_cut(every, share, edges, at, hunt).peak_model(at), Z, trials)
            needed_CFG[c, f] = [_NEVER if s is None else max(s, 1e-3) for s in found.signal]
    return np.log(share_CF), np.log(needed_CFG)


def _cut(every: Array, share: float, edges: Array, templates: Templates, hunt: Hunt) -> Cut:
    """Asimov data of a cut that passes a share of all bins."""
    outliers, others = (Histogram(sums, sums) for sums in (share * every, (1 - share) * every))
    none = Selection(1 - share, np.empty(0, dtype=bool), ())
    background = predict(outliers, others, edges, hunt)
    return Cut("", none, outliers, others, background, templates, leak=0.0)


def _passing(weight_RE: Array, flags_ECG: Array) -> Array:
    """[R, C, G] the share of the weights that passes."""
    passed = weight_RE @ flags_ECG.reshape(len(flags_ECG), -1)
    total = weight_RE.sum(axis=1, keepdims=True)
    share = np.where(total > 0, passed / np.where(total > 0, total, 1.0), 0.0)
    return np.clip(share, 0.0, 1.0).reshape((-1, *flags_ECG.shape[1:]))
