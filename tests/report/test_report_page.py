"""The page: whole, self-contained, escaped, and honest about truth."""

# ruff: noqa: RUF001  # signs of the page
from __future__ import annotations

import base64
import copy
import html
import json
import re
from dataclasses import replace
from itertools import islice

import matplotlib as mpl
import pyarrow as pa
import pytest
from parsed import Parsed

from raybead.report.content import Content
from raybead.report.diagnosed import Diagnostics
from raybead.report.figures import _figures
from raybead.report.figures.canvas import hep_style
from raybead.report.figures.masses import mass_figure
from raybead.report.figures.studies import calibration_figures, reach_figures
from raybead.report.page import render
from raybead.report.template import asset


@pytest.fixture
def page(drawn) -> str:
    """The whole page of a run with truth."""
    return drawn.page


@pytest.fixture
def content(job, make_run, make_result) -> Content:
    return Content.read(job, make_run(make_result(truth=False), truth=False))


EXPECTED = {
    *(f"{name}-{cut}" for name in ("mjj", "scan", "toys", "peak", "limits")
      for cut in ("0.9", "0.95")),
    "scores", "score-mjj", "mj1", "mj2", "loss", "reconstruction-pt", "roc", "roc-log",
    "significance-improvement", "precision-recall", "gain-over-controls", "efficiency",
    "calibration-p", "calibration-alarms", "reach-power", "reach-linearity",
}  # fmt: skip


def test_every_figure_is_files_and_in_the_page(drawn):
    page, folder, _ = drawn
    assert {path.name for path in folder.iterdir()} == {"report.html"} | {
        f"{name}{ending}" for name in EXPECTED for ending in (".png", ".pdf", ".json")
    }
    for name in EXPECTED:
        png = (folder / f"{name}.png").read_bytes()
        assert png.startswith(b"\x89PNG")
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert f"data:image/png;base64,{base64.b64encode(png).decode()}" in page
    assert page.count("<img ") == len(EXPECTED) + 1  # the main one stands in the summary too
    assert "normalised to all outliers" not in page  # the window's expectation is the line's


def test_numbers_in_the_page_are_those_of_the_files(drawn):
    held = dict(re.findall(
        r'<script type="application/json" id="numbers-([^"]+)">(.*?)</script>', drawn.page, re.S,
    ))  # fmt: skip
    assert set(held) == EXPECTED
    for name, text in held.items():
        assert not set(text) & set("<>&")
        assert json.loads(text) == json.loads((drawn.folder / f"{name}.json").read_bytes())


def test_drawing_leaves_matplotlib_as_it_was(content):
    before = dict(mpl.rcParams)
    with hep_style():
        mass_figure("tiny", content.best_cut, "$m_{jj}$")
    assert dict(mpl.rcParams) == before


def test_nothing_is_fetched_from_elsewhere(page):
    parsed = Parsed(page)
    for address in [*parsed.all("src"), *parsed.all("href")]:
        assert address.startswith(("data:", "#")), address
    libraries = [asset(name) for name in ("d3.min.js", "plot.min.js")]
    rest = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", page)
    for library in libraries:
        assert rest.count(library) == 1
        rest = rest.replace(library, "")
    for sign in ("http", "@import", "url(", "@font-face", "fetch(", "XMLHttpRequest"):
        assert sign not in rest


def test_libraries_bring_their_licences(page):
    assert page.count("Permission to use, copy, modify, and/or distribute this software") == 2
    assert "Mike Bostock" in page
    assert "Observable, Inc." in page


def test_a_page_without_charts_brings_no_libraries(content):
    page = render(content, ()).decode()
    assert "Observable" not in page
    assert len(page) < 60_000


def test_what_isnt_drawn_is_said_where_it_would_stand(content):
    none = {"p": None, "name": "mjj", "of": "event"}
    planes = {"undrawn": dict.fromkeys(("pca", "tsne"), "all are < 1")}
    diagnostics = Diagnostics(
        {"latent": {"spaces": {"latent": planes}},
         "examples": {"undrawn": {"input": "a map says <b>", "reconstruction": "likewise"}}},
        latent=pa.table({}), examples=pa.table({"sample": ["search"]}), displays=None,
        drift={"features": [none], "looked_at": 0, "differ": [], "level": 0.05, "draws": 9},
    )  # fmt: skip
    page = render(replace(content, diagnostics=diagnostics), ()).decode()
    parts = {name: page.partition(f'<h2 id="{name}-figures">')[2].partition("</section>")[0]
             for name in ("reconstruction", "latent", "drift")}  # fmt: skip
    assert "No example jets are drawn: a map says &lt;b&gt;." in parts["reconstruction"]
    said = "Not drawn of the latent: principal components, t-SNE (all are &lt; 1)."
    assert said in parts["latent"]
    assert "None of the 1 features and observables could be looked at" in parts["drift"]
    for name in parts:
        assert f'href="#{name}-figures"' in page
    assert 'id="drift-figures"' not in render(content, ()).decode()


def test_tags_are_balanced_ids_unique_and_links_lead_somewhere(page):
    parsed = Parsed(page)
    ids = parsed.all("id")
    assert len(ids) == len(set(ids))
    links = [link[1:] for link in parsed.all("href") if link.startswith("#")]
    assert links
    assert set(links) <= set(ids)
    assert set(parsed.all("aria-labelledby")) <= set(ids)


def test_every_figure_is_described(page):
    assert all(len(alt) > 20 for alt in Parsed(page).all("alt"))


def test_what_looks_like_html_is_escaped(page, content):
    assert "<b>" not in page
    assert "&lt;b&gt;bold&lt;/b&gt;.h5 (LHC Olympics layout)" in page
    result = {**content.result, "refused": ["cut 0.99: <script>alert(1)</script>"]}
    refused = render(Content(**{**vars(content), "result": result}), ()).decode()
    assert "<script>alert" not in refused
    assert "&lt;script&gt;" in refused


def test_counts_of_every_cut_of_both_samples(page):
    rows = re.findall(r"<tr><td>([^<]*)</td><td>([^<]*)</td><td>([^<]*)</td></tr>", page)
    plain = [tuple(cell.replace("\N{NARROW NO-BREAK SPACE}", "") for cell in row) for row in rows]
    assert ("Read", "4321", "2000") in plain
    assert ("Dropped: fewer than 2 jets", "21", "0") in plain
    assert ("Dropped: bad row", "0", "7") in plain
    assert ("Written", "4300", "1993") in plain


def test_job_training_and_versions_are_told(page):
    assert "Epoch 2 of 3 was the best" in page
    assert "validation loss of\n0.81." in page
    assert "signal_fraction = 0.05" in page
    assert re.search(r"Report: raybead [\d.]+, Python 3", page)


def test_evaluation_is_marked_as_no_part_of_the_hunt(page):
    parsed = Parsed(page)
    marked = [
        attrs["id"]
        for tag, attrs in parsed.tags
        if tag == "figure" and "truth" in (attrs["class"] or "")
    ]
    assert marked == ["scores", "roc", "roc-log", "significance-improvement", "precision-recall",
                      "gain-over-controls", "efficiency"]  # fmt: skip
    assert page.count("Evaluation with truth, no part in the hunt") >= len(marked) + 2


def test_rejections_are_told_as_values_and_as_bounds(page):
    rows = re.findall(r"<tr><td>([^<]*)</td>\n<td>([^<]*)</td>\n(.*?)</tr>", page, re.DOTALL)
    (mass,) = (rest for name, _, rest in rows if name == "jet mass" and "gain" not in rest
               and rest.count("<td>") == 5)  # fmt: skip
    cells = [
        cell.replace("\N{NO-BREAK SPACE}", " ") for cell in re.findall("<td>(.*?)</td>", mass)
    ]
    assert cells == ["≥ 253", "56 ± 14", "20.3 ± 5.1", "5.7 ± 1.4", "2.44 ± 0.61"]


def test_what_cuts_keep_is_told(page):
    assert "0.6 (0.54–0.66)" in page
    assert "× 1.90" in page


def test_without_cuts_there_are_no_efficiencies(content, make_result):
    evaluation = {**make_result()["evaluation"], "efficiency": None}
    result = {**content.result, "evaluation": evaluation}
    page = render(Content(**{**vars(content), "result": result}), ()).decode()
    Parsed(page)
    assert "Background rejection" in page
    assert "efficiency-table" not in page


def test_without_truth_there_is_no_evaluation(content):
    page = render(content, ()).decode()
    Parsed(page)
    assert "valuation" not in page
    assert "AUC" not in page


def test_refused_cuts_are_told_with_their_reason(job, make_run, make_result):
    reason = "cut 0.99: only 3.0 of the 300 events lie beyond it"
    result = make_result((0.9, 0.95), refused=[reason])
    page = render(Content.read(job, make_run(result)), ()).decode()
    assert f"<li>{reason}</li>" in page
    keys = [attrs["data-cut"] for _, attrs in Parsed(page).tags if "data-cut" in attrs]
    assert keys[:2] == ["0.9", "0.95"]
    assert "2 looks were taken, and each is counted" in page


def test_bounds_are_told_as_bounds(content):
    result = copy.deepcopy(dict(content.result))
    bounded = render(content, ()).decode()
    assert "≥ 2.3" in bounded
    assert "≤\N{NO-BREAK SPACE}0.005" in bounded
    result["conclusion"]["resolved"] = True
    result["cuts"][0]["global"]["beyond"] = 4
    resolved = render(Content(**{**vars(content), "result": result}), ()).decode()
    assert "≥ " not in resolved
    assert "≤" not in resolved


def test_a_calibration_and_the_reach_are_told_where_there_are_any(
    job, make_run, make_result, make_calibration, make_reach
):
    told, reach = make_calibration(), make_reach()
    run = make_run(make_result(), calibration=told, reach=reach)
    content = Content.read(job, run)
    with hep_style():
        plots = [*calibration_figures("tiny", told), *reach_figures("tiny", reach)]
    assert {plot.section for plot in plots} == {"calibration", "reach"}
    page = render(content, plots).decode()
    parsed = Parsed(page)
    assert {"calibration", "reach", "alarms-table", "reach-table"} <= set(parsed.all("id"))
    assert {"#calibration", "#reach"} <= set(parsed.all("href"))
    assert page.count("<img ") == len(plots) >= 3
    assert told["summary"]["words"].removesuffix(".") in page
    assert "hasn't been calibrated" not in html.unescape(page)
    tables = dict(re.findall(r'<table aria-labelledby="([a-z]+)-table">(.*?)</table>', page, re.S))
    cells = {
        name: [re.findall("<td>(.*?)</td>", row, re.S) for row in table.split("<tr>")[2:]]
        for name, table in tables.items()
    }
    alarms = told["summary"]["alarms"]
    assert [row[:2] for row in cells["alarms"]] == [
        [f"{alarm['level']:g}", str(alarm["alarms"])] for alarm in alarms
    ]
    assert [row[0] for row in cells["reach"]] == [f"{p['mass']:.0f}" for p in reach["points"]]
    assert [row[2].replace("\N{NO-BREAK SPACE}", "") for row in cells["reach"]] == [
        f"{100 * point['found']:g}%" for point in reach["points"]
    ]
    assert "an evaluation" not in page.split('id="reach"')[1].split("</section>")[0]


def test_without_a_calibration_the_page_says_so(content):
    page = html.unescape(render(content, ()).decode())
    assert "the hunt hasn't been calibrated" in page
    ids = set(Parsed(page).all("id"))
    assert not ids & {"calibration", "reach"}


def test_a_reach_by_true_signal_is_marked(content, make_reach):
    truth = {**make_reach(), "signal": "truth"}
    page = render(Content(**{**vars(content), "reach": truth}), ()).decode()
    section = page.split('id="reach"')[1].split("</section>")[0]
    assert "scores are those of true signal events: an evaluation" in section


def test_peaks_and_limits_are_told_but_not_where_none_could_be_fitted(content, make_result):
    cut = copy.deepcopy(make_result((0.9, 0.95), truth=False))
    cut["cuts"][1] |= {"peak": None, "limits": None}
    page = render(Content(**{**vars(content), "result": cut}), ()).decode()
    table = page.split('aria-labelledby="peaks-table"')[1].split("</table>")[0]
    (row,) = re.findall("<tr[^>]*>(.*?)</tr>", table.split("<tbody>")[1], re.S)
    cells = [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in re.findall("<td>(.*?)</td>", row)]
    assert "4.9 σ" in cells
    assert cells[-2:] == ["87", "37"]
    with hep_style():
        plots = _figures(Content(**{**vars(content), "result": cut}))
        names = [plot.name for plot in islice(plots, 9)]
    assert names == [
        "mjj-0.9", "scan-0.9", "toys-0.9", "peak-0.9", "limits-0.9", "mjj-0.95", "scan-0.95",
        "toys-0.95", "scores",
    ]  # fmt: skip
