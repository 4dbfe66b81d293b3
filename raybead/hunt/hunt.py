"""One cut from scores to a significance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt.background import Background, Events, agreement, predict
from raybead.hunt.binning import edges_within
from raybead.hunt.histogram import Histogram
from raybead.hunt.sample import Array, Sample
from raybead.hunt.scan import Windows, local_p, test_statistic
from raybead.hunt.selection import Selection, select_outliers
from raybead.hunt.toys import GlobalP, significance_of
from raybead.hunt.weights import shared_weight


@dataclass(frozen=True)
class Prepared:
    """A cut's selection and prediction: all that the scan and its toys need."""

    selection: Selection
    edges: Array
    outliers: Histogram
    others: Histogram
    background: Background
    windows: Windows
    n_search: float
    n_window: float
    unit: float
    """What the histograms are in units of: the weight that all events share, so that they are
    counts; 1 where weights differ."""


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
    unit = shared_weight(inside.weight)
    outliers, others = (
        Histogram.of(part.mass, part.weight if unit is None else None, edges)
        for part in (inside.select(selection.outlier), inside.select(~selection.outlier))
    )
    events = None if unit is not None else Events(
        np.searchsorted(edges, inside.mass, side="right") - 1,
        inside.weight,
        int(selection.outlier.sum()),
    )  # fmt: skip
    return Prepared(
        selection=selection,
        edges=edges,
        outliers=outliers,
        others=others,
        background=predict(outliers, others, events, edges, config),
        windows=Windows.of(len(edges) - 1, config.widths),
        n_search=search.total,
        n_window=inside.total,
        unit=1.0 if unit is None else unit,
    )


@dataclass(frozen=True)
class Yield:
    """Events in a window (their summed weight) and what background predicts, with errors."""

    scale: float
    """From a prediction normalised to all outliers to one normalised outside the window."""
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


def window_yield(outliers: Histogram, expected: Array, uncertainty: Array, bins: slice) -> Yield:
    """The excess in a window over a prediction normalised outside it.

    The scan's prediction is normalised to all outliers, a signal among them: that keeps the
    test cautious, but would count part of an excess as background.
    """
    outside = float(expected.sum() - expected[bins].sum())
    rest = np.delete(np.arange(len(expected)), bins)
    inside, beyond = outliers[bins].total(), outliers[rest].total()
    scale = max(float(beyond.sums), 0.0) / outside if outside > 0 else 1.0
    observed, predicted = inside.sums.item(), scale * float(expected[bins].sum())
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


def conclude_cut(cut: Prepared, toys: Array) -> dict[str, Any]:
    """The result of one cut as JSON: counts, background, best window, p-values, yield.

    Numbers of events are whole where every event weighs one, and summed weights otherwise; the
    histogram then holds also the outliers' summed squares and what an event of each bin weighs.
    """
    expected = cut.background.expected
    observed = Histogram(cut.outliers.sums[None], cut.outliers.squares[None])
    p_W = local_p(observed, expected[None], cut.windows)[0]
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
            "outliers": _weighed(cut.outliers.sums.sum(), cut.unit),
            "others": _weighed(cut.others.sums.sum(), cut.unit),
        },
        "thresholds": [asdict(threshold) for threshold in cut.selection.thresholds],
        "histogram": {
            "edges": cut.edges.tolist(),
            "outliers": _weighed(cut.outliers.sums, cut.unit),
            "others": _weighed(cut.others.sums, cut.unit),
            "expected": _weighed(expected, cut.unit),
            "uncertainty": _weighed(cut.background.uncertainty, cut.unit),
            **_fluctuations(cut),
        },
        "background": {"agreement": asdict(fit)},
        "window": {
            "low": float(cut.edges[bins.start]),
            "high": float(cut.edges[bins.stop]),
            **asdict(yield_.weighed(cut.unit)),
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


def _weighed(values: Any, unit: float) -> Any:
    """Numbers of events for JSON; whole ones stay so where every event weighs one."""
    return (values if unit == 1 else values * unit).tolist()


def _fluctuations(cut: Prepared) -> dict[str, Any]:
    if cut.outliers.are_counts and cut.unit == 1:
        return {}
    return {
        "outliers_squares": _weighed(cut.outliers.squares, cut.unit**2),
        "per_event": _weighed(cut.background.per_event, cut.unit),
    }
