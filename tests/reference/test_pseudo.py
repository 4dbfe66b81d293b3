"""Pseudo-data against the distributions that they were made of."""

import itertools

import numpy as np
import pytest
from scipy import special, stats

from raybead.errors import HuntError
from raybead.hunt import Sample
from raybead.hunt.pseudo import Conditional, PseudoBackground, inject, pseudo_background, shift_of


def median(mass):
    return np.log(mass / 3000) + 1.0 * np.exp(-(mass - 2600) / 200)


def made(n, seed, weight=None):
    """Falling masses above an edge; scores whose median and spread follow the mass."""
    rng = np.random.default_rng(seed)
    mass = 2600 + rng.exponential(550, n)
    score = median(mass) + (mass / 3000) ** 0.7 * rng.normal(size=n)
    return Sample(np.arange(n), mass, score, np.ones(n) if weight is None else weight(rng, mass))


def rank(sample):
    """Of scores among the background of their mass, by the truth."""
    return special.ndtr((sample.score - median(sample.mass)) / (sample.mass / 3000) ** 0.7)


@pytest.mark.parametrize("method", ["smooth", "bootstrap"])
def test_sets_are_like_the_sample(method):
    sample = made(40_000, 1)
    drawn = pseudo_background(sample, 20_000, np.random.default_rng(2), method)
    assert len(drawn) == 20_000
    assert (drawn.weight == 1).all()
    assert drawn.mass.min() >= sample.mass.min()
    assert stats.ks_2samp(drawn.mass, sample.mass).pvalue > 0.01
    edges = np.quantile(drawn.mass, [0, 0.02, 0.1, 0.3, 0.6, 0.9, 0.98, 1])
    for low, high in itertools.pairwise(edges):
        inside = (drawn.mass >= low) & (drawn.mass <= high)
        assert stats.kstest(rank(drawn)[inside], "uniform").pvalue > 1e-3


def test_smooth_sets_forget_the_fluctuations_of_the_sample():
    """Of a sample as large as a set, the rate of outliers strays by chance; the sets' mean, by a
    third of that variance at most. A bootstrap repeats it all."""
    edges = np.quantile(made(50_000, 0).mass, np.linspace(0, 1, 21))
    strays = {"smooth": [], "bootstrap": []}
    for seed in range(4):
        sample = made(4000, 10 + seed)
        for method, stray in strays.items():
            sets = PseudoBackground.of(sample, 4000, (seed,), method, fluctuates=False)
            drawn = [sets.set(number) for number in range(12)]
            counts, passed = (
                sum(np.histogram(s.mass[keep(s)], edges)[0] for s in drawn)
                for keep in (lambda s: s.mass > 0, lambda s: rank(s) > 0.9)
            )
            # Chance of the sets themselves is taken off.
            variance = (passed / counts - 0.1) ** 2 - 0.09 / counts
            stray.append(variance.mean() / (0.09 / 200))
    assert np.mean(strays["bootstrap"]) == pytest.approx(1, abs=0.35)
    assert np.mean(strays["smooth"]) < 0.4


def test_masses_pile_up_at_no_edge():
    sample = made(20_000, 3)
    drawn = PseudoBackground.of(sample, 400_000, (1,), fluctuates=False).set(0)
    edges = np.linspace(2600, 2700, 6)
    ours, true = (
        np.histogram(drawn.mass, edges)[0] / 400_000,
        -np.diff(np.exp(-(edges - 2600) / 550)),
    )
    np.testing.assert_allclose(ours, true, rtol=0.12)  # 3 % of it chance of the sample's
    assert len(np.unique(drawn.mass)) > 0.99 * len(drawn)


def test_sets_are_numbered_and_fluctuate_as_asked():
    sample = made(3000, 4)
    sets = PseudoBackground.of(sample, 500, (1, 2))
    again = PseudoBackground.of(sample, 500, (1, 2))
    np.testing.assert_array_equal(sets.set(3).score, again.set(3).score)
    sizes = [len(PseudoBackground.of(sample, 500, (1, 2), "bootstrap").set(i)) for i in range(60)]
    assert np.std(sizes) == pytest.approx(np.sqrt(500), rel=0.4)
    fixed = PseudoBackground.of(sample, 500, (1, 2), fluctuates=False)
    assert {len(fixed.set(i)) for i in range(3)} == {500}


def test_disjoint_sets_share_no_event_and_keep_weights():
    sample = made(1000, 5, lambda rng, m: rng.lognormal(0, 1, len(m)))
    sets = PseudoBackground.of(sample, 300, (1,), "disjoint", sets=3)
    drawn = [sets.set(number) for number in range(3)]
    masses = np.concatenate([s.mass for s in drawn])
    assert len(np.unique(masses)) == 900
    weight = dict(zip(sample.mass, sample.weight, strict=True))
    assert [weight[m] for m in drawn[1].mass] == drawn[1].weight.tolist()
    with pytest.raises(HuntError, match="no disjoint set 4"):
        sets.set(3)
    with pytest.raises(HuntError, match="4 disjoint sets of 300 events take 1200 of them"):
        PseudoBackground.of(sample, 300, (1,), "disjoint", sets=4)


@pytest.mark.parametrize("method", ["smooth", "bootstrap"])
@pytest.mark.parametrize("kind", ["falling", "nlo"])
def test_weighted_samples_are_drawn_by_weight(method, kind):
    def weight(rng, mass):
        if kind == "falling":
            return np.exp(-(mass - 2600) / 500)
        return rng.choice([1.0, -1.0], len(mass), p=[0.8, 0.2])

    sample = made(30_000, 6, weight)
    drawn = pseudo_background(sample, 20_000, np.random.default_rng(0), method)
    assert (drawn.weight == 1).all()
    scale = 550 if kind == "nlo" else 1 / (1 / 550 + 1 / 500)
    assert drawn.mass.mean() - 2600 == pytest.approx(scale, rel=0.04)
    assert np.mean(rank(drawn) > 0.9) == pytest.approx(0.1, abs=0.012)


def test_an_injected_peak_has_its_place_width_and_efficiency():
    sample = made(30_000, 7)
    conditional = Conditional.of(sample)
    rng = np.random.default_rng(1)
    pseudo = sample.select(np.arange(1000))
    found = inject(pseudo, 4000, 3500.0, 0.04, conditional, rng, 0.6)
    assert len(found) == 5000
    is_signal = ~np.isin(found.mass, pseudo.mass)
    assert is_signal.sum() == 4000
    signal = found.select(is_signal)
    assert signal.mass.mean() == pytest.approx(3500, abs=4 * 140 / np.sqrt(4000))
    assert signal.mass.std() == pytest.approx(140, rel=0.05)
    for quantile in (0.5, 0.9, 0.95, 0.99):
        expected = stats.norm.sf(stats.norm.ppf(quantile) - shift_of(0.6))
        assert np.mean(rank(signal) > quantile) == pytest.approx(expected, abs=0.05)
    assert np.mean(rank(signal) > 0.9) == pytest.approx(0.6, abs=0.03)
    # No fold holds the signal.
    assert np.ptp(np.bincount(found.event[is_signal] % 5)) < 200


def test_a_signal_of_a_sample_keeps_its_rank_at_another_mass():
    sample = made(30_000, 8)
    conditional = Conditional.of(sample)
    rng = np.random.default_rng(2)
    mass = rng.normal(4500, 100, 2000)
    score = median(mass) + (mass / 3000) ** 0.7 * rng.normal(1.5, 0.5, 2000)
    light = Sample(np.arange(2000), mass, score, np.ones(2000))
    none = sample.select(np.zeros(len(sample), dtype=bool))
    moved = inject(none, 5000, 3000.0, 0.03, conditional, rng, light)
    assert stats.ks_2samp(rank(moved), rank(light)).statistic < 0.08
    with pytest.raises(HuntError, match="no signal event"):
        inject(none, 5, 3000.0, 0.03, conditional, rng, none)
    assert len(inject(none, 0, 3000.0, 0.03, conditional, rng, none)) == 0


def test_samples_that_tell_too_little_are_refused():
    with pytest.raises(HuntError, match="effectively 100 events"):
        PseudoBackground.of(made(100, 1), 50, (1,))
    same = Sample(np.arange(500), made(500, 1).mass, np.ones(500), np.ones(500))
    with pytest.raises(HuntError, match="all the same"):
        Conditional.of(same)


@pytest.mark.parametrize("method", ["smooth", "bootstrap", "disjoint"])
def test_sets_of_a_window_hold_what_lies_there(method):
    """Below the window scores do what no smooth function of the mass does within it."""
    sample = made(20_000, 9)
    wild = np.where(sample.mass < 2700, 50 * np.cos(sample.mass), sample.score)
    sample = Sample(sample.event, sample.mass, wild, sample.weight)
    window = (2700.0, 5000.0)
    sets = PseudoBackground.of(sample, 6000, (1,), method, fluctuates=False, sets=3, window=window)
    drawn = sets.set(1)
    share = len(sample.within(window)) / len(sample)
    assert len(drawn) == pytest.approx(6000 * share, abs=150 if method == "disjoint" else 1)
    assert len(drawn.within(window)) == len(drawn)
    assert stats.kstest(rank(drawn), "uniform").pvalue > 1e-3
    if method != "disjoint":
        with pytest.raises(HuntError, match="from 90000 to 91000 GeV"):
            PseudoBackground.of(sample, 60, (1,), method, window=(90_000.0, 91_000.0))
