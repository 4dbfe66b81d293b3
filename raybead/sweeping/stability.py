r"""How little the efficiency of the hunt's cuts on background moves.

Two things move it. *Sculpting*: given one cut, background passes more often at some masses than at
others. *Overtraining*: events that the model was trained on score otherwise than those it never
saw, and so a threshold that was fitted on the former passes another share of the latter. Both are
told by relative shifts x of efficiencies, e / p - 1 with p = 1 - q what should pass, which are
those of log e where they are small, but unbiased and finite where few events pass.

Shifts squared are not 0 for a perfect score, but their variance by chance:

.. math:: v = \frac{1 - p}{p} \left(\frac{1}{n_b} - \frac{1}{n}\right) \qquad
          v' = \frac{1 - p}{p} \left(\frac{1}{n} + \frac{1}{n'}\right)

for n_b of the n background events in a bin, after the share that passes in all bins together, and
n' events seen in training. It is subtracted; replicas of a bootstrap have it twice.

Axes: R replicas, E background events, S events seen in training, B bins, C cuts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt.binning import Array
from raybead.hunt.sample import Sample
from raybead.hunt.selection import Family, select
from raybead.hunt.selection.selection import FOLDS
from raybead.hunt.selection.threshold import MIN_BEYOND
from raybead.hunt.weights import effective

BINS = 6
"""Of the observable, of equally many background events."""


@dataclass(frozen=True)
class Stability:
    """Who passes which cut, where."""

    weight_E: Array
    bin_EB: Array
    """1 where an event is in the bin; 0 everywhere for one outside the window."""
    passes_EC: Array
    """Each against a threshold of the other folds of background."""
    weight_S: Array
    """0 for those outside the window."""
    over_EC: Array
    """Whether background passes thresholds of the events seen, and they themselves:"""
    over_SC: Array
    p_C: Array
    """What should pass."""

    @classmethod
    def of(
        cls, background: Sample, seen: Sample, hunt: Hunt, window: tuple[float, float]
    ) -> Stability:
        """Of one trial.

        Thresholds are the hunt's: conditional on the observable or not, as it says. Cuts that
        too few events lie beyond are left out, whatever they score.

        Args:
            background: [E] held out from training.
            seen: [S] trained on.
            hunt: whose cuts these are.
            window: of the observable [GeV].

        Raises:
            HuntError: no cut leaves enough events, or no threshold divides the scores.
        """
        rows, of_seen = (
            np.flatnonzero((s.mass >= window[0]) & (s.mass < window[1]))
            for s in (background, seen)
        )
        inside, trained = background.select(rows), seen.select(of_seen)
        least = min(effective(inside.weight) * (FOLDS - 1) / FOLDS, effective(trained.weight))
        # Folds differ a little in their number of events.
        cuts = tuple(q for q in sorted(hunt.cuts) if least * (1 - q) >= 1.1 * MIN_BEYOND)
        if not cuts:
            raise HuntError(
                f"stability: of effectively {least:.0f} background events from {window[0]:g} to"
                f" {window[1]:g} GeV none of the cuts {', '.join(f'{q:g}' for q in hunt.cuts)}"
                f" leaves {MIN_BEYOND}; take a softer cut or more sweep.events"
            )
        by_folds = hunt.model_copy(update={"threshold_fit": "search"})
        order = hunt.threshold_order if hunt.conditional == "mjj" else 0
        both = np.concatenate([inside.mass, trained.mass])
        span = (float(both.min()), float(both.max()))
        passes_EC = np.zeros((len(background), len(cuts)))
        over_EC, over_SC = passes_EC.copy(), np.zeros((len(seen), len(cuts)))
        # Folds go by places: which events were held out may have been decided by their numbers.
        placed = replace(inside, event=rows)
        found = select(placed, placed, by_folds, cuts)
        for c, selection in enumerate(found):
            if isinstance(selection, HuntError):
                raise HuntError(f"stability: {selection}")
            passes_EC[rows, c] = selection.outlier
        for c, threshold in enumerate(Family(trained, order, span).fit(cuts)):
            if isinstance(threshold, HuntError):
                raise HuntError(f"stability: events seen in training: {threshold}")
            over_EC[rows, c] = inside.score > threshold.at(inside.mass)
            over_SC[of_seen, c] = trained.score > threshold.at(trained.mass)
        edges = np.quantile(inside.mass, np.arange(1, BINS) / BINS)
        bin_EB = np.zeros((len(background), BINS))
        bin_EB[rows, np.searchsorted(edges, inside.mass, side="right")] = 1.0
        weight_S = np.zeros(len(seen))
        weight_S[of_seen] = trained.weight
        return cls(
            background.weight,
            bin_EB,
            passes_EC,
            weight_S,
            over_EC,
            over_SC,
            1 - np.array(cuts),
        )

    def shifts(self, w_RE: Array, w_RS: Array) -> tuple[Array, Array]:
        """Relative shifts [R, B, C] by mass and [R, C] by training, of weighted events."""
        bins = self.bin_EB.shape[1]
        passing = (self.bin_EB[:, :, None] * self.passes_EC[:, None]).reshape(len(self.bin_EB), -1)
        passed_RBC = (w_RE @ passing).reshape(len(w_RE), bins, -1)
        total_RB = w_RE @ self.bin_EB
        overall_RC = _ratio(passed_RBC.sum(axis=1), total_RB.sum(axis=1)[:, None])
        by_bin_RBC = _ratio(passed_RBC, total_RB[:, :, None])
        inside_E = self.bin_EB.sum(axis=1)
        held_RC = _ratio((w_RE * inside_E) @ self.over_EC, total_RB.sum(axis=1)[:, None])
        seen_RC = _ratio(w_RS @ self.over_SC, w_RS.sum(axis=1)[:, None])
        return _ratio(by_bin_RBC, overall_RC[:, None]) - 1, _ratio(held_RC, seen_RC) - 1

    def chance(self) -> tuple[Array, Array]:
        """[C] what shifts squared are by chance: mean of the bins, and of training."""
        inside_E = self.bin_EB.sum(axis=1) > 0
        n = effective(self.weight_E[inside_E])
        n_B = np.array([effective(self.weight_E[mine > 0]) for mine in self.bin_EB.T])
        odds_C = (1 - self.p_C) / self.p_C
        per_bin = float(np.mean(1 / np.maximum(n_B, 1.0)) - 1 / n)
        return odds_C * per_bin, odds_C * (1 / n + 1 / effective(self.weight_S))

    def of_draws(self, times_RN: Array) -> Array:
        """[R] minus the root of the mean square shift; of mass and training together.

        Cuts count by what their number of events tells, p / (1 - p). What is below 0 once chance
        is subtracted counts as 0.

        Args:
            times_RN: how often each event is there, background's and then those seen. Where all
                are there once, chance is subtracted once, else twice.
        """
        n = len(self.weight_E)
        w_RE, w_RS = times_RN[:, :n] * self.weight_E, times_RN[:, n:] * self.weight_S
        by_mass_RBC, by_training_RC = self.shifts(w_RE, w_RS)
        once_R1 = np.where((times_RN == 1).all(axis=1), 1.0, 2.0)[:, None]
        of_mass_C, of_training_C = self.chance()
        square_RC = (by_mass_RBC**2).mean(axis=1) - once_R1 * of_mass_C
        square_RC += by_training_RC**2 - once_R1 * of_training_C
        known_C = self.p_C / (1 - self.p_C)
        return 0.0 - np.sqrt(np.maximum(square_RC @ known_C / known_C.sum(), 0.0))


def _ratio(part: Array, whole: Array) -> Array:
    """What part is of whole; 1, no shift, where the whole isn't above 0."""
    fine = np.broadcast_to(whole > 0, part.shape)
    return np.where(fine, part / np.where(whole > 0, whole, 1.0), 1.0)
