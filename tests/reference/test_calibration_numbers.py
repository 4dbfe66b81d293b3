"""Summaries of p-values against p-values whose distribution is known."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from raybead.errors import HuntError
from raybead.hunt.pseudo import Calibration


def counted(rng, n, toys, power=1.0):
    """(k + 1) / (n + 1) of sets whose chance of a toy beyond them is u^power."""
    k = rng.binomial(toys, rng.random(n) ** power)
    return (k + 1) / (toys + 1)


@pytest.mark.parametrize("toys", [None, 19, 99, 2000])
def test_uniform_p_values_are_called_calibrated(toys):
    rng = np.random.default_rng(0)
    verdicts, small = [], []
    for _ in range(200):
        p = rng.random(200) if toys is None else counted(rng, 200, toys)
        found = Calibration.of(p, toys)
        verdicts.append(found.verdict)
        small.append(found.ks_small)
    # Three tests at 1 % on either side.
    assert np.mean([v == "calibrated" for v in verdicts]) > 0.9
    assert stats.kstest(small, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(("power", "verdict"), [(1.6, "anti-conservative"), (0.5, "conservative")])
def test_other_p_values_are_called_what_they_are(power, verdict):
    rng = np.random.default_rng(1)
    found = [Calibration.of(counted(rng, 400, 500, power), 500).verdict for _ in range(20)]
    assert found.count(verdict) >= 19


def test_rates_and_intervals_are_those_of_the_binomial():
    p = np.r_[np.full(3, 0.001), np.full(9, 0.03), np.full(188, 0.6)]
    found = Calibration.of(p)
    at5, at1 = found.alarms
    assert (at5.alarms, at1.alarms, at5.rate) == (12, 3, 0.06)
    interval = stats.binomtest(12, 200).proportion_ci(stats.norm.cdf(1) * 2 - 1, "exact")
    assert (at5.low, at5.high) == pytest.approx((interval.low, interval.high))
    assert at5.p_more == pytest.approx(stats.binomtest(12, 200, 0.05, "greater").pvalue)
    assert "12 of 200 sets without a signal (6.0 %" in found.words
    assert json.loads(json.dumps(asdict(found)))["alarms"][1]["alarms"] == 3


def test_a_level_that_pseudo_experiments_cannot_meet_is_told():
    found = Calibration.of([0.5] * 20, 49)  # p is a multiple of 0.02
    assert [a.expected for a in found.alarms] == pytest.approx([0.04, 0.0])


def test_p_values_that_are_none_are_refused():
    for p in ([], [0.2, np.nan], [1.2]):
        with pytest.raises(HuntError, match="p-values"):
            Calibration.of(p)
