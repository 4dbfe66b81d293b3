"""What a hunt found, as JSON: every cut, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from raybead.config import Hunt
from raybead.hunt.background import Dijet, RatioPolynomial, agreement
from raybead.hunt.box import Box, boxes_of, trials_of
from raybead.hunt.cut import Cut, Scores
from raybead.hunt.histogram import Array
from raybead.hunt.limits import limits
from raybead.hunt.scan import PeakModel, Upcrossings, Windows, scan
from raybead.hunt.toys import (
    Combined,
    GlobalP,
    Statistics,
    combine,
    significance_of,
    statistics,
    until,
)
from raybead.timing import timed

TOYS_SHOWN = 60
"""Bins of the histogram of pseudo-experiments."""


@dataclass(frozen=True)
class Yield:
    """Events in a window (their summed weight) and what background predicts, with errors."""

    scale: float
    """From a prediction of all outliers to one made outside the window."""
    observed: float
    expected: float
    expected_error: float
    excess: float
    excess_error: float

    def weighed(self, unit: float) -> Yield:
        """The same for events that weigh ``unit`` each."""
        if unit == 1:
            return self
        return Yield(**{k: v * unit for k, v in asdict(self).items()} | {"scale": self.scale})


def window_yield(cut: Cut, bins: slice) -> Yield:
    """The excess in a window over a prediction made outside it.

    The scan's prediction is normalised to all outliers, or fitted to them, a signal among them:
    that keeps the test cautious, but would count part of an excess as background.
    """
    expected, uncertainty = cut.background.expected, cut.background.uncertainty
    inside = cut.outliers[bins].total()
    observed, all_of_it = inside.sums.item(), float(expected[bins].sum())
    if isinstance(cut.background, Dijet):
        windows = Windows(np.array([bins.start]), np.array([bins.stop]))
        masked = cut.background.masked(cut.outliers.row(), cut.others.row(), windows)
        predicted, error = float(masked.expected[0, 0]), float(masked.uncertainty[0, 0])
        scale = predicted / all_of_it if all_of_it > 0 else 1.0
    else:
        outside = float(expected.sum()) - all_of_it
        beyond = cut.outliers[np.delete(np.arange(len(expected)), bins)].total()
        scale = max(float(beyond.sums), 0.0) / outside if outside > 0 else 1.0
        predicted = scale * all_of_it
        relative = 1 / float(beyond.effective) if beyond.sums > 0 else 0.0
        template = scale * float(np.sqrt(np.sum(uncertainty[bins] ** 2)))
        error = float(np.sqrt(template**2 + predicted**2 * relative))
    return Yield(
        scale,
        observed,
        predicted,
        error,
        observed - predicted,
        float(np.sqrt(inside.squares + error**2)),
    )


def describe_cut(
    box: Box, cut: Cut, config: Hunt, statistic: float, toys: Statistics, overall: GlobalP,
    trials: Upcrossings | None, own: str,
) -> dict[str, Any]:  # fmt: skip
    """One cut: counts, background, best window, p-values, yield, peak and limits.

    Numbers of events are whole where every event weighs one, and summed weights otherwise; the
    histogram then holds also the outliers' summed squares and what an event of each bin weighs.

    Args:
        box: that the cut is of.
        cut: to describe.
        config: of the hunt.
        statistic: of the data.
        toys: [N] of pseudo-experiments.
        overall: the cut's p-value, for having looked everywhere in this cut alone.
        trials: of the peak's scan; None where no peak could be fitted.
        own: name of the run that the hunt is of; its cuts are told without a name.
    """
    unit = box.unit
    expected = cut.background.expected
    windows, p_W, best = cut.best_window(config, box.supported)
    bins = slice(int(windows.start[best]), int(windows.stop[best]))
    # A resonance has tails: the window's neighbours say nothing of the background alone either.
    around = slice(max(bins.start - 1, 0), bins.stop + 1)
    quantile = cut.selection.quantile
    peak, limit = None, None
    if cut.peaks is not None and trials is not None:
        with timed("limits"):
            peak, limit = _peak(cut.peak_model(cut.peaks), config, trials, unit)
    grid = np.linspace(0, max(float(toys.max()), statistic) * 1.05 + 1e-9, TOYS_SHOWN + 1)
    return {
        "key": key_of(cut, own),
        "label": f"{100 * quantile:g} % quantile" + ("" if cut.run == own else f", {cut.run}"),
        "run": cut.run,
        "cut": quantile,
        "events": {
            "search": box.n_search,
            "in_window": box.n_window,
            "outliers": _weighed(cut.outliers.sums.sum(), unit),
            "others": _weighed(cut.others.sums.sum(), unit),
        },
        "thresholds": [asdict(threshold) for threshold in cut.selection.thresholds],
        "histogram": {
            "edges": box.edges.tolist(),
            "outliers": _weighed(cut.outliers.sums, unit),
            "others": _weighed(cut.others.sums, unit),
            "expected": _weighed(expected, unit),
            "uncertainty": _weighed(cut.background.uncertainty, unit),
            **_fluctuations(cut, unit),
        },
        "background": {
            "kind": config.background,
            "agreement": asdict(fit := agreement(cut.outliers, cut.background, around)),
            "warnings": list(
                dict.fromkeys([*cut.background.warnings(), *fit.warnings(), *cut.notes])
            ),
            **_fitted(cut),
        },
        "window": {
            "low": float(box.edges[bins.start]),
            "high": float(box.edges[bins.stop]),
            **asdict(window_yield(cut, bins).weighed(unit)),
        },
        "local": {
            "p": float(p_W[best]),
            "significance": significance_of(float(p_W[best])),
        },
        "global": {**asdict(overall), "significance": overall.significance},
        "peak": peak,
        "limits": limit,
        "scan": {
            "low": box.edges[windows.start].tolist(),
            "high": box.edges[windows.stop].tolist(),
            "p": p_W.tolist(),
        },
        "toys": {
            "statistic": statistic,
            "edges": grid.tolist(),
            "counts": np.histogram(toys, grid)[0].tolist(),
        },
    }


def described(
    boxes: Sequence[Box],
    config: Hunt,
    observed: Array,
    toys: Statistics,
    trials: Sequence[Sequence[Upcrossings | None]],
    own: str,
) -> dict[str, Any]:
    """The result of all cuts of all boxes.

    Args:
        boxes: hunted in.
        config: of the hunt.
        observed: [L] statistics of the data.
        toys: [N, L] of the pseudo-experiments.
        trials: of every cut of every box.
        own: name of the run that the hunt is of.
    """
    combined = combine(observed, toys)
    cuts: list[dict[str, Any]] = []
    for box, of_box in zip(boxes, trials, strict=True):
        for cut, of_cut in zip(box.cuts, of_box, strict=True):
            place = len(cuts)
            statistic, per_look = float(observed[place]), combined.per_look[place]
            cuts.append(
                describe_cut(box, cut, config, statistic, toys[:, place], per_look, of_cut, own)
            )
    return {
        "observable": config.observable,
        "statistic": config.statistic,
        "cuts": cuts,
        "refused": [reason for box in boxes for reason in box.refused],
        "conclusion": conclude(cuts, combined),
    }


def most_toys(boxes: Sequence[Box], config: Hunt) -> int:
    """How many pseudo-experiments there may be."""
    if config.toys != "auto":
        return config.toys
    tabled = config.statistic == "bumps" and config.background == "non-outliers"
    return 10_000_000 if tabled and all(box.every.are_counts for box in boxes) else 100_000


def hunt_here(runs: Sequence[Scores], config: Hunt, seed: int = 0) -> dict[str, Any]:
    """The whole hunt in this process, as the stage does it on a cluster, to the same numbers.

    Args:
        runs: scores; the hunt is of the first, others are hunted in along with it.
        config: of the hunt.
        seed: of the pseudo-experiments.

    Raises:
        HuntError: nothing can be hunted at.
    """
    boxes = boxes_of(runs, config)
    observed = np.concatenate([box.observed(config) for box in boxes])

    def more(first: int, n: int) -> Statistics:
        return joint_statistics(boxes, config, n, seed, first)

    toys = until(observed, more, most_toys(boxes, config), config.precision)
    trials = [trials_of(box, (seed, number, 1)) for number, box in enumerate(boxes)]
    return described(boxes, config, observed, toys, trials, runs[0].run)


def joint_statistics(
    boxes: Sequence[Box], config: Hunt, n: int, seed: int, first: int
) -> Statistics:
    """[N, L] statistics of pseudo-experiments of all boxes, side by side; float32.

    Args:
        boxes: hunted in.
        config: of the hunt.
        n: pseudo-experiments.
        seed: of all of them.
        first: number of the first chunk.
    """
    columns = [
        statistics(box.null(), box.looks(config), n, (seed, number), first)
        for number, box in enumerate(boxes)
    ]
    # Seven digits are enough to rank them by, and ten million toys of three looks are 120 MB.
    return np.concatenate(columns, axis=1).astype(np.float32)


def key_of(cut: Cut, own: str) -> str:
    """What files and columns of a cut are called."""
    quantile = f"{cut.selection.quantile:g}"
    return quantile if cut.run == own else f"{cut.run}-{quantile}"


def conclude(cuts: Sequence[dict[str, Any]], found: Combined) -> dict[str, Any]:
    """All cuts together: the most significant, and its p-value for having looked at all."""
    best, overall = cuts[found.best], found.overall
    least = min(cut["global"]["p"] for cut in cuts)
    return {
        "best_cut": found.best,
        **asdict(overall),
        "significance": overall.significance,
        "bonferroni": min(1.0, len(cuts) * least),
        "looks": len(cuts),
        # Where no toy reaches the best look, those beyond are the other looks' most extreme ones,
        # as many however many toys there are: the more toys, the smaller p.
        "resolved": found.per_look[found.best].beyond > 0,
        "window": best["window"],
    }


def _peak(
    model: PeakModel, config: Hunt, trials: Upcrossings, unit: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the likelihood says of a peak among a cut's outliers."""
    found = scan(model)
    excluded = limits(model, config.confidence)
    at = int(np.argmin(np.abs(np.asarray(excluded.masses) - found.best.mass)))
    every = trials.bound(found.best.z**2)
    return {
        "masses": list(found.masses),
        "z": list(found.z),
        "signal": [s * unit for s in found.signal],
        "error_low": [s * unit for s in found.error_low],
        "error_high": [s * unit for s in found.error_high],
        "best": asdict(found.best)
        | {
            name: getattr(found.best, name) * unit
            for name in ("signal", "error_low", "error_high")
        },
        "global": asdict(every),
    }, {
        "confidence": config.confidence,
        "luminosity": config.luminosity,
        "masses": list(excluded.masses),
        "observed": [s * unit for s in excluded.observed],
        "expected": [[s * unit for s in band] for band in excluded.expected],
        "at_best": {
            "observed": excluded.observed[at] * unit,
            "expected": excluded.expected[2][at] * unit,
        },
    }


def _fitted(cut: Cut) -> dict[str, Any]:
    """What was fitted to make the prediction."""
    match cut.background:
        case Dijet() as dijet:
            return {"parameters": list(dijet.parameters), "f_test": list(dijet.f_test)}
        case RatioPolynomial() as ratio:
            return {"parameters": list(ratio.coefficients)}
        case _:
            return {}


def _weighed(values: Any, unit: float) -> Any:
    """Numbers of events for JSON; whole ones stay so where every event weighs one."""
    return (values if unit == 1 else values * unit).tolist()


def _fluctuations(cut: Cut, unit: float) -> dict[str, Any]:
    if cut.outliers.are_counts and unit == 1:
        return {}
    return {
        "outliers_squares": _weighed(cut.outliers.squares, unit**2),
        "per_event": _weighed(cut.background.per_event, unit),
    }
