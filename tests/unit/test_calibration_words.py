"""What is said of sets of a calibration that raise too many alarms, or that lose a cut."""

import numpy as np
import pytest

from raybead.hunt.studies import Outcome, summed_up

UNIFORM = (np.arange(200) + 0.5) / 200
FACTS = {"events": 2500, "of": 3000, "method": "smooth", "cuts": [0.9, 0.99]}


def summary(p: np.ndarray, lost: int = 0, **facts: object) -> dict:
    found = [
        Outcome(float(one), (float(one),), (0.9,) if n < lost else (0.9, 0.99), 3000.0, 3500.0)
        for n, one in enumerate(p)
    ]
    return summed_up(found, 1999, FACTS | facts)


def test_sets_as_large_as_their_sample_may_be_why():
    found = summary(UNIFORM**3)["summary"]
    assert found["verdict"] == "undecided"
    assert found["words"].startswith(
        "whether p-values are calibrated isn't told by these sets: 74"
    )
    assert "Sets of 2500 events are drawn of 3000" in found["words"]
    assert found["words"].endswith("calibrate.events = 750, or by 10000 events to draw of.")


@pytest.mark.parametrize("facts", [{"events": 750}, {"method": "disjoint"}])
def test_smaller_sets_and_disjoint_ones_are_not(facts):
    found = summary(UNIFORM**3, **facts)["summary"]
    assert found["verdict"] == "anti-conservative"
    assert "false alarms" in found["words"]
    assert "drawn of" not in found["words"]


def test_where_alarms_are_as_many_as_they_should_be_nothing_is_added():
    found = summary(UNIFORM)
    assert found["summary"]["verdict"] == "calibrated"
    assert "drawn of" not in found["summary"]["words"]
    assert found["lost"] == {"0.9": 0, "0.99": 0}


def test_a_cut_that_sets_are_too_small_for_is_told():
    found = summary(UNIFORM, lost=150, events=700)
    assert found["lost"] == {"0.9": 0, "0.99": 150}
    assert "The cut 0.99 couldn't be hunted at in 150 of 200 sets" in found["summary"]["words"]
    assert "The cut 0.9 " not in found["summary"]["words"]
