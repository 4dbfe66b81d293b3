"""What is said of sets of a calibration that raise too many alarms."""

import numpy as np
import pytest

from raybead.hunt.studies import Outcome, summed_up

UNIFORM = (np.arange(200) + 0.5) / 200
FACTS = {"events": 2500, "of": 3000, "method": "smooth"}


def said(p: np.ndarray, **facts: object) -> str:
    found = [Outcome(float(one), (float(one),), 3000.0, 3500.0) for one in p]
    return summed_up(found, 1999, FACTS | facts)["summary"]["words"]


def test_sets_as_large_as_their_sample_may_be_why():
    words = said(UNIFORM**3)
    assert "false alarms" in words
    assert "Sets of 2500 events are drawn of 3000" in words
    assert words.endswith("calibrate.events = 750.")


@pytest.mark.parametrize("facts", [{"events": 750}, {"method": "disjoint"}])
def test_smaller_sets_and_disjoint_ones_are_not(facts):
    words = said(UNIFORM**3, **facts)
    assert "false alarms" in words
    assert "drawn of" not in words


def test_where_alarms_are_as_many_as_they_should_be_nothing_is_added():
    assert "drawn of" not in said(UNIFORM)
