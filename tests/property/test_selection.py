"""What holds of thresholds whatever the sample: nested cuts, honest shares, plain descriptions."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt import Sample, Threshold
from raybead.hunt.selection import Selection, select
from raybead.report.outliers import thresholds_at

seeds = st.integers(0, 2**32 - 1)
orders = st.one_of(st.just("auto"), st.integers(1, 4))
cuts = st.lists(st.floats(0.05, 0.97), min_size=1, max_size=5, unique=True).map(tuple)


def made(seed, n, kind):
    """Samples that drift, spread and tail off with mass in ways that a seed chooses."""
    rng = np.random.default_rng(seed)
    mass = 2659 * np.exp(rng.exponential(rng.uniform(0.05, 0.4), n))
    x = np.log(mass / 3000)
    spread = np.exp(rng.normal(0, 1.5) * x)
    turn_on = rng.normal(0, 2) * np.exp(-(mass - 2659) / 120)
    score = rng.normal(0, 3) * x + turn_on + spread * rng.gamma(rng.uniform(0.5, 3), 1, n)
    if kind == "heavy":
        score = np.exp(2 * score)
    weight = np.ones(n)
    if kind == "nlo":
        weight = rng.choice([1.0, -0.5], n, p=[0.85, 0.15]) * rng.lognormal(0, 0.3, n)
    return Sample(rng.permutation(n), mass, score, weight)


def selected(search, background, quantile, config):
    """By one cut alone."""
    (found,) = select(search, background, config, (quantile,))
    if isinstance(found, HuntError):
        raise found
    return found


@given(
    seeds, cuts, orders, st.sampled_from(["search", "background"]),
    st.sampled_from(["plain", "heavy", "nlo"]),
)  # fmt: skip
@example(1, (0.125,), "auto", "search", "heavy")  # no score lies near where the fit begins
@settings(max_examples=40, deadline=None)
def test_outliers_of_a_harder_cut_are_among_those_of_a_softer(seed, cuts, order, fit, kind):
    search, background = made(seed, 700, kind), made(seed + 1, 900, kind)
    config = Hunt(cuts=cuts, threshold_order=order, threshold_fit=fit)
    found = select(search, background, config)
    assert len(found) == len(cuts)
    there = {s.quantile: s for s in found if isinstance(s, Selection)}
    assert there or kind == "nlo" or max(cuts) > 0.9
    for softer in there:
        for harder in there:
            if harder > softer:
                assert not (there[harder].outlier & ~there[softer].outlier).any()
    at = np.geomspace(1000, 20000, 50)
    for selection in there.values():
        for threshold in selection.thresholds:
            assert np.isfinite(threshold.at(at)).all()


@given(seeds, orders, st.sampled_from([0.3, 0.6, 0.75, 0.9, 0.97]))
@settings(max_examples=40, deadline=None)
def test_the_share_below_a_threshold_is_that_of_the_cut(seed, order, quantile):
    sample = made(seed, 1500, "plain")
    config = Hunt(threshold_order=order, threshold_fit="background")
    found = selected(sample, sample, quantile, config)
    assert found.outlier.mean() == pytest.approx(1 - quantile, abs=1.5 / len(sample))


@given(seeds, orders)
@settings(max_examples=20, deadline=None)
def test_a_cut_is_the_same_whatever_cuts_are_beside_it(seed, order):
    """But for where thresholds would cross, which good samples don't have."""
    sample = made(seed, 3000, "plain")
    config = Hunt(cuts=(0.95, 0.8), threshold_order=order)
    alone = selected(sample, sample, 0.8, config)
    beside = select(sample, sample, config)[1]
    assert isinstance(beside, Selection)
    np.testing.assert_array_equal(alone.outlier, beside.outlier)


@given(seeds, st.floats(-50, 50), st.floats(0.01, 100))
@settings(max_examples=20, deadline=None)
def test_the_unit_of_a_score_changes_no_outlier(seed, shift, unit):
    sample = made(seed, 800, "plain")
    moved = Sample(sample.event, sample.mass, shift + unit * sample.score, sample.weight)
    ours, theirs = (selected(s, s, 0.9, Hunt()).outlier for s in (sample, moved))
    assert np.sum(ours != theirs) <= 1  # of events on the threshold rounding may choose


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_the_report_reads_thresholds_as_they_are(seed):
    sample = made(seed, 500, "plain")
    found = selected(sample, sample, 0.9, Hunt())
    told = json.loads(json.dumps([asdict(threshold) for threshold in found.thresholds]))
    at = np.geomspace(1500, 9000, 300)
    ours = np.stack([threshold.at(at) for threshold in found.thresholds])
    np.testing.assert_array_equal(thresholds_at(told, at), ours)
    np.testing.assert_array_equal([Threshold.of(t).at(at) for t in told], ours)


@given(seeds, st.integers(2, 12))
@settings(max_examples=30, deadline=None)
def test_tied_scores_are_divided_honestly_or_refused(seed, levels):
    sample = made(seed, 1000, "plain")
    edges = np.quantile(sample.score, np.linspace(0, 1, levels + 1)[1:-1])
    tied = np.searchsorted(edges, sample.score).astype(float)
    sample = Sample(sample.event, sample.mass, tied, sample.weight)
    with pytest.raises(HuntError, match=r"% of the events that thresholds .* share the score"):
        selected(sample, sample, 0.95, Hunt())
