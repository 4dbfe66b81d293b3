"""Looks at one sample share its chances; looks at different samples have chances of their own."""

from dataclasses import replace

import numpy as np
import pytest

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt import Sample, Scores, boxes_of, hunt_here

CONFIG = Hunt(cuts=(0.9,), threshold_fit="background", toys=20_000, precision=0.0)


def sample(n, seed, signal=0):
    rng = np.random.default_rng(seed)
    mass = np.concatenate([2660 + rng.exponential(500, n), rng.normal(3500, 80, signal)])
    score = 0.8 * np.log(mass / 3000) + rng.normal(0, 1, n + signal)
    score[n:] += 3
    return Sample(np.arange(n + signal), mass, score, np.ones(n + signal))


def run_of(name, search):
    return Scores(name, search, SIMULATED)


SIMULATED = sample(6000, 99)
SEARCH = sample(3000, 1, signal=30)


def rescored(search, seed):
    noise = np.random.default_rng(seed).normal(0, 1, len(search))
    return replace(search, score=search.score + noise)


def test_runs_of_the_same_events_share_a_box():
    other, again = run_of("b", rescored(SEARCH, 1)), run_of("c", sample(3000, 2))
    boxes = boxes_of([run_of("a", SEARCH), again, other], CONFIG)
    assert [[cut.run for cut in box.cuts] for box in boxes] == [["a", "b"], ["c"]]
    assert boxes[0].flags.shape == (len(boxes[0].inside), 2)
    np.testing.assert_array_equal(
        boxes[0].every.sums, (boxes[0].cuts[1].outliers + boxes[0].cuts[1].others).sums
    )


def test_equal_numbers_of_different_events_are_no_common_events():
    one, other = sample(3000, 1), sample(3000, 2)
    np.testing.assert_array_equal(one.event, other.event)
    assert len(boxes_of([run_of("a", one), run_of("b", other)], CONFIG)) == 2


def test_runs_with_some_events_in_common_are_refused():
    one, other = sample(3000, 1), sample(3000, 2)
    some = np.arange(3000) < 1200
    mixed = Sample(one.event, np.where(some, one.mass, other.mass), other.score, np.ones(3000))
    says = "1200 events of b are also a's, but not all"
    with pytest.raises(HuntError, match=says) as refused:
        boxes_of([run_of("a", one), run_of("b", mixed)], CONFIG)
    assert "\n" not in str(refused.value)
    with pytest.raises(HuntError, match="2000 events of b are also a's, but not all"):
        boxes_of([run_of("a", one), run_of("b", one.select(np.arange(2000)))], CONFIG)


def p_of(runs, config=CONFIG):
    found = hunt_here(runs, config)
    return found["conclusion"]["p"], found


def test_two_looks_at_the_same_cost_nothing():
    alone, _ = p_of([run_of("a", SEARCH)])
    twice, found = p_of([run_of("a", SEARCH), run_of("b", SEARCH)])
    assert twice == alone
    assert [cut["key"] for cut in found["cuts"]] == ["0.9", "b-0.9"]
    assert found["conclusion"]["looks"] == 2
    assert found["conclusion"]["bonferroni"] == pytest.approx(2 * alone)
    assert alone < 0.2
    # Thresholds of the events themselves take other toys where there is more than one score.
    fitted = CONFIG.model_copy(update={"threshold_fit": "search"})
    alone, _ = p_of([run_of("a", SEARCH)], fitted)
    twice, _ = p_of([run_of("a", SEARCH), run_of("b", SEARCH)], fitted)
    assert twice == pytest.approx(alone, rel=0.5)


def test_a_second_sample_costs_as_much_again():
    alone, _ = p_of([run_of("a", SEARCH)])
    assert 0.002 < alone < 0.1
    both, found = p_of([run_of("a", SEARCH), run_of("b", sample(3000, 2))])
    assert found["conclusion"]["best_cut"] == 0
    assert both == pytest.approx(1 - (1 - alone) ** 2, rel=0.15)
    # A look at the same events that knows something else costs something in between.
    mixed, found = p_of([run_of("a", SEARCH), run_of("b", rescored(SEARCH, 3))])
    if found["conclusion"]["best_cut"] == 0:
        assert alone <= mixed * 1.02
        assert mixed <= found["conclusion"]["bonferroni"] * 1.02
