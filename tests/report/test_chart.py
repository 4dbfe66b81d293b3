"""Numbers of a figure: what a chart's JSON holds."""

import json

import numpy as np
import pytest

from raybead.report.figures.chart import Axis, Chart, Mark, Panel, steps


def chart(*marks: Mark) -> Chart:
    axis = Axis(label="m [GeV]", scale="log", domain=(1, 10))
    return Chart(panels=[Panel(x=axis, y=Axis(label="Events"), marks=marks)])


def test_histograms_keep_edges_and_gaps_are_null():
    mark = steps("Outliers", [1, 2, 4], np.array([0.1234567890123, np.nan]), "#111111")
    held = json.loads(chart(mark).json())["panels"][0]
    assert held["x"] == {"label": "m [GeV]", "scale": "log", "domain": [1.0, 10.0]}
    assert held["marks"][0]["columns"] == {"x1": [1, 2], "x2": [2, 4], "y": [0.1234568, None]}


def test_infinities_are_gaps_too_and_words_stay():
    columns = {"x": [1.0, np.inf], "y": [None, 2], "text": ["a", "<b>"]}
    mark = Mark(kind="points", name="", color="#111111", columns=columns)
    held = json.loads(chart(mark).json())["panels"][0]["marks"][0]["columns"]
    assert held == {"x": [1, None], "y": [None, 2], "text": ["a", "<b>"]}


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("line", {"x": [1]}),
        ("line", {"x": [1], "y": [1, 2]}),
        ("line", {"x": [1], "y": [1], "colour": [1]}),
        ("rule", {}),
    ],
)
def test_columns_that_dont_fit_are_refused(kind, columns):
    with pytest.raises(ValueError, match=kind):
        Mark(kind=kind, name="odd", color="#111111", columns=columns)
