"""What a figure's file holds is what the run's results say."""

# ruff: noqa: RUF001  # signs of the page

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from conftest import calibration_of, metrics_of, reach_of, result_of, scores_of  # type: ignore

from raybead.report.figures.canvas import density
from raybead.report.figures.chart import plain_label
from raybead.report.numbers import significance

CUT = result_of((0.9,))["cuts"][0]
EDGES = np.array(CUT["histogram"]["edges"])


@pytest.fixture
def held(drawn):
    """Columns of a figure's marks, by name, over all panels; those of no name by kind."""

    def read(name: str) -> dict[str, dict[str, Any]]:
        chart = json.loads((drawn.folder / f"{name}.json").read_bytes())
        marks = [mark for panel in chart["panels"] for mark in panel["marks"]]
        return {
            mark["name"] or mark["kind"]: {
                key: np.array([np.nan if v is None else v for v in column])
                if not any(isinstance(v, str) for v in column) else column
                for key, column in mark["columns"].items()
            }
            for mark in marks
        }  # fmt: skip

    return read


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-9)  # seven digits, subtracted


def test_masses(held):
    marks, histogram = held("mjj-0.9"), CUT["histogram"]
    widths = np.diff(EDGES)
    outliers, scale = np.array(histogram["outliers"]), CUT["window"]["scale"]
    expected, error = (scale * np.array(histogram[k]) for k in ("expected", "uncertainty"))
    prediction = marks["Background prediction"]
    close(prediction["y"] * widths / 100, expected)
    close((prediction["high"] - prediction["low"]) * widths / 100, 2 * error)
    points = marks[f"Outliers ({outliers.sum()})"]
    close(points["y"] * widths / 100, outliers)
    assert (points["low"] <= points["y"]).all()
    assert points["high"][-1] * widths[-1] / 100 == pytest.approx(1.841, abs=1e-3)  # of none
    window = next(mark for name, mark in marks.items() if name.startswith("3416–3704"))
    assert (window["x1"], window["x2"]) == (3416, 3704)
    close(marks["steps"]["y"], (outliers - expected) / np.sqrt(expected + error**2))


def test_scan_and_toys(held):
    marks = held("scan-0.9")
    spans = sorted((*row,) for mark in marks.values()
                   for row in zip(mark["x1"], mark["x2"], mark["y"], strict=True))  # fmt: skip
    scan = CUT["scan"]
    wanted = sorted(zip(scan["low"], scan["high"], map(significance, scan["p"]), strict=True))
    close(spans, wanted)
    (best,) = (mark for name, mark in marks.items() if name.startswith("3416–3704"))
    assert len(best["y"]) == 1
    toys = held("toys-0.9")
    close(toys["200 pseudo-experiments"]["y"], CUT["toys"]["counts"])
    close(toys["Data: 16.1"]["x"], [CUT["toys"]["statistic"]])


def test_peaks_and_limits(held):
    marks, peak = held("peak-0.9"), CUT["peak"]
    close(marks["Best fit at each mass"]["y"], peak["signal"])
    close(marks["68 %"]["high"], np.add(peak["signal"], peak["error_high"]))
    close(marks["68 %"]["low"], np.subtract(peak["signal"], peak["error_low"]))
    close(marks["line"]["y"], peak["z"])
    marks, limits = held("limits-0.9"), CUT["limits"]
    (observed,) = (mark for name, mark in marks.items() if name.startswith("Observed"))
    close(observed["x"], limits["masses"])
    close(observed["y"], limits["observed"])
    close(marks["Expected (median)"]["y"], limits["expected"][2])
    for sigma, name in ((1, "Expected ± 1 σ"), (2, "Expected ± 2 σ")):
        close(marks[name]["low"], limits["expected"][2 - sigma])
        close(marks[name]["high"], limits["expected"][2 + sigma])


def test_scores(held):
    marks = held("scores")
    (signal,) = (mark for name, mark in marks.items() if name.startswith("Signal"))
    for mark in (marks["Background sample (trained on)"], marks["Search sample"], signal):
        assert (mark["y"] * (mark["x2"] - mark["x1"])).sum() == pytest.approx(1, abs=1e-5)
    search = scores_of(1993, 2, truth=True)
    score = search["score"].to_numpy()
    mark = marks["Search sample"]
    edges = np.append(mark["x1"], mark["x2"][-1])
    np.testing.assert_allclose(
        mark["y"], density(score, np.ones(len(score)), edges), atol=1.5 / 1993 / np.diff(edges)[0]
    )
    cells, mass = held("score-mjj")["Events"], search["mjj"].to_numpy()
    reach = (np.quantile(mass, [0.0005, 0.9995]), np.quantile(score, [0.0005, 0.9995]))
    low, high = min(reach[0][0], EDGES[0]), max(reach[0][1], EDGES[-1])
    inside = (mass >= low) & (mass <= high) & (score >= reach[1][0]) & (score <= reach[1][1])
    assert cells["value"].sum() == inside.sum()
    assert (cells["value"] > 0).all()


def test_training(held):
    history = metrics_of()["history"]
    marks = held("loss")
    close(marks["Train"]["x"], [1, 2, 3])
    close(marks["Train"]["y"], [record["train"] for record in history])
    close(marks["Validation"]["y"], [record["validation"] for record in history])
    close(marks["Best: epoch 2"]["y"], [history[1]["validation"]])
    of_pt, marks = metrics_of()["reconstruction"]["pt"], held("reconstruction-pt")
    close(marks["Input"]["y"], of_pt["input"])
    close(marks["Reconstruction"]["y"], of_pt["reconstruction"])
    close(marks["Input"]["x1"], of_pt["edges"][:-1])


def test_studies(held):
    calibration, reach = calibration_of(), reach_of()
    hunts = held("calibration-p")["200 hunts"]
    assert hunts["y"].sum() == calibration["sets"]
    alarms = held("calibration-alarms")["200 hunts"]
    below = [np.mean(np.array(calibration["p"]) <= level) for level in alarms["x"]]
    known = np.isfinite(alarms["y"])
    np.testing.assert_allclose(alarms["y"][known], np.array(below)[known], atol=1.01 / 200)
    for mass in (3000.0, 4000.0):
        points = [point for point in reach["points"] if point["mass"] == mass]
        power, line = held("reach-power"), held("reach-linearity")
        found = power[f"{mass:.0f} GeV"]
        close(found["x"], [100 * point["strength"] for point in points])
        close(found["y"], [point["found"] for point in points])
        close(found["high"], [point["found_high"] for point in points])
        close(line[f"{mass:.0f} GeV"]["y"], [point["fitted"] for point in points])


def test_evaluation(held):
    evaluation = result_of()["evaluation"]
    model = evaluation["scores"]["score"]
    curves = held("roc")
    (curve,) = (mark for name, mark in curves.items() if name.startswith("Model"))
    assert len(curves) == len(evaluation["scores"]) + 1
    close(curve["x"], model["roc"]["fpr"])
    close(curve["y"], model["roc"]["tpr"])
    (curve,) = (m for name, m in held("precision-recall").items() if name.startswith("Model"))
    close(curve["y"], model["precision_recall"]["precision"])
    (curve,) = (m for name, m in held("significance-improvement").items()
                if name.startswith("Model"))  # fmt: skip
    fpr, tpr = (np.array(model["roc"][key]) for key in ("fpr", "tpr"))
    enough = fpr * evaluation["background"] >= 20
    close(curve["y"], tpr[enough] / np.sqrt(fpr[enough]))
    gains = [score["gain"]["sic"] for key, score in evaluation["scores"].items() if key != "score"]
    points = held("gain-over-controls")["points"]  # of the second panel
    close(points["x"], [gain["value"] for gain in gains])
    close(points["right"] - points["left"], [2 * gain["error"] for gain in gains])
    cut = evaluation["efficiency"]["cuts"][0]
    kept = [value for value in cut["background"]["value"] if value is not None]
    (points,) = (m for name, m in held("efficiency").items() if name.endswith("quantile"))
    close(points["y"], kept)  # the lower panel's, of the same name


@pytest.mark.parametrize(
    ("label", "plain"),
    [
        (r"$m_{jj}$ [GeV]", "m_jj [GeV]"),
        (r"$p_T^{1.5}\,\Delta\eta$ [GeV$^{1.5}$]", "pT^1.5 Δη [GeV^1.5]"),
        (r"Mean $(p_T\,\Delta R)^2$", "Mean (pT ΔR)²"),
        (r"Test statistic $-\ln\,p_{min}$", "Test statistic -ln p_min"),
    ],
)
def test_labels_without_formulas(label, plain):
    assert plain_label(label) == plain
