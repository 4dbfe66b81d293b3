"""The reach of trials: against hunts in pseudo-data, and what it should follow."""

import numpy as np
import pytest
from judged import sweep, tables
from scipy.special import ndtr

from raybead.config import Calibrate, Hunt, Reach
from raybead.errors import HuntError
from raybead.hunt import Scores
from raybead.hunt.histogram import Histogram
from raybead.hunt.pseudo import PseudoBackground
from raybead.hunt.sample import Sample
from raybead.hunt.studies import FOUND, Material, recovered
from raybead.sweeping import reach as module
from raybead.sweeping.objectives import quantities

HUNT = Hunt()


def value(shift, hunt=HUNT, seed=0, **keys):
    judged = tables(2000, seed, {"two-prong": shift}, slope=3.0)
    asked = sweep("reach", corruptions=("two-prong",), replicas=60, **keys)
    return quantities(judged, asked, hunt, None, 0)["reach"]


@pytest.mark.parametrize("hunt", [HUNT, Hunt(conditional="none"), Hunt(background="dijet")],
                         ids=["by mass", "one threshold", "dijet"])  # fmt: skip
def test_it_grows_with_separation(hunt):
    told = [value(shift, hunt) for shift in (0.25, 0.5, 1.0, 1.5, 2.0, 2.5)]
    steps = np.diff([one.value for one in told])
    assert (steps > 2 * max(one.error for one in told[1:])).all()


def test_a_score_that_knows_nothing_finds_nothing():
    # By chance it seems to know a little: the less, the more events.
    found = value(-0.5)
    assert found.value == 0.0  # one signal event to each background event, and not more
    assert str(found.value) == "0.0"
    assert value(0.0).value < 1.0 < value(0.5).value


def test_its_error_is_the_spread_of_samples():
    found = [value(1.5, seed=seed) for seed in range(16)]
    spread = np.std([one.value for one in found], ddof=1)
    assert np.mean([one.error for one in found]) == pytest.approx(spread, rel=0.5)


def test_pseudo_datas_mean_spectrum():
    judged = tables(500)
    pseudo = PseudoBackground.of(
        Sample.of(judged["background"]), 20_000, (1,), fluctuates=False, window=(2659.0, 6099.0)
    )
    edges = np.geomspace(2659, 6099, 12)
    seen = np.mean([Histogram.of(pseudo.set(k).mass, None, edges).sums for k in range(20)], axis=0)
    expected = module.expected(pseudo, edges)
    assert expected.sum() == pytest.approx(20_000)
    np.testing.assert_allclose(seen, expected, atol=4.5 * np.sqrt(expected.max() / 20))


def test_a_hunt_finds_it():
    """The hunt's own study. What pseudo-data of one sample have of its fluctuations is a peak or
    a dip for all of their sets, so every set is of another sample."""
    hunt = Hunt(cuts=(0.95,), threshold_fit="background", statistic="likelihood")
    strength = 10 ** -value(1.5, hunt, masses=(3500.0,)).value
    put_in = Reach(signal="truth", width=hunt.signal.width)
    p = {0.4: [], 1.0: []}
    for seed in range(6):
        large = tables(30_000, seed, {"two-prong": 1.5}, slope=3.0)
        background, signal = (Sample.of(large[k]) for k in ("background", "two-prong"))
        scores = Scores("", background, background, signal)
        material = Material.of(scores, hunt, Calibrate(events=module.EVENTS), 3, injects=True)
        for share, found in p.items():
            one = recovered(material, put_in, 3500.0, share * strength, 400, (5, seed))
            found.append(one.outcome.p)
    # Counted by 400 toys, a significance is told up to 2.8.
    assert np.median(p[1.0]) < ndtr(-2.3)
    assert np.mean(np.array(p[1.0]) <= FOUND) >= 0.5
    assert np.median(p[0.4]) > ndtr(-1.7)


def test_masses_and_samples_that_it_cannot_be_told_of():
    with pytest.raises(HuntError, match=r"reach: sweep.masses has 6500 GeV, and the bins of"):
        value(1.0, masses=(3500.0, 6500.0))
    with pytest.raises(HuntError, match=r"reach: cut 0.999: only 2.0 of the 2000 events"):
        value(1.0, Hunt(cuts=(0.999,)))
    with pytest.raises(HuntError, match="effectively 150 events doesn't tell"):
        quantities(tables(150), sweep("reach"), HUNT, None, 0)
