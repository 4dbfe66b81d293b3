"""Figures of units and of drift: what they draw is what was found."""

# signs of the page

import numpy as np
import pytest

from raybead.report.drift_words import adjusted_p, drift_in_words
from raybead.report.figures.canvas import hep_style
from raybead.report.figures.drift import drift_figures
from raybead.report.figures.units import unit_figures


def layer(name, relu, mean, spread, responds):
    mean, spread = np.array(mean), np.array(spread)
    return {
        "name": name,
        "activation": "relu" if relu else "none",
        "of": "items",
        "rows": 50,
        "mean": mean.tolist(),
        "standard_deviation": spread.tolist(),
        "responds": responds,
        "dead": (spread == 0).tolist() if not relu else [r == 0 for r in responds],
        "constant": (spread == 0).tolist(),
    }


ACTIVITY = {
    "items": 50,
    "nodes": 400,
    "units": 6,
    "silent": 2,
    "layers": [
        layer("encoder.0", True, [0, 1, 3, 2], [0, 1, 4, 0], [0.0, 0.5, 0.9, 1.0]),
        layer("head.0", True, [0, 1], [0, 2], [0.0, 0.25]),
        layer("latent", False, [-2.0, 1.0], [0, 1], [0.0, 1.0]),
    ],
}


def drawn(figures):
    with hep_style():
        return {plot.name: plot for plot in figures}


def cells_of(plot):
    return plot.chart.panels[0].marks[0].columns


def test_units_are_drawn_layer_by_layer_the_first_on_top():
    plots = drawn(unit_figures("run", ACTIVITY))
    assert list(plots) == ["units-response", "units-mean"]
    assert {plot.section for plot in plots.values()} == {"diagnostics"}
    cells = cells_of(plots["units-response"])
    assert cells["text"] == [
        "encoder.0, unit 3, always the same",
        "encoder.0, unit 2",
        "encoder.0, unit 1",
        "encoder.0, unit 0, never responds",
        "head.0, unit 1",
        "head.0, unit 0, never responds",
    ]
    assert cells["value"] == [1.0, 0.9, 0.5, 0.0, 0.25, 0.0]
    assert cells["x1"] == [0, 25, 50, 75, 0, 50]
    assert cells["y1"][0] > cells["y1"][-1]
    assert "2 of 6 never respond" in plots["units-response"].caption
    cells = cells_of(plots["units-mean"])
    assert cells["text"][-2:] == ["latent, unit 0, always the same", "latent, unit 1"]
    np.testing.assert_allclose(cells["value"][:4], np.array([0, 1, 3, 2]) / 5)
    np.testing.assert_allclose(cells["value"][-2:], [-1, 0.5])


def test_silent_units_are_red():
    from matplotlib.colors import to_rgba
    from matplotlib.figure import Figure

    from raybead.report.figures import units
    from raybead.report.figures.canvas import RED

    seen = []
    kept = units.saved

    def saved(figure: Figure, *rest, **more):
        images = figure.axes[0].images
        seen.append([np.asarray(image.get_array()) for image in images])
        return kept(figure, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "saved", saved)
        drawn(unit_figures("run", ACTIVITY))
    first, second = seen[0]
    red = [np.allclose(cell, to_rgba(RED)) for cell in first[0]]
    assert red == [False, False, False, True]
    assert np.allclose(second[0][1], to_rgba(RED))


def test_a_model_without_relus_has_no_figure_of_responses():
    activity = {**ACTIVITY, "layers": ACTIVITY["layers"][2:], "units": 0, "silent": 0}
    assert list(drawn(unit_figures("run", activity))) == ["units-mean"]
    assert drawn(unit_figures("run", {**activity, "layers": []})) == {}


def feature(name, of, p, distance):
    known = p is not None
    shares = [0.25, 0.5, 0.25]
    return {
        "name": name,
        "of": of,
        "distance": distance,
        "p": p,
        "p_adjusted": None if p is None else min(1.0, 4 * p),
        "wasserstein": 0.1 if known else None,
        "edges": [0.0, 1.0, 2.0, 3.0] if known else None,
        "shares": {"background": shares, "search": shares[::-1]} if known else None,
        "background": {"events": 200 if name != "multiplicity" else 150},
        "search": {"events": 100},
    }


DRIFT = {
    "events": {"background": 200, "search": 100},
    "looked_at": 3,
    "draws": 999,
    "level": 0.05,
    "differ": ["mjj"],
    "features": [
        feature("pt", "node", 0.5, 0.01),
        feature("mjj", "event", 0.001, 0.2),
        feature("score", "event", None, None),
        feature("multiplicity", "jet", 0.5, 0.02),
    ],
}


def test_distances_are_drawn_from_the_smallest_p():
    plots = drawn(drift_figures("run", DRIFT))
    assert list(plots) == ["drift", "drift-shapes"]
    chart = plots["drift"].chart
    assert [one["name"] for one in chart.facts["features"]] == ["mjj", "multiplicity", "pt"]
    differs, others = chart.panels[0].marks
    assert (differs.name, list(differs.columns["x"])) == ("differs", [0.2])
    assert list(differs.columns["y"]) == [2]
    # None of the 999 draws lay as far apart, so p is at most one in a thousand.
    assert differs.columns["text"][0].startswith("mjj: p\xa0≤\xa00.001, corrected p\xa0≤\xa00.004")
    assert others.columns["text"][1].startswith("pT of a constituent: p\xa0=\xa00.5")
    assert list(others.columns["x"]) == [0.02, 0.01]
    shapes = plots["drift-shapes"].chart.panels
    assert [panel.x.label for panel in shapes] == [
        "mjj [GeV]",
        "constituents of a jet",
        "pT of a constituent",
    ]
    assert list(shapes[0].marks[0].columns["y"]) == [0.25, 0.5, 0.25]
    said = (
        "3 features and observables were looked at, 1 couldn't be; 1 differs between background"
        " and search sample at 5\xa0%, corrected for that many looks (Holm):"
        " mjj (p\xa0≤\xa00.004)."
    )
    assert plots["drift"].caption.startswith(said)


def test_the_numbers_of_events_are_those_that_were_looked_at():
    drift = {**DRIFT, "events": {"background": 9999, "search": 8888}}
    caption = drawn(drift_figures("run", drift))["drift"].caption
    assert "9999" not in caption
    assert "200 background events and 100 of the search sample" in caption
    assert "(constituents of a jet: 150 and 100)" in caption


def test_a_bound_is_passed_on_to_a_p_value_that_is_corrected_by_it():
    """Holm's corrected p-values don't fall where the p-values rise."""
    close = {**feature("pt", "node", 0.0012, 0.1), "p_adjusted": 0.004}
    features = [feature("mjj", "event", 0.001, 0.2), close, feature("score", "event", 0.5, 0.1)]
    drift = {**DRIFT, "features": features, "differ": ["mjj", "pt"]}
    assert [adjusted_p(one, drift)[2] for one in features] == ["≤", "≤", "="]


def test_where_nothing_was_looked_at_it_isnt_said_that_nothing_differs():
    drift = {**DRIFT, "features": [DRIFT["features"][2]], "looked_at": 0, "differ": []}
    said = drift_in_words(drift, str)
    assert said.startswith("None of the 1 features and observables could be looked at")
    assert "differs" not in said


def test_nodes_and_powers_are_told():
    panels = drawn(drift_figures("run", DRIFT, 1.5, "jet"))["drift-shapes"].chart.panels
    assert panels[2].x.label == "pT^1.5 of a jet"


def test_where_nothing_is_known_nothing_is_drawn():
    assert drawn(drift_figures("run", {**DRIFT, "features": [DRIFT["features"][2]]})) == {}
