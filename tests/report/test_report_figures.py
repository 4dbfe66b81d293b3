"""Figures: the numbers in them, and that drawing leaves nothing behind."""

# ruff: noqa: RUF001  # signs of the page
from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pytest

from raybead.config import Hunt
from raybead.hunt import Cuts, Sample, Scores, evaluate, hunt_here, prepare_box
from raybead.report.content import Content
from raybead.report.figures.canvas import canvas, density, hep_style, saved
from raybead.report.figures.evaluation import evaluation_figures
from raybead.report.figures.masses import jet_mass_figures, mass_figure, poisson_errors, sum_errors
from raybead.report.figures.peak import limits_figure, peak_figure
from raybead.report.figures.scan import scan_figure, toys_figure
from raybead.report.figures.scores import score_figure, score_mjj_figure
from raybead.report.figures.training import loss_figure, terms_figure
from raybead.report.numbers import events, p_value, percent, significance, thousands, with_error
from raybead.report.outliers import in_window_and_outlier, thresholds_at
from raybead.report.page import render
from raybead.storage import Role

GLUE = "\N{NO-BREAK SPACE}"
SIGN = "$m_{jj}$"


def hunted_in(content: Content, scores: Mapping[Role, pa.Table], config: Hunt) -> Content:
    """The content of a run whose hunt was made just now."""
    search, background = (Sample.of(scores[role]) for role in ("search", "background"))
    runs = [Scores(content.job.name, search, background)]
    result, box = hunt_here(runs, config), prepare_box(runs, config)
    flags = {cut["key"]: box.flags[:, look] for look, cut in enumerate(result["cuts"])}
    hunted = pa.table({"event": box.inside.event, **flags})
    within = in_window_and_outlier(result["cuts"][0]["key"], hunted, scores["search"])
    quantile = result["cuts"][0]["cut"]
    cuts = Cuts(box.edges, {quantile: within[1]})
    result["evaluation"] = evaluate(scores["search"], ("score", "mjj"), cuts=cuts)
    return Content(**{**vars(content), "result": result, "scores": scores, "outliers": hunted})


def test_poisson_intervals_are_the_tabulated_ones():
    below, above = poisson_errors(np.array([0, 1, 10]))
    np.testing.assert_allclose(below, [0.0, 0.827, 3.108], atol=2e-3)
    np.testing.assert_allclose(above, [1.841, 2.300, 4.267], atol=2e-3)


def test_density_has_unit_area_and_keeps_what_lies_beyond():
    edges = np.array([0.0, 1.0, 3.0])
    shape = density(np.array([-5.0, 0.5, 2.0, 99.0]), np.ones(4), edges)
    np.testing.assert_allclose(shape, [0.5, 0.25])


@pytest.mark.parametrize(
    ("p", "text"), [(0.64, "= 0.64"), (0.0123, "= 0.012"), (2.96e-4, "= 3.0 × 10⁻⁴")]
)
def test_p_values_as_text(p, text):
    assert p_value(p).replace(GLUE, " ") == text
    assert p_value(p, bound=True).startswith("≤")


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (136.6, 14.6, "137 ± 15"),
        (61.354, 3.54, "61.4 ± 3.5"),
        (-0.0125, 0.0044, "−0.0125 ± 0.0044"),
        (5.0, 0.0, "5"),
    ],
)  # fmt: skip
def test_values_with_errors(value, error, text):
    assert with_error(value, error).replace(GLUE, " ") == text


def test_significance_and_quantiles():
    assert significance(0.15865525) == pytest.approx(1.0)
    assert significance(1.0) == 0.0
    assert significance(0.0) > 37
    assert percent(0.999).replace(GLUE, " ") == "99.9 %"


def test_outliers_are_those_of_the_hunt_whatever_the_order_of_scores():
    hunted = pa.table({
        "event": [8, 3, 0, 1],
        "0.9": [True, False, True, False],
        "other-0.99": [False, False, False, True],
    })  # fmt: skip
    scores = pa.table({"event": [0, 1, 2, 3, 4, 8], "score": [9.0, 1.0, 99.0, 2.0, 99.0, 3.0]})
    inside, outlier = in_window_and_outlier("0.9", hunted, scores)
    assert inside.tolist() == [True, True, False, True, False, True]
    assert outlier.tolist() == [True, False, False, False, False, True]
    inside, outlier = in_window_and_outlier("other-0.99", hunted, scores)
    assert inside.tolist() == [True, True, False, True, False, True]
    assert outlier.tolist() == [False, True, False, False, False, False]


def test_thresholds_are_drawn_as_they_are_told():
    told = [
        {"masses": [1000.0, 1000.0 * np.e], "values": [1.0, 3.0]},
        {"masses": [2000.0], "values": [5.0]},
    ]
    at = np.array([1000.0, 1000.0 * np.sqrt(np.e), 9000.0])
    np.testing.assert_allclose(thresholds_at(told, at), [[1, 2, 3], [5, 5, 5]])


def test_the_same_figure_gives_the_same_bytes_and_leaves_the_style_alone(make_result):
    cut = make_result()["cuts"][0]
    with mpl.rc_context({"font.size": 9.5}):
        with hep_style():
            first, second = (scan_figure("tiny", cut, SIGN) for _ in range(2))
        assert mpl.rcParams["font.size"] == 9.5  # whoever draws with their own style keeps it
    assert first.png == second.png
    assert first.pdf == second.pdf


def test_truth_is_drawn_only_where_it_is_known(job, make_run, make_result):
    content = Content.read(job, make_run(make_result(truth=False), truth=False))
    with hep_style():
        plot = score_figure(content)
    assert not plot.truth
    assert "signal" not in plot.caption + plot.alt


def test_a_single_epoch_is_drawn():
    with hep_style():
        plot = loss_figure("tiny", [{"epoch": 0, "train": 1.0, "validation": 1.0, "best": True}])
    assert "1 epochs; the best epoch is 1" in plot.alt


def test_every_term_is_drawn_and_a_lone_one_is_not_drawn_again():
    terms = {"mse": 1.0, "kl": 0.01, "log-det": -0.5}
    record = {"epoch": 0, "train": 1.0, "validation": 1.0, "best": True}
    with hep_style():
        (plot,) = terms_figure("tiny", [record | {"terms": terms, "train_terms": terms}])
    assert plot.alt == "mse, kl, log-det over 1 epochs, in training and validation."
    lone = {"terms": {"mse": 1.0}, "train_terms": {"mse": 1.0}}
    assert list(terms_figure("tiny", [record | lone])) == []
    assert list(terms_figure("tiny", [record])) == []  # of a run that kept no such numbers


def test_anyones_text_is_drawn_sign_by_sign():
    figure, axes = canvas("$x_{$", "of $y_{$")
    saved(figure, "some", "training", "", "")  # a formula that can't be read would fail it
    drawn = [axes.get_title(loc=side) for side in ("left", "right")]
    assert drawn == [r"\$x_{\$", r"of \$y_{\$"]


def test_the_hunt_says_all_that_is_drawn(job, make_run, make_result):
    """What the hunt makes of a sample today is what the report reads."""
    content = Content.read(job, make_run(make_result()))
    config = Hunt(cuts=(0.9,), threshold_fit="search", toys=50, mass_window=(2659.0, 4010.0))
    table = content.scores["search"]
    hunted = hunted_in(content, content.scores, config)
    cut = hunted.best_cut
    inside, outlier = in_window_and_outlier(cut["key"], hunted.outliers, table)
    event, mass, score = (table.column(name).to_numpy() for name in ("event", "mjj", "score"))
    np.testing.assert_array_equal(inside, (mass >= 2659) & (mass < 4010))
    # They are those above the thresholds that are drawn, each fold's its own.
    curves = thresholds_at(cut["thresholds"], mass)
    above = score > curves[event % 5, np.arange(len(event))]
    np.testing.assert_array_equal(outlier, inside & above)
    assert len(cut["thresholds"]) == 5
    assert outlier.sum() == cut["events"]["outliers"]
    assert (inside & ~outlier).sum() == cut["events"]["others"]
    with hep_style():
        plots = [
            mass_figure("tiny", cut, SIGN), scan_figure("tiny", cut, SIGN),
            toys_figure("tiny", cut, "bumps"), peak_figure("tiny", cut, SIGN),
            limits_figure("tiny", cut, SIGN), score_mjj_figure(hunted),
        ]  # fmt: skip
    assert "5 folds" in plots[-1].caption
    page = render(hunted, plots)
    assert page.count(b"<img ") == len(plots) + 1  # the main one stands in the summary too
    assert b"efficiency-table" in page


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (1234567, "1234567"), (0, "0"), (0.0, "0.0"), (412.3378, "412.3"), (0.01234567, "0.01235"),
        (98765.4, "98765"), (-3.5, "−3.500"),
    ],
)  # fmt: skip
def test_numbers_of_events_as_text(n, text):
    assert events(n) == text
    assert thousands(n).replace("\N{NARROW NO-BREAK SPACE}", "") == text


def test_thousands_of_weighted_events_are_set_apart():
    assert thousands(98765.4).replace("\N{NARROW NO-BREAK SPACE}", " ") == "98 765"
    assert thousands(-1234.5).replace("\N{NARROW NO-BREAK SPACE}", " ") == "−1 234"


def test_errors_of_sums_are_scaled_poisson_intervals():
    counts, ones = np.array([0, 1, 10]), np.ones(3)
    np.testing.assert_array_equal(sum_errors(counts, counts, ones), poisson_errors(counts))
    weighed = sum_errors(0.2 * counts, 0.04 * counts, np.full(3, 0.2))
    np.testing.assert_allclose(weighed, 0.2 * poisson_errors(counts))
    # Few effective events, and a sum below zero: no length of an error bar may be negative.
    assert (sum_errors(np.array([0.1, -2.0]), np.array([3.0, 4.0]), np.ones(2)) >= 0).all()


def test_densities_add_weights():
    edges = np.array([0.0, 1.0, 3.0])
    shape = density(np.array([0.5, 2.0, 9.0]), np.array([2.0, 3.0, -1.0]), edges)
    np.testing.assert_allclose(shape, [0.5, 0.25])


@pytest.mark.parametrize("kind", ["lognormal", "nlo"])
def test_a_weighted_run_is_drawn_and_told_as_one(kind, job, make_run, make_result):
    content = Content.read(job, make_run(make_result()))
    weights = {
        "lognormal": lambda rng, n: 0.04 * rng.lognormal(0, 0.8, n),
        "nlo": lambda rng, n: rng.choice([1.0, -1.0], n, p=[0.9, 0.1]),
    }[kind]
    scores = {
        role: table.set_column(
            table.column_names.index("weight"), "weight",
            pa.array(weights(np.random.default_rng(seed), len(table))),
        )
        for seed, (role, table) in enumerate(content.scores.items())
    }  # fmt: skip
    config = Hunt(cuts=(0.8,), toys=50, mass_window=(2659.0, 4010.0))
    weighted = hunted_in(content, scores, config)
    cut = weighted.best_cut
    # Found again by their numbers, the outliers weigh what the hunt says.
    _, outlier = in_window_and_outlier(cut["key"], weighted.outliers, scores["search"])
    weight = scores["search"].column("weight").to_numpy()[outlier]
    assert weight.sum() == pytest.approx(cut["events"]["outliers"])
    with hep_style():
        plots = [
            mass_figure("tiny", cut, SIGN), score_figure(weighted), score_mjj_figure(weighted),
            *jet_mass_figures(weighted), peak_figure("tiny", cut, SIGN),
            limits_figure("tiny", cut, SIGN),
            *evaluation_figures("tiny", weighted.result["evaluation"]),
        ]  # fmt: skip
    assert "scaled to the weights" in plots[0].caption
    assert f"{events(cut['events']['outliers'])} outliers" in plots[0].alt
    page = render(weighted, plots).decode()
    assert "Events are weighted" in page
    assert f"<td>{events(cut['window']['observed'])}</td>" in page
    assert b"Events are weighted" not in render(content, ())
