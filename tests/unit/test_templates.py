import numpy as np
import pytest
from scipy import stats

from raybead.errors import HuntError
from raybead.hunt.binning import edges_within
from raybead.hunt.scan import GaussianPeak, SimulatedPeak, Templates

EDGES = edges_within((2659, 6099))


def test_a_gaussian_is_integrated_over_bins():
    found = Templates.over(EDGES, GaussianPeak(0.04), 11)
    for mass, fractions, lost in zip(found.masses, found.fractions, found.lost, strict=True):
        wanted = np.diff(stats.norm(mass, 0.04 * mass).cdf(EDGES))
        np.testing.assert_allclose(fractions, wanted, atol=1e-12)
        assert fractions.sum() + lost == pytest.approx(1)


def test_the_grid_is_even_in_log_mass_and_inside_the_window():
    masses = Templates.over(EDGES, GaussianPeak(0.04), 41).masses
    assert len(masses) == 41
    assert np.ptp(np.diff(np.log(masses))) < 1e-12
    assert masses[0] == pytest.approx(EDGES[0] * 1.04)
    assert masses[-1] == pytest.approx(EDGES[-1] * 0.96)


def test_a_peak_that_does_not_fit_is_refused():
    with pytest.raises(HuntError, match="doesn't fit into the window"):
        Templates.over(np.array([3000.0, 3100.0, 3200.0]), GaussianPeak(0.1), 5)


@pytest.mark.parametrize("weighed", [False, True])
def test_a_simulated_peak_is_moved_to_every_mass(weighed):
    rng = np.random.default_rng(1)
    values = 3500 * np.exp(rng.normal(-0.01, 0.05, 20_000))
    weight = None
    if weighed:  # half of the events are of another peak, and weigh nothing in sum
        other = rng.normal(5000, 50, 4000)
        values = np.concatenate([values, other])
        weight = np.concatenate([np.ones(20_000), np.tile([0.5, -0.5], 2000)])
    peak = SimulatedPeak.of(values, weight, mass=3500.0)
    found = Templates(peak, EDGES, np.array([3500.0, 4500.0]))
    for mass, fractions in zip(found.masses, found.fractions, strict=True):
        wanted = np.diff(stats.norm(np.log(mass) - 0.01, 0.05).cdf(np.log(EDGES)))
        np.testing.assert_allclose(fractions, wanted, atol=0.02)
    assert peak.spread == pytest.approx(0.05, rel=0.03)
    assert SimulatedPeak.of(values, weight).mass == pytest.approx(3465, rel=0.01)


def test_smoothing_keeps_the_sum_and_takes_the_noise():
    values = 3500 * np.exp(np.random.default_rng(2).normal(0, 0.05, 100))
    fine = np.geomspace(2500, 5000, 400)
    smooth = Templates(SimulatedPeak.of(values, mass=3500.0), fine, np.array([3500.0]))
    assert smooth.fractions.sum() == pytest.approx(1, abs=1e-6)
    raw = np.histogram(values, fine)[0] / 100
    wanted = np.diff(stats.norm(np.log(3500), 0.05).cdf(np.log(fine)))
    assert np.abs(smooth.fractions[0] - wanted).sum() < 0.2
    assert np.abs(raw - wanted).sum() > 0.7


@pytest.mark.parametrize(
    ("values", "weight", "says"),
    [
        (np.full(5, 3000.0), None, "effectively 5.0 simulated signal events"),
        (np.full(50, 3000.0), np.tile([1.0, -1.0], 25), "effectively 0.0 simulated"),
        (np.append(np.full(50, 3000.0), np.nan), None, "above 0"),
        (np.append(np.full(50, 3000.0), -1.0), None, "above 0"),
    ],
)
def test_too_little_simulation_is_refused(values, weight, says):
    with pytest.raises(HuntError, match=says):
        SimulatedPeak.of(values, weight)


def test_events_of_one_mass_make_a_narrow_peak():
    peak = SimulatedPeak.of(np.full(100, 3000.0))
    found = Templates(peak, EDGES, np.array([4100.0])).fractions[0]
    assert found.argmax() == np.searchsorted(EDGES, 4100.0) - 1
    assert found.max() > 0.99
