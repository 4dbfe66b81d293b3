"""Limits and reach: against pyhf, exact limits, and pseudo-experiments."""

import json
from dataclasses import asdict

import numpy as np
import pyhf
import pytest
from scipy import stats
from spectra import EDGES, KINDS, SHAPE, drawn, models, pyhf_model, templates

from raybead.errors import HuntError
from raybead.hunt.histogram import Histogram
from raybead.hunt.limits import limits, linearity, reach, reach_by_toys, toy_limits
from raybead.hunt.limits.cls import BANDS, log_cls
from raybead.hunt.scan import PeakModel, Upcrossings, scan


@pytest.mark.parametrize("signal", [-1, 0, 60])
def test_limits_are_those_of_pyhf(signal):
    """With a deficit, without anything, and with an excess."""
    outliers, others = drawn(np.random.default_rng(2), 400, signal=max(signal, 0))
    if signal < 0:
        outliers.sums[3:6] //= 3
    at = templates(3500.0)
    model = PeakModel.of_template(outliers, others, at)
    if signal:
        assert scan(model).signal[0] * signal > 0
    ours = limits(model)
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer(maxiter=10_000, tolerance=1e-12))
    theirs = pyhf_model(at.fractions[0], others.sums)
    data = [*outliers.sums.tolist(), *theirs.config.auxdata]
    tests = [(ours.observed[0], None), (ours.expected[0][0], 0), (ours.expected[4][0], 4)]
    for s, band in tests:
        observed, expected = pyhf.infer.hypotest(s, data, theirs, return_expected_set=True)
        # At our limit their CLs is 0.05, which says as much as equal limits, for a tenth of it.
        assert float(observed if band is None else expected[band]) == pytest.approx(0.05, rel=1e-5)


def test_cls_is_a_ratio_of_the_tails():
    q, q_asimov = np.array([0.0, 1.0, 4.0, 9.0]), np.array([3.0, 3.0, 4.0, 2.0])
    root = np.sqrt(q_asimov)
    near = stats.norm.sf(np.sqrt(q)) / stats.norm.sf(np.sqrt(q) - root)
    far = stats.norm.sf((q + q_asimov) / 2 / root) / stats.norm.sf((q - q_asimov) / 2 / root)
    wanted = np.where(q <= q_asimov, near, far)
    np.testing.assert_allclose(np.exp(log_cls(q, q_asimov)), wanted, rtol=1e-12)
    assert log_cls(np.array([0.0]), np.array([0.0]))[0] == 0  # nothing is excluded at a yield of 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_limit_follows_the_excess(kind):
    """Bands in order; a large excess lifts the observed limit, a hole doesn't make it vanish."""
    at = templates(3200.0, 4800.0)
    found = []
    for seen in (0, 20, 80):
        outliers, others = drawn(np.random.default_rng(1), 400)
        outliers.sums[3:6] = seen
        each = limits(models(outliers, others, at)[kind])
        assert (np.diff(each.expected, axis=0) > 0).all()
        assert min(each.observed) > 1
        json.dumps(asdict(each), allow_nan=False)
        found.append(each.observed[0])
    assert found[0] < found[1] < found[2]


def test_limits_as_cross_sections():
    model = PeakModel.of_shape(drawn(np.random.default_rng(1), 400)[0], SHAPE, templates(3500.0))
    events, fb = limits(model), limits(model).over(140.0)
    assert (events.unit, fb.unit) == ("events", "fb")
    np.testing.assert_allclose(np.array(fb.expected) * 140, events.expected)
    np.testing.assert_allclose(np.array(fb.observed) * 140, events.observed)
    with pytest.raises(HuntError, match="not above 0"):
        events.over(0.0)


def test_limits_grow_with_confidence():
    model = PeakModel.of_shape(drawn(np.random.default_rng(1), 400)[0], SHAPE, templates(3500.0))
    assert (
        limits(model, 0.9).observed < limits(model, 0.95).observed < limits(model, 0.99).observed
    )


def test_toys_give_the_exact_limit_where_nothing_is_seen_nor_expected():
    """CLs of no events is exp(-s): 3.0 at 95 %, where the asymptotic formulae say 1.9."""
    expected = np.where(EDGES[:-1] < 3600, SHAPE, 1e-9)
    counts = np.where(EDGES[:-1] < 3600, np.round(300 * SHAPE), 0).astype(np.int64)
    at = templates(4800.0, width=0.03)
    model = PeakModel.of_shape(Histogram.counted(counts), expected, at)
    exact = toy_limits(model, at.masses, np.random.default_rng(0), toys=1500)
    assert exact.observed[0] == pytest.approx(-np.log(0.05), rel=0.05)
    assert exact.expected[2][0] == pytest.approx(-np.log(0.05), rel=0.05)
    assert limits(model).observed[0] == pytest.approx(1.92, rel=0.02)


@pytest.mark.parametrize("kind", ["others", "family"])
def test_toys_agree_with_the_formulae_where_events_are_many(kind):
    counts = drawn(np.random.default_rng(5), 1500)
    at = templates(3500.0)
    model = models(*counts, at)[kind]
    toys = toy_limits(model, at.masses, np.random.default_rng(1), toys=1500)
    formulae = limits(model)
    assert toys.observed[0] == pytest.approx(formulae.observed[0], rel=0.1)
    for band in (1, 2, 3):
        assert toys.expected[band][0] == pytest.approx(formulae.expected[band][0], rel=0.12)
    assert (len(toys.expected), toys.method) == (len(BANDS), "toys")


@pytest.mark.parametrize("kind", KINDS)
def test_the_reach_is_the_median_of_pseudo_experiments(kind):
    model = models(*drawn(np.random.default_rng(6), 1000), templates(3300.0, 4200.0))[kind]
    found = reach(model, z=3.0)
    total = model.data.counts[0].sum()
    np.testing.assert_allclose(found.over_background, np.array(found.signal) / total, rtol=1e-6)
    for i, mass in enumerate(found.masses):
        at = PeakModel(model.templates.at(np.array([mass])), model.data)
        z = linearity(at, (found.signal[i],), np.random.default_rng(7), toys=900)[0].z
        assert z == pytest.approx(3.0, abs=4 * 1.25 / np.sqrt(900))


def test_reach_by_toys_and_what_trials_cost():
    model = PeakModel.of_shape(
        drawn(np.random.default_rng(6), 1000)[0], SHAPE, templates(*np.geomspace(2900, 5200, 12))
    )
    mass = model.templates.masses[4:5]
    rng = np.random.default_rng(8)
    asymptotic = reach(model).signal[4]
    local = reach_by_toys(model, mass, rng, toys=300)
    assert local.signal[0] == pytest.approx(asymptotic, rel=0.07)
    trials = Upcrossings(1.5, 0.1, 1.0, 100)
    overall = reach_by_toys(model, mass, rng, trials=trials, toys=300)
    assert overall.z_local == pytest.approx(reach(model, trials=trials).z_local)
    assert overall.signal[0] == pytest.approx(reach(model, trials=trials).signal[4], rel=0.07)
    assert overall.signal[0] > 1.1 * local.signal[0]


def test_a_peak_that_background_can_always_explain_has_no_reach():
    """All events in one bin, and the peak in it too: their ratio is free."""
    counts = np.zeros(len(SHAPE), dtype=np.int64)
    counts[3] = 5
    at = templates((EDGES[3] + EDGES[4]) / 2, width=0.001)
    model = PeakModel.of_template(Histogram.counted(counts), Histogram.counted(9 * counts), at)
    assert reach(model).signal == (None,)
    assert reach(model).over_background == (None,)
    json.dumps(asdict(limits(model)), allow_nan=False)
