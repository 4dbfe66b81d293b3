"""How stable efficiencies are: shifts that were put in come out, and chance doesn't."""

import numpy as np
import pytest
from judged import masses, sweep, table, tables

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt.sample import Sample
from raybead.sweeping.objectives import quantities
from raybead.sweeping.stability import Stability

PLAIN, AT_MASS = Hunt(conditional="none"), Hunt()
WINDOW = (2659.0, 6099.0)


def stability(judged, hunt=AT_MASS, **keys):
    return quantities(judged, sweep("stability", **keys), hunt, None, 0)["stability"]


@pytest.mark.parametrize("hunt", [PLAIN, AT_MASS], ids=["one threshold", "by mass"])
def test_what_chance_shifts_is_what_is_subtracted(hunt):
    of_mass, of_training = [], []
    for seed in range(25):
        judged = tables(2000, seed, {})
        found = Stability.of(*(Sample.of(judged[k]) for k in ("background", "seen")), hunt, WINDOW)
        shifts = found.shifts(np.ones((1, 2000)), np.ones((1, 2000)))
        chance = found.chance()
        of_mass.append((shifts[0][0] ** 2).mean(axis=0) / chance[0])
        of_training.append(shifts[1][0] ** 2 / chance[1])
    # Fits take some of it away; 25 squares of one shift each are known to 28 %, of six to 13 %.
    np.testing.assert_allclose(np.mean(of_mass, axis=0), 0.9, atol=0.35)
    np.testing.assert_allclose(np.mean(of_training, axis=0), 1.2, atol=1.0)


def test_random_scores_are_stable_and_those_that_follow_the_mass_are_not():
    flat = stability(tables(4000), PLAIN)
    assert flat.value > -0.12
    follows = tables(4000, slope=3.0)
    sculpted = stability(follows, PLAIN)
    assert sculpted.value < -0.3
    assert sculpted.value < flat.value - 3 * sculpted.error
    # The hunt's own threshold goes with the mass, and nothing is lost.
    assert stability(follows, AT_MASS).value > -0.15


def test_a_known_shift_is_told():
    # Two halves of masses, of which one passes 1.5 times as often: by scores' shares at each cut.
    n = 60_000
    rng = np.random.default_rng(1)

    def made(factor):
        mass = masses(rng, n)
        rank = rng.random(n)
        above = mass > np.median(mass)
        # Uniform scores whose upper tail is denser or thinner, down to the softest cut.
        share = np.where(above, 1 + factor, 1 - factor) * 0.2
        score = np.where(rank < share, 1 - 0.2 * rank / share,
                         0.8 * (1 - (rank - share) / (1 - share)))  # fmt: skip
        return table(mass, score)

    for factor in (0.0, 0.3):
        judged = {**tables(n, shifts={}), "background": made(factor), "seen": made(factor)}
        judged |= dict.fromkeys(("shuffle", "mass-scaling", "two-prong"), judged["background"])
        found = stability(judged, PLAIN, replicas=20)
        assert found.value == pytest.approx(-factor, abs=0.03)


def test_overtraining_is_seen():
    judged = tables(4000)
    better = judged["seen"].column("score").to_numpy() - 0.4
    fitted = {**judged, "seen": judged["seen"].set_column(2, "score", [better])}
    honest, overtrained = stability(judged), stability(fitted)
    # A cut that 0.1 of those seen pass is passed by 1 - Phi(1.28 - 0.4) of the others.
    assert overtrained.value < -0.6
    assert overtrained.value < honest.value - 3 * overtrained.error


def test_events_outside_the_window_have_no_say():
    judged = tables(1500)
    rng = np.random.default_rng(3)
    more = {}
    for name, t in judged.items():
        mass = np.concatenate([t.column("mjj").to_numpy(), np.full(300, 2000.0)])
        score = np.concatenate([t.column("score").to_numpy(), 50 * rng.normal(size=300)])
        more[name] = table(mass, score)
    asked = sweep("corruption", "stability", replicas=20)
    found, without = (quantities(j, asked, AT_MASS, None, 0) for j in (more, judged))
    for name, one in found.items():
        assert one.value == pytest.approx(without[name].value, rel=1e-9), name


def test_numbers_of_events_have_no_say():
    judged = tables(1500)
    every_fifth = {
        name: t.set_column(0, "event", [5 * np.arange(1500)]) for name, t in judged.items()
    }
    assert stability(every_fifth) == stability(judged)


def test_cuts_that_are_too_hard_are_left_out_and_ties_said():
    judged = tables(1000)
    hard = Hunt(cuts=(0.9, 0.999))
    assert stability(judged, hard) == stability(judged, Hunt(cuts=(0.9,)))
    with pytest.raises(HuntError, match=r"none of the cuts 0.999 leaves 10; take a softer cut"):
        stability(judged, Hunt(cuts=(0.999,)))
    tied = {**judged, "background": table(judged["background"].column("mjj").to_numpy(),
                                          np.arange(1000) % 2)}  # fmt: skip
    with pytest.raises(HuntError, match=r"stability: cut 0.9: .* ties that no threshold"):
        stability(tied, PLAIN)
