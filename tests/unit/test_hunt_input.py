"""Bins of any observable, and samples that no hunt can be made in."""

import numpy as np
import pyarrow as pa
import pytest

from raybead.config import Hunt
from raybead.errors import HuntError
from raybead.hunt import Sample, edges_of
from raybead.hunt.binning import edges_within


def table(**columns):
    rows = {
        "event": [4, 7, 9], "mjj": [2700.0, 2800.0, 2900.0], "mj1": [80.0, 90.0, 100.0],
        "score": [0.0, 1.0, 2.0], "weight": [1.0, 1.0, 1.0], "role": ["a", "b", "c"],
    }  # fmt: skip
    return pa.table(rows | columns)


def test_bins_of_the_three_kinds():
    np.testing.assert_array_equal(edges_of(Hunt()), edges_within((2659, 6099)))
    uniform = edges_of(Hunt(binning="uniform", bins=30, mass_window=(50.0, 350.0)))
    np.testing.assert_allclose(uniform, np.arange(50, 351, 10))
    edges = edges_of(Hunt(binning="resolution", resolution=0.04, mass_window=(2000.0, 6000.0)))
    width, centre = np.diff(edges), (edges[1:] + edges[:-1]) / 2
    np.testing.assert_allclose(width / centre, (width / centre)[0])
    assert (width / centre)[0] == pytest.approx(0.04, rel=0.02)
    assert (edges[0], edges[-1]) == pytest.approx((2000, 6000))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (Hunt(mass_window=(2660.0, 2700.0)), "fewer than two dijet bins"),
        (Hunt(binning="uniform", bins=1), "one bin only"),
        (Hunt(binning="uniform", bins=3, widths=(4, 5)), "windows of 4 bins are wider than the 3"),
        (Hunt(binning="resolution", resolution=0.9), "one bin only"),
        (Hunt(mass_window=(7060.0, 9067.0)), r"7060 <= mjj < 9067 GeV: they reach from 2700 to"),
    ],
)
def test_bins_that_cannot_be_are_refused_in_words(config, says):
    with pytest.raises(HuntError, match=says) as refused:
        edges_of(config, np.array([2700.0, 3000.0]))
    assert "\n" not in str(refused.value)


def test_any_column_can_be_hunted_in():
    np.testing.assert_array_equal(Sample.of(table(), "mj1").mass, [80, 90, 100])
    whole = Sample.of(table(mj1=[80, 90, 100]), "mj1").mass
    assert whole.dtype == np.float64


@pytest.mark.parametrize(
    ("columns", "observable", "says"),
    [
        ({"score": [0.0, np.inf, np.nan]}, "mjj", r"event 7: its score is inf, .* \(2 such"),
        ({"score": [0.0, None, 1.0]}, "mjj", "event 7: its score is nan"),
        (
            {"mjj": [2700.0, 2800.0, np.nan]},
            "mjj",
            "event 9: its mjj is nan, not a number above 0",
        ),
        ({"mj1": [0.0, 2.0, 3.0]}, "mj1", "event 4: its mj1 is 0, not a number above 0"),
        ({"mj1": [1.0, 2.0, -np.inf]}, "mj1", "event 9: its mj1 is -inf"),
        ({"weight": [1.0, np.nan, 1.0]}, "mjj", "event 7: its weight is nan"),
        ({}, "mj3", "no column 'mj3'; they have event, mjj, mj1, score, weight$"),
        ({}, "role", "the column 'role' of the scores holds string, no numbers"),
    ],
)
def test_samples_that_cannot_be_hunted_in_are_refused_in_words(columns, observable, says):
    with pytest.raises(HuntError, match=says):
        Sample.of(table(**columns), observable)
