"""One cut from scores to a significance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt.background import Background, agreement, predict
from raybead.hunt.sample import Array, Sample, edges_within
from raybead.hunt.scan import Counts, Windows, local_p, test_statistic
from raybead.hunt.selection import Selection, select_outliers
from raybead.hunt.toys import GlobalP, significance_of


@dataclass(frozen=True)
class Prepared:
    """A cut's selection and prediction: all that the scan and its toys need."""

    selection: Selection
    edges: Array
    outliers: Counts
    others: Counts
    background: Background
    windows: Windows
    n_search: int
    n_window: int


def prepare_cut(search: Sample, background: Sample, quantile: float, config: Hunt) -> Prepared:
    """Select outliers and predict them.

    Thresholds are fitted and applied within the mass window alone: what lies outside has no
    part in the hunt.

    Raises:
        HuntError: too few events, or a window without bins.
    """
    edges = edges_within(config.mass_window)
    if len(edges) < 3:
        raise HuntError(
            f"hunt.mass_window = {list(config.mass_window)} holds fewer than two dijet bins"
        )
    window = (float(edges[0]), float(edges[-1]))
    inside = search.within(window)
    if len(inside) == 0:
        raise HuntError(
            f"no event of the search sample has {window[0]:.0f} <= m_jj < {window[1]:.0f} GeV"
        )
    selection = select_outliers(inside, background.within(window), quantile, config)
    outliers = _histogram(inside.mjj[selection.outlier], edges)
    others = _histogram(inside.mjj[~selection.outlier], edges)
    return Prepared(
        selection=selection,
        edges=edges,
        outliers=outliers,
        others=others,
        background=predict(outliers, others, edges, config),
        windows=Windows.of(len(edges) - 1, config.widths),
        n_search=len(search),
        n_window=len(inside),
    )


@dataclass(frozen=True)
class Yield:
    """Events in a window and what background predicts there, with errors."""

    scale: float
    """From a prediction normalised to all outliers to one normalised outside the window."""
    observed: int
    expected: float
    expected_error: float
    excess: float
    excess_error: float


def window_yield(outliers: Counts, expected: Array, uncertainty: Array, bins: slice) -> Yield:
    """The excess in a window over a prediction normalised outside it.

    The scan's prediction is normalised to all outliers, a signal among them: that keeps the
    test cautious, but would count part of an excess as background.
    """
    outside = float(expected.sum() - expected[bins].sum())
    n_outside = int(outliers.sum() - outliers[bins].sum())
    scale = n_outside / outside if outside > 0 else 1.0
    observed, predicted = int(outliers[bins].sum()), scale * float(expected[bins].sum())
    relative = 1 / n_outside if n_outside else 0.0
    template = scale * float(np.sqrt(np.sum(uncertainty[bins] ** 2)))
    error = float(np.sqrt(template**2 + predicted**2 * relative))
    return Yield(
        scale,
        observed,
        predicted,
        error,
        observed - predicted,
        float(np.sqrt(observed + error**2)),
    )


def conclude_cut(cut: Prepared, toys: Array) -> dict[str, Any]:
    """The result of one cut as JSON: counts, background, best window, p-values, yield."""
    expected = cut.background.expected
    p_W = local_p(cut.outliers[None], expected[None], cut.windows)[0]
    best = int(p_W.argmin())
    bins = slice(int(cut.windows.start[best]), int(cut.windows.stop[best]))
    yield_ = window_yield(cut.outliers, expected, cut.background.uncertainty, bins)
    statistic = float(test_statistic(p_W[None])[0])
    overall = GlobalP.of(statistic, toys)
    fit = agreement(cut.outliers, cut.background, bins)
    grid = np.linspace(0, max(float(toys.max()), statistic) * 1.05 + 1e-9, 61)
    return {
        "cut": cut.selection.quantile,
        "events": {
            "search": cut.n_search,
            "in_window": cut.n_window,
            "outliers": int(cut.outliers.sum()),
            "others": int(cut.others.sum()),
        },
        "thresholds": [asdict(threshold) for threshold in cut.selection.thresholds],
        "histogram": {
            "edges": cut.edges.tolist(),
            "outliers": cut.outliers.tolist(),
            "others": cut.others.tolist(),
            "expected": expected.tolist(),
            "uncertainty": cut.background.uncertainty.tolist(),
        },
        "background": {"agreement": asdict(fit)},
        "window": {
            "low": float(cut.edges[bins.start]),
            "high": float(cut.edges[bins.stop]),
            **asdict(yield_),
        },
        "local": {
            "p": float(p_W[best]),
            "significance": significance_of(float(p_W[best])),
        },
        "global": {**asdict(overall), "significance": overall.significance},
        "scan": {
            "low": cut.edges[cut.windows.start].tolist(),
            "high": cut.edges[cut.windows.stop].tolist(),
            "p": p_W.tolist(),
        },
        "toys": {
            "statistic": statistic,
            "edges": grid.tolist(),
            "counts": np.histogram(toys, grid)[0].tolist(),
        },
    }


def conclude(cuts: list[dict[str, Any]]) -> dict[str, Any]:
    """All cuts together: the most significant, and its p-value for having looked at all.

    Each cut is a look at the data. Bonferroni's factor holds however the cuts depend on one
    another: it errs towards caution.
    """
    best = min(range(len(cuts)), key=lambda i: (cuts[i]["global"]["p"], cuts[i]["local"]["p"]))
    p = min(1.0, len(cuts) * cuts[best]["global"]["p"])
    return {
        "best_cut": best,
        "p": p,
        "significance": significance_of(p),
        "looks": len(cuts),
        "resolved": cuts[best]["global"]["beyond"] > 0,
        "window": cuts[best]["window"],
    }


def _histogram(mjj: Array, edges: Array) -> Counts:
    return np.histogram(mjj, edges)[0].astype(np.int64)
