"""Figures of what was looked at of a model."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pyarrow as pa
import pytest

from raybead.events import table_bytes
from raybead.report.content import Content
from raybead.report.diagnosed import Diagnostics
from raybead.report.figures import _diagnostics
from raybead.report.figures.canvas import hep_style
from raybead.report.figures.displays import display_figures
from raybead.report.figures.etaphi import AREA, areas, circle
from raybead.report.figures.examples import example_figures
from raybead.report.figures.latent import latent_figures
from raybead.storage import Stage

N = 60
TOLD = {"dimensions": 3, "not_finite": 0, "kinds": ["pca"], "explained": [0.7, 0.2],
        "undrawn": {}}  # fmt: skip


def latents(generators=("a", "b"), dimensions=3, **more) -> pa.Table:
    rng = np.random.default_rng(1)
    search = np.arange(N) >= N // 2
    columns = {
        "sample": ["search" if s else "background" for s in search],
        "event": np.arange(N),
        "item": np.zeros(N, int),
        "generator": [
            None if s else generators[i % len(generators)] for i, s in enumerate(search)
        ],
        "truth": pa.array([int(s and i % 5 == 0) for i, s in enumerate(search)], pa.int8()),
        "weight": rng.uniform(0.5, 2, N),
        "score": rng.normal(size=N),
        "total": rng.uniform(size=N),
        "latent": list(rng.normal(size=(N, dimensions))),
        "pca_1": rng.normal(size=N),
        "pca_2": rng.normal(size=N),
        **more,
    }
    return pa.table(columns)


def spaces(**more) -> dict:
    return {"items": {"background": N // 2, "search": N // 2},
            "spaces": {"latent": {**TOLD, **more}}}  # fmt: skip


def drawn(table, told, *, truth=False):
    with hep_style():
        return {
            plot.name: plot for plot in latent_figures("tiny", table, told, "jet", truth=truth)
        }


def marks_of(plot, panel=0):
    return json.loads(plot.chart.json())["panels"][panel]["marks"]


def test_every_item_is_in_every_colouring_once():
    table = latents()
    plots = drawn(table, spaces(), truth=True)
    assert list(plots) == ["latent-pca", "latent-pca-score", "latent-pca-truth"]
    assert [plot.truth for plot in plots.values()] == [False, False, True]
    assert {plot.section for plot in plots.values()} == {"latent"}
    x = dict(zip(table["event"].to_pylist(), table["pca_1"].to_pylist(), strict=True))
    for name, items in (("latent-pca", range(N)), ("latent-pca-score", range(N)),
                        ("latent-pca-truth", range(N // 2, N))):  # fmt: skip
        told = {}
        for mark in marks_of(plots[name]):
            for text, at in zip(mark["columns"]["text"], mark["columns"]["x"], strict=True):
                told[int(text.split(",")[0].removeprefix("event "))] = at
        assert sorted(told) == list(items)
        np.testing.assert_allclose([told[i] for i in items], [x[i] for i in items], rtol=1e-6)
    names = [mark["name"] for mark in marks_of(plots["latent-pca"])]
    assert names == ["Background, a", "Background, b", "Search sample"]
    assert len(marks_of(plots["latent-pca-truth"])[1]["columns"]["x"]) == 6


def test_a_lone_generator_isnt_named_and_truth_only_where_it_is_known():
    plots = drawn(latents(generators=("a",)), spaces())
    assert list(plots) == ["latent-pca", "latent-pca-score"]
    assert marks_of(plots["latent-pca"])[0]["name"] == "Held-out background"
    assert not any(plot.truth for plot in plots.values())


def test_anyones_generator_is_named_as_it_is():
    """A formula that can't be read would fail the report, and one that can would hide signs."""
    table = latents(generators=("$x_{$", "a $b$"), line_1=np.arange(N, dtype=float))
    for plots in (drawn(table, spaces()), drawn(table, spaces(kinds=["line"]))):
        names = [mark["name"] for mark in marks_of(next(iter(plots.values())))]
        assert names == ["Background, $x_{$", "Background, a $b$", "Search sample"]


def test_items_of_unknown_truth_are_neither_signal_nor_background():
    truth = pa.array([(None, 0, 1)[i % 3] for i in range(N)], pa.int8())
    table = latents().set_column(4, "truth", truth)
    plot = drawn(table, spaces(), truth=True)["latent-pca-truth"]
    told = {mark["name"]: len(mark["columns"]["x"]) for mark in marks_of(plot)}
    assert told == {"Background of the search sample": 10, "Signal": 10, "Of unknown truth": 10}


def test_only_items_that_are_shown_are_counted():
    some = np.where(np.arange(N) == 3, np.nan, np.linspace(0, 1, N))
    plots = drawn(latents(pca_1=some, pca_2=some), spaces())
    assert plots["latent-pca"].caption.startswith("59 jets")
    assert "1 more have no finite latent." in plots["latent-pca"].caption
    assert "Background, b (14)" in plots["latent-pca"].alt
    assert "far outside" not in plots["latent-pca"].caption
    assert "finite" not in drawn(latents(), spaces())["latent-pca"].caption


def test_shades_change_at_the_backgrounds_quantiles():
    table = latents()
    held = table["score"].to_numpy()[: N // 2]
    ends = np.quantile(held, [0.5, 0.9, 0.99])
    sizes = [len(mark["columns"]["x"]) for mark in
             marks_of(drawn(table, spaces())["latent-pca-score"])]  # fmt: skip
    edges = [-np.inf, *ends, np.inf]
    assert sizes == np.histogram(table["score"].to_numpy(), edges)[0].tolist()


def test_a_line_a_plane_and_the_latent_before_the_flow():
    rng = np.random.default_rng(5)
    table = latents(line_1=rng.normal(size=N), z0_tsne_1=rng.normal(size=N),
                    z0_tsne_2=rng.normal(size=N))  # fmt: skip
    told = {"spaces": {"latent": {**TOLD, "kinds": ["line"]}, "z0": {**TOLD, "kinds": ["tsne"]}}}
    plots = drawn(table, told)
    assert list(plots) == [
        "latent-line", "latent-line-score", "latent-z0-tsne", "latent-z0-tsne-score",
    ]  # fmt: skip
    (mark, *_) = marks_of(plots["latent-line"])
    columns = {name: np.array(values) for name, values in mark["columns"].items()}
    assert (columns["y"] * (columns["x2"] - columns["x1"])).sum() == pytest.approx(1)


def test_posteriors_are_drawn_as_means_over_dimensions_with_weights():
    rng = np.random.default_rng(6)
    mu, sigma = rng.normal(size=(N, 3)), rng.uniform(0.1, 1, size=(N, 3))
    table = latents(generators=("a",), mu=list(mu), sigma=list(sigma))
    told = spaces(kinds=[])
    plots = drawn(table, told, truth=True)
    assert list(plots) == ["posterior", "posterior-truth"]
    for panel, values in ((0, mu.mean(axis=1)), (1, sigma.mean(axis=1))):
        mark = marks_of(plots["posterior"], panel)[1]
        assert mark["name"] == "Search sample"
        edges = [*mark["columns"]["x1"], mark["columns"]["x2"][-1]]
        some = np.clip(values[N // 2 :], edges[0], edges[-1])
        weight = table["weight"].to_numpy()[N // 2 :]
        slow = [
            sum(w for v, w in zip(some, weight, strict=True)
                if low <= v < high or (high == edges[-1] and v == high))
            / weight.sum() / (high - low)
            for low, high in pairwise(edges)
        ]  # fmt: skip
        np.testing.assert_allclose(mark["columns"]["y"], slow, rtol=1e-5, atol=1e-9)


NODES = [{"pt": 100.0, "eta": 0.1, "phi": -0.2, "jet": 0},
         {"pt": 25.0, "eta": -0.4, "phi": 0.3, "jet": 1}]  # fmt: skip


def example(**more) -> pa.Table:
    row = {"sample": "search", "event": 7, "item": 1, "quantile": None, "total": 3.5, "truth": 1,
           "input": NODES, "reconstruction": NODES[:1]}  # fmt: skip
    return pa.Table.from_pylist([{**row, **more}])


def examples_of(table, frame="axis", undrawn=None):
    told = {"frame": frame, "undrawn": undrawn or {}, "items": len(table)}
    with hep_style():
        return list(example_figures("tiny", table, told, 1.0, "jet", "constituent"))


@pytest.mark.parametrize("frame", ["axis", "axes", "detector"])
def test_examples_stand_beside_their_reconstructions(frame):
    (plot,) = examples_of(example(), frame)
    assert plot.name == "example-search-1"
    assert not plot.truth
    assert "signal" not in plot.caption.lower()
    inputs = [m for m in marks_of(plot, 0) if m["kind"] == "points"]
    assert [*chain.from_iterable(m["columns"]["size"] for m in inputs)] == [100, 25]
    assert len(inputs) == (1 if frame == "axis" else 2)
    made = [m for m in marks_of(plot, 1) if m["kind"] == "points"]
    assert [m["columns"]["x"] for m in made] == [[0.1]]
    circles = [m for m in marks_of(plot, 0) if m["kind"] == "line"]
    assert len(circles) == (frame != "detector")


def test_what_cant_be_drawn_of_an_example_is_said():
    table = example(reconstruction=None)
    (plot,) = examples_of(table, undrawn={"reconstruction": "l2 can't be undone"})
    assert len(plot.chart.panels) == 1
    assert "No reconstruction: l2 can't be undone." in plot.caption
    assert examples_of(example(input=None, reconstruction=None)) == []
    (plot,) = examples_of(example(sample="background", quantile=0.5, reconstruction=[]))
    assert "median loss" in plot.caption


def event(**more) -> pa.Table:
    jets = [{"pt": 900.0, "eta": 0.5, "phi": 3.1, "mass": 90.0},
            {"pt": 800.0, "eta": -1.0, "phi": 0.0, "mass": 80.0}]  # fmt: skip
    parts = [[{"pt": 500.0, "eta": 0.4, "phi": 3.3}], [{"pt": 80.0, "eta": -1.1, "phi": 0.1}]]
    row = {"event": 12, "truth": 1, "weight": 1.0, "mjj": 1712.3, "jets": jets,
           "constituents": parts, "score": 4.25}  # fmt: skip
    return pa.Table.from_pylist([{**row, **more}])


def test_displays_say_what_is_known_and_nothing_of_truth():
    with hep_style():
        (plot,) = display_figures("tiny", event(), 0.8)
    assert (plot.name, plot.section, plot.truth) == ("display-1", "events", False)
    for said in ("Event 12", "4.25", "1712 GeV", "900, 800 GeV"):
        assert said in plot.caption
    marks = marks_of(plot)
    points = [m["columns"] for m in marks if m["kind"] == "points"]
    assert [p["x"] for p in points] == [[0.4], [-1.1]]
    np.testing.assert_allclose(points[0]["y"], [3.3 - 2 * math.pi], rtol=1e-6)
    # The first jet lies across the end of phi: its circle is drawn on both sides.
    circles = [m["columns"] for m in marks if m["kind"] == "line"]
    assert len(circles) == 3
    for columns, centre in zip(circles, [(0.5, 3.1 - 2 * math.pi), (0.5, 3.1), (-1.0, 0.0)],
                               strict=True):  # fmt: skip
        y = np.array([np.nan if v is None else v for v in columns["y"]], float)
        far = np.hypot(np.array(columns["x"]) - centre[0], y - centre[1])
        np.testing.assert_allclose(far[~np.isnan(far)], 0.8, rtol=1e-5)
        assert (np.abs(y[~np.isnan(y)]) <= math.pi).all()


def test_an_event_of_jets_without_constituents_is_drawn():
    with hep_style():
        (plot,) = display_figures("tiny", event(constituents=[[], []], score=None), 1.0)
    assert "score (unknown)" in plot.caption


def test_areas_go_with_momentum():
    np.testing.assert_allclose(areas(np.array([100.0, 50.0, -3.0]), 100.0), [AREA, AREA / 2, 2.0])
    x, y = circle(1.0, 2.0, 0.5)
    np.testing.assert_allclose(np.hypot(x - 1, y - 2), 0.5)


def test_the_same_figure_gives_the_same_bytes():
    first, again = (drawn(latents(), spaces())["latent-pca"] for _ in range(2))
    assert (first.png, first.pdf) == (again.png, again.pdf)


def test_a_run_tells_what_was_looked_at_and_one_without_draws_nothing(job, make_run, make_result):
    run = make_run(make_result())
    content = Content.read(job, run)
    assert content.diagnostics is None
    assert list(_diagnostics(content)) == []
    stage = Stage(run, "diagnostics", {})
    parts = dict.fromkeys(("latent", "examples", "displays", "units", "drift"))  # always all
    result = {"background": "unseen", **parts, "displays": {"events": 1}}
    stage.beside.write_json("result.json", result)
    stage.beside.write("displays.parquet", table_bytes(event()))
    stage.finish(result)
    found = Diagnostics.read(run)
    assert found is not None
    assert found.latent is None
    assert found.displays.equals(event())
    with hep_style():
        plots = list(_diagnostics(replace(content, diagnostics=found)))
    assert [plot.name for plot in plots] == ["display-1"]
