"""Gross and Vitells' bound against brute force."""

import numpy as np
import pytest
from spectra import SHAPE, drawn, templates

from raybead.errors import HuntError
from raybead.hunt.scan import LikelihoodScan, Upcrossings


def processes(rng, n, width=0.05, points=60):
    """[n, points] q0 of a peak in white noise: the square of a Gaussian process, where above 0."""
    x, centres = np.linspace(0, 1, 300), np.linspace(0, 1, points)
    peak = np.exp(-((x - centres[:, None]) ** 2) / (2 * width**2))
    peak /= np.sqrt((peak**2).sum(axis=1, keepdims=True))
    return np.maximum(rng.normal(size=(n, 300)) @ peak.T, 0) ** 2


def test_the_bound_is_the_global_p_of_a_process():
    rng = np.random.default_rng(1)
    largest = np.concatenate([processes(rng, 20_000).max(axis=1) for _ in range(10)])
    few = Upcrossings.of(processes(np.random.default_rng(2), 1000))
    assert few.error < 0.05 * few.mean
    for p in (0.1, 0.01, 0.001):
        u = float(np.quantile(largest, 1 - p))
        bound = few.bound(u)
        off = np.hypot(bound.error, np.sqrt(p / len(largest)))
        assert p - 4 * off < bound.p < 1.15 * p + 4 * off


def test_the_bound_is_the_global_p_of_a_scan():
    statistic = LikelihoodScan(templates(*np.geomspace(2900, 5000, 20)), fixed=True)
    toys = statistic.curves(*drawn(np.random.default_rng(3), 1500, n=2500), SHAPE[None])
    largest = toys[500:].max(axis=1)
    few = Upcrossings.of(toys[:500])
    for p in (0.1, 0.02):
        bound = few.bound(float(np.quantile(largest, 1 - p)))
        off = np.hypot(bound.error, np.sqrt(p / len(largest)))
        assert p - 4 * off < bound.p < 1.2 * p + 4 * off


def test_counting():
    q = np.array([[0.0, 2.0, 0.5, 3.0], [2.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.5, 0.0]])
    found = Upcrossings.of(q, level=1.0)
    assert found.mean == pytest.approx(1.0)
    assert found.error == pytest.approx(1.0 / np.sqrt(3))
    assert found.bound(4.0).p == pytest.approx(0.02275 + np.exp(-1.5), rel=1e-4)
    assert found.bound(4.0).error == pytest.approx(found.error * np.exp(-1.5))
    assert found.bound(0.0).p == 1.0
    assert found.bound(0.1).p == 1.0
    assert 0 < found.bound(2000.0).z < 40
    assert Upcrossings.of(np.zeros((50, 4))).error > 0
    with pytest.raises(HuntError, match="two pseudo-experiments"):
        Upcrossings.of(q[:1])


def test_a_global_significance_and_its_local_one():
    trials = Upcrossings(2.0, 0.1, 1.0, 100)
    for z in (1.0, 3.0, 5.0, 8.0):
        local = trials.local(z)
        assert local > z
        assert trials.bound(local**2).z == pytest.approx(z, abs=1e-6)
