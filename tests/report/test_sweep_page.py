"""The page of a sweep: whole, self-contained, escaped, and honest about truth."""

# ruff: noqa: RUF001  # signs of the page
from __future__ import annotations

import base64
import html
import math
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pytest
from parsed import Parsed
from sweep_records import job_of, quantity, trials

from raybead.config import Job
from raybead.errors import RunError
from raybead.report import board_rows, write_sweep_report
from raybead.report.figures.coordinates import _levels, _spread
from raybead.report.figures.sweep import draw_sweep
from raybead.report.figures.trials import Trials, fence, groups, in_order
from raybead.report.sweep_words import duration, importance_in_words, sentences
from raybead.report.tried import in_short, labels
from raybead.storage import Folder
from raybead.sweeping.leaderboard import leaderboard, summary
from raybead.sweeping.records import TrialRecord

EVIL = "<script>alert(1)</script> & $x_{"


def rate(values) -> float:
    return 0.7 - 0.1 * abs(math.log10(values["train.learning_rate"]) + 3)


def some(number):
    return "failed" if number == 4 else "stopped" if number in (2, 7) else "done"


def written(
    job: Job, records: list[TrialRecord], folder: Path
) -> tuple[str, pa.Table, dict[str, Any]]:
    assert job.sweep is not None
    board, told = leaderboard(records, job.sweep), summary(records, job.sweep)
    histories = {record.trial: record.history for record in records}
    write_sweep_report(job, board, told, histories, Folder.at(str(folder)))
    return (folder / "leaderboard.html").read_text(encoding="utf-8"), board, told


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[str, pa.Table, dict[str, Any], Path]:
    """A page of 14 trials, one failed and two stopped, of which truth is known."""
    folder = tmp_path_factory.mktemp("sweep")
    job = job_of('also = ["stability"]\nevaluation = true')
    before = dict(mpl.rcParams)
    records = trials(job, 14, rate, noise=0.01, status=some, reason=f"row 3: {EVIL}")
    page, board, told = written(job, records, folder)
    assert dict(mpl.rcParams) == before
    return page, board, told, folder


def body(page: str) -> list[list[str]]:
    """Cells of the table of trials."""
    table = page.split('aria-labelledby="trials-table"')[1].split("</table>")[0]
    return [
        [html.unescape(cell).replace("\N{NO-BREAK SPACE}", " ")
         for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
        for row in table.split("<tbody>")[1].split("</tr>")[:-1]
    ]  # fmt: skip


def test_every_figure_is_a_png_and_a_pdf_and_in_the_page(made):
    page, _, _, folder = made
    names = {
        "sweep-coordinates", "sweep-board", "sweep-importance", "sweep-history",
        "sweep-stability", "sweep-auc",
    }  # fmt: skip
    assert {path.name for path in folder.iterdir()} == {"leaderboard.html"} | {
        f"{name}{ending}" for name in names for ending in (".png", ".pdf")
    }
    for name in names:
        png = (folder / f"{name}.png").read_bytes()
        assert png.startswith(b"\x89PNG")
        assert f"data:image/png;base64,{base64.b64encode(png).decode()}" in page
    assert all(len(alt) > 20 for alt in Parsed(page).all("alt"))


def test_tags_are_balanced_and_nothing_is_fetched_from_elsewhere(made):
    page = made[0]
    parsed = Parsed(page)
    ids = parsed.all("id")
    assert len(ids) == len(set(ids))
    links = {link[1:] for link in parsed.all("href") if link.startswith("#")}
    assert {"trials", "failures", "figures", "numbers", "job"} == links
    assert links | set(parsed.all("aria-labelledby")) <= set(ids)
    for address in [*parsed.all("src"), *parsed.all("href")]:
        assert address.startswith(("data:", "#")), address
    rest = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", page)
    for sign in ("http", "@import", "url(", "@font-face", "fetch(", "import("):
        assert sign not in rest


def test_all_that_trials_say_is_escaped(made):
    page = made[0]
    assert page.count("<script>") == 1  # the one that sorts
    assert "<script>alert" not in page
    assert html.escape(f"row 3: {EVIL}", quote=False) in page


def test_the_table_holds_every_trial_in_its_order(made):
    page, board, _, _ = made
    rows = body(page)
    told = board.to_pylist()
    assert [row[1] for row in rows] == [f"{row['number']} ({row['trial']})" for row in told]
    assert [row[2] for row in rows] == [row["status"] for row in told]
    assert [row[0] for row in rows][:3] == ["1", "2", "3"]
    assert rows[-1][0] == rows[-1][3] == "–"
    value, error = rows[0][3].split(" ± ")
    assert float(value) == pytest.approx(told[0]["objective"], abs=6e-4)
    assert float(error) == pytest.approx(told[0]["objective_error"], rel=0.06)
    headers = re.findall(r'<th scope="col">([^<]*)</th>', page)[: len(rows[0])]
    assert "model.latent" in headers
    # A lone objective is said once.
    assert "corruption" not in headers
    assert headers[3] == "Objective (corruption)"
    latent = [row[headers.index("model.latent")] for row in rows]
    assert latent == [
        "not set" if row["value:model.latent"] is None else str(row["value:model.latent"])
        for row in told
    ]


def test_cells_carry_what_they_are_sorted_by(made):
    page, board, _, _ = made
    table = page.split('aria-labelledby="trials-table"')[1].split("</table>")[0]
    rows = [re.findall(r'data-by="([^"]*)"', row) for row in table.split("</tr>")[1:-1]]
    found = [row[3] for row in rows]
    assert [float(one) if one else None for one in found] == board["objective"].to_pylist()


def test_the_best_and_its_equals_are_marked_and_said(made):
    page, board, told, _ = made
    table = page.split('aria-labelledby="trials-table"')[1].split("</table>")[0]
    classes = re.findall(r'<tr(?: class="(\w+)")?><td', table)
    ranks = board["rank"].to_pylist()
    trials_, level = board["trial"].to_pylist(), set(told["level"])
    wanted = ["best" if r == 1 else "level" if t in level else ""
              for r, t in zip(ranks, trials_, strict=True)]  # fmt: skip
    assert classes == wanted
    assert "level" in wanted
    number = told["best"]["number"]
    text = html.unescape(page)
    assert f"Best: trial {number}" in text
    assert "Of 14 trials 11 finished, 2 were stopped early, 1 failed." in text
    assert "chosen by corruption" in text


def test_truth_that_was_only_looked_at_is_told_as_evaluation(made):
    page = made[0]
    assert "Truth was used to choose" not in page
    assert "no part in the choice" in page
    truth = re.findall(r'<figure class="[^"]*truth[^"]*" id="([^"]+)"', page)
    assert truth == ["sweep-auc"]


def test_a_choice_by_truth_is_warned_of_on_top(tmp_path):
    job = job_of("objective = { auc = 1.0, corruption = 0.5 }\nevaluation = true")
    page, _, _ = written(job, trials(job, 4, rate), tmp_path)
    text = html.unescape(page)
    warning = text.index("Truth was used to choose")
    assert text.index("Best: trial") < warning < text.index("Of 4 trials")
    assert "isn't blind" in text
    assert "no part in the choice" not in text
    figures = re.findall(r'<figure class="([^"]*)"', page)
    assert len(figures) > 2
    assert all("truth" in figure for figure in figures)


def test_without_truth_the_page_says_so(tmp_path):
    job = job_of()
    page, _, _ = written(job, [r.model_copy(update={"quantities": {}}) for r in
                               trials(job, 3, rate)], tmp_path)  # fmt: skip
    text = html.unescape(page)
    assert "Truth wasn't looked at." in text
    assert "valuation with truth" not in text
    assert "of 3 finished trials it can't be told" in text


def test_a_sweep_whose_trials_all_failed_is_told(tmp_path):
    job = job_of()
    page, board, _ = written(job, trials(job, 3, rate, status=lambda _: "failed"), tmp_path)
    Parsed(page)
    assert "No trial came to an objective" in page
    assert page.count("<li>") == 3
    assert "<img" not in page
    assert [row[0][0] for row in board_rows(board)[1]] == ["-"] * 3


def test_values_of_any_text_are_drawn_and_escaped(tmp_path):
    job = job_of()
    records = trials(job, 3, rate)
    odd = [EVIL, "a" * 90, "a" * 90 + "b"]
    records = [
        record.model_copy(update={"values": {**record.values, "model.preset": text}})
        for record, text in zip(records, odd, strict=True)
    ]
    page, _, _ = written(job, records, tmp_path)
    assert "<script>alert" not in page
    assert html.escape(EVIL, quote=False) in page


def test_a_job_without_a_sweep_has_no_page(job, tmp_path):
    with pytest.raises(RunError, match="no \\[sweep\\]"):
        write_sweep_report(job, pa.table({}), {}, {}, Folder.at(str(tmp_path)))


def test_figures_of_many_keys_and_trials_with_one_far_out():
    job = job_of()
    assert job.sweep is not None
    records = trials(job, 20, rate)
    for number, record in enumerate(records):
        far = quantity(-1e6, np.zeros(40)) if number == 5 else record.objective
        more = {f"train.key{key}": float(number * key) for key in range(9)}
        records[number] = record.model_copy(
            update={"values": {**record.values, **more}, "objective": far}
        )
    board, told = leaderboard(records, job.sweep), summary(records, job.sweep)
    plots = {plot.name: plot for plot in draw_sweep("x", board, told, job.sweep, {})}
    assert "sweep-history" not in plots
    assert "1 far from the others lies beyond the axis." in plots["sweep-board"].caption
    assert "train.key8" in plots["sweep-coordinates"].alt


# Numbers of the figures.


def test_far_values_are_left_out_of_an_axis_and_near_ones_are_not():
    near = np.linspace(0, 1, 20)
    assert fence(near) == (0, 1)
    assert fence(np.append(near, [-50.0, np.nan])) == (0, 1)
    assert fence(np.array([0.0, 1.0, 100.0])) == (0, 100)


def test_heights_are_linear_or_logarithmic():
    height, ticks = _spread(np.array([1e-4, 1e-3, 1e-2, np.nan]), log=True)
    assert height[:3] == pytest.approx([0, 0.5, 1])
    assert np.isnan(height[3])
    assert (pytest.approx(0.5), "0.001") in ticks
    height, ticks = _spread(np.array([2.0, 3.0, 6.0]), log=False)
    assert height == pytest.approx([0, 0.25, 1])
    assert all((float(text) - 2) / 4 == pytest.approx(place) for place, text in ticks)


def test_lines_within_a_value_lie_by_rank_and_stay_with_it():
    scale = _levels("t", ["b", "a", "b", None, "b"], ["a", "b", None])
    assert [text for _, text in scale.ticks] == ["a", "b", "not set"]
    assert scale.height[0] > scale.height[2] > scale.height[4]
    middles = np.array([place for place, _ in scale.ticks])
    nearest = np.abs(scale.height[:, None] - middles).argmin(axis=1)
    assert nearest.tolist() == [1, 0, 1, 2, 1]


def test_colours_go_by_the_key_of_words_that_matters_most():
    job = job_of()
    assert job.sweep is not None
    board = leaderboard(trials(job, 12, rate), job.sweep)
    shown = Trials.of("x", board, job.sweep)
    by_model = groups(shown, {"importance": {"keys": None}})
    assert by_model is not None
    assert by_model.key == "model.preset"
    assert [by_model.names[place] for place in by_model.place] == [
        row["value:model.preset"] for row in board.to_pylist()
    ]
    keys = {"train.learning_rate": {}, "loss": {}, "model.preset": {}}
    by_loss = groups(shown, {"importance": {"keys": keys}})
    assert by_loss is not None
    assert by_loss.key == "loss"
    assert by_loss.names == ["mse", "mse + kl (weight 0.01)"]
    presets = board["value:model.preset"].to_pylist()
    choice = job.sweep.over["model.preset"].choice
    assert choice is not None
    listed = [one for one in choice if one in presets]
    assert in_order(shown, "model.preset", presets) == listed


# Words.


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "not set"),
        (True, "true"),
        (3, "3"),
        (0.00033821, "0.0003382"),
        (1e-5, "1e-5"),
        ("jet-dense", "jet-dense"),
        ('[{"kind": "mse"}, {"kind": "kl", "weight": 0.1}]', "mse + kl (weight 0.1)"),
        ("[[32, 16], [8]]", "[[32, 16], [8]]"),
        ('{"weight": 2}', "weight 2"),
        ("[no json", "[no json"),
    ],
)
def test_values_in_short(value, said):
    assert in_short(value) == said


def test_labels_that_are_cut_alike_are_told_apart():
    found = labels(["x" * 30 + "a", "x" * 30 + "b", "y"], 12)
    assert len(set(found)) == 3
    assert max(map(len, found)) <= 12


def test_times_are_told_in_the_unit_that_fits():
    assert [duration(s).replace("\N{NO-BREAK SPACE}", " ") for s in (5, 600, 9000)] == [
        "5.0 seconds", "10.0 minutes", "2.5 hours",
    ]  # fmt: skip


def test_stopped_trials_that_were_ahead_and_those_without_errors_are_told():
    job = job_of()
    assert job.sweep is not None
    records = trials(job, 5, lambda _: 0.0, noise=1.0)
    records.sort(key=lambda r: -(r.objective.value if r.objective else 0))
    records[0] = records[0].model_copy(update={"status": "stopped"})
    rows = leaderboard(records, job.sweep).to_pylist()
    said = " ".join(sentences(rows, summary(records, job.sweep), job.sweep))
    assert f"When stopped, trial {records[0].number} was ahead of it" in said
    assert "1 other is level with it" in said
    bare = [r.model_copy(update={"objective": r.objective.model_copy(update={"replicas": ()})})
            for r in records if r.objective]  # fmt: skip
    rows = leaderboard(bare, job.sweep).to_pylist()
    said = " ".join(sentences(rows, summary(bare, job.sweep), job.sweep))
    assert "it can't be told which are as good" in said


def test_importance_that_predicts_nothing_is_told_as_nothing():
    found = {"trials": 9, "keys": {"loss": {"mean": 0.1, "spread": 0.2}}, "reason": None,
             "predicted": -0.1, "constant": ["model.latent"]}  # fmt: skip
    nothing = " ".join(importance_in_words(found))
    assert "mean nothing yet" in nothing
    assert "Of one value only: model.latent." in nothing
    something = " ".join(importance_in_words({**found, "predicted": 0.6}))
    assert "matters most is loss: 10 ± 20" in something


def test_the_console_shows_ten_trials_in_ascii(made):
    _, board, _, _ = made
    headers, rows = board_rows(board)
    assert len(rows) == 10
    assert all(len(row) == len(headers) for row in rows)
    assert all(cell.isascii() or "…" in cell for row in rows for cell in row)
    assert rows[0][0] == f"1. {board['trial'][0].as_py()}"
    assert "+-" in rows[0][headers.index("objective")]
    assert headers[-1] == "epochs"
    assert rows[0][-1] == "20/20"
    assert any(row[3].endswith("level") for row in rows[1:]) == any(
        r["behind_best"] <= 2 * r["behind_best_error"] for r in board.to_pylist()[1:10]
    )
