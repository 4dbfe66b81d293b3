"""raybead compare: several runs on one page, with what they have in common in its errors."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from parsed import Parsed
from sklearn.metrics import roc_auc_score

from raybead.cli import main
from raybead.config import dump_job, parse_job
from raybead.errors import StorageError
from raybead.events import table_bytes
from raybead.graphs import Scaling
from raybead.models import Bundle, Recipe
from raybead.storage import MANIFEST, Folder

JOB = """
name = "tiny"
[data.background]
source = "lhco"
path = "data/background.h5"
[data.search]
source = "pythia"
events = 2000
signal_fraction = 0.05
"""
EVIL = "<script>alert(1)</script> & $x_{"


@pytest.fixture(scope="module")
def finished(make_run, make_result):
    """Write a run of some name, with a job, a model and scores of its own."""

    def make(name="tiny", *says, quantiles=(0.9,), truth=True, worse=0.0, without=(), p=None):
        result = make_result(quantiles, truth=truth)
        for cut in result["cuts"]:
            cut["run"] = name
        if p is not None:
            result["conclusion"] |= {"p": p, "resolved": True}
        run = make_run(result, truth=truth)
        job = parse_job(JOB, [f"name='{name}'", *says])
        run.write("job.toml", dump_job(job).encode())
        recipe = Recipe(graph=job.graph, model=job.model, loss=job.loss)
        scaling = Scaling.fit(job.graph, torch.randn(50, 3))
        Bundle(recipe, scaling, recipe.build().state_dict(), {}).save(run / "model")
        if worse:
            table = pq.read_table(io.BytesIO((run / "scores").read("search.parquet")))
            score = table.column("score").to_numpy()
            score = score + worse * np.random.default_rng(1).normal(size=len(score))
            at = table.column_names.index("score")
            table = table.set_column(at, "score", [score])
            (run / "scores").write("search.parquet", table_bytes(table))
        for stage in without:
            (run / stage).delete()
        return run

    return make


@pytest.fixture(scope="module")
def runs(finished):
    """Two of the same events, one of them worse; one without truth; one that is trained only."""
    return {
        "good": finished("good", quantiles=(0.9, 0.95), p=0.01),
        "worse": finished("worse", "seed=3", "train.epochs=7", worse=1.5, p=0.02),
        "blind": finished("blind", "loss.kind=l1", truth=False, p=0.04),
        "begun": finished("begun", without=("scores", "hunt")),
    }


@pytest.fixture(scope="module")
def compared(runs, tmp_path_factory):
    """The folder of their comparison."""
    folder = tmp_path_factory.mktemp("compare") / "out"
    compare(*runs.values(), "--to", folder)
    return folder


def compare(*words):
    """Do it; it ends well."""
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, words)])
    assert ended.value.code == 0


def told(capsys, *words):
    """The exit status, what was said, and the last words."""
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, words)])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def numbers(folder: Path):
    return json.loads((folder / "comparison.json").read_text())


def row(folder: Path, name):
    (found,) = (r for r in numbers(folder)["table"] if r["quantity"] == name)
    return found["of"]


def test_the_page_is_whole_and_fetches_nothing(compared):
    page = (compared / "compare.html").read_text(encoding="utf-8")
    parsed = Parsed(page)
    images = [attrs for tag, attrs in parsed.tags if tag == "img"]
    assert len(images) == len(numbers(compared)["figures"])
    assert all(attrs["alt"] for attrs in images)
    for address in (*parsed.all("src"), *parsed.all("href")):
        assert address.startswith(("data:", "#"))
    ids = parsed.all("id")
    assert len(ids) == len(set(ids))
    for name in numbers(compared)["figures"]:
        assert name in ids
        for ending in ("png", "pdf", "json"):
            assert (compared / f"{name}.{ending}").stat().st_size > 100


def test_every_figure_that_can_be_drawn_is_there(compared):
    assert set(numbers(compared)["figures"]) == {
        "compare-p", "compare-mjj-best", "compare-limits-best", "compare-limits-before-cut",
        "compare-roc", "compare-roc-log", "compare-sic", "compare-scores", "compare-scores-truth",
        "compare-loss",
    }  # fmt: skip


def test_numbers_are_those_of_the_runs(compared):
    assert row(compared, "AUC")["good"] == "0.909 +- 0.010"
    assert row(compared, "AUC")["blind"] == "-"
    assert row(compared, "Global p-value") == {
        "good": "0.01", "worse": "0.02", "blind": "0.04", "begun": "-",
    }  # fmt: skip
    assert row(compared, "Best cut")["good"] == "90 % quantile"
    assert row(compared, "Limit, observed")["good"] == "87 events"
    # 3 epochs, of which the second is best: 1.1 / 2.
    assert row(compared, "Validation loss") == {
        "good": "0.55 (a)", "worse": "0.55 (b)", "blind": "0.55 (c)", "begun": "0.55 (a)",
    }  # fmt: skip
    assert row(compared, "Loss")["blind"] == "l1"


def test_only_keys_that_differ_are_told(compared):
    assert numbers(compared)["job"] == {
        "seed": {"good": "0", "worse": "3", "blind": "0", "begun": "0"},
        "loss[0].kind": {"good": "mse", "worse": "mse", "blind": "l1", "begun": "mse"},
        "train.epochs": {"good": "50", "worse": "7", "blind": "50", "begun": "50"},
    }


def test_parameters_are_those_of_the_model(compared, runs):
    model = Bundle.load(runs["good"] / "model").model()
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert row(compared, "Parameters")["good"] == str(count)


def test_differences_are_paired_on_the_same_events(compared, runs):
    (found,) = numbers(compared)["differences"]  # of the two runs of which truth is known
    assert (found["one"], found["other"], found["paired"]) == ("good", "worse", True)
    tables = [
        pq.read_table(io.BytesIO((runs[name] / "scores").read("search.parquet")))
        for name in ("good", "worse")
    ]
    area = [roc_auc_score(t.column("truth").to_numpy(), t.column("score").to_numpy())
            for t in tables]  # fmt: skip
    assert found["auc"][0] == pytest.approx(area[0] - area[1], rel=1e-9)
    assert 0 < found["auc"][1] < found["auc"][0] / 3
    assert found["why"] == "paired: the same events, by numbers and masses"


def test_what_isnt_there_is_said_by_figure(compared):
    page = (compared / "compare.html").read_text(encoding="utf-8")
    captions = {
        name: text
        for text, name in re.findall(r"<figcaption>(.*?)<code>([\w.-]+)</code>", page, re.S)
    }
    no_truth = "blind (truth of its search sample isn&#39;t known)"
    for name in (
        "compare-roc",
        "compare-sic",
        "compare-scores-truth",
        "compare-limits-before-cut",
    ):
        assert no_truth in captions[name], name
        assert "Evaluation with truth" in captions[name]
    assert "begun (hunt: not done yet)" in captions["compare-p"]
    assert "begun (scores: not done yet)" in captions["compare-scores"]
    assert "Not shown" not in captions["compare-loss"]
    assert "Evaluation with truth" not in captions["compare-p"]
    assert "begun: scores not done yet, hunt not done yet; there is model." in page


def test_looking_at_several_runs_is_corrected_for(compared):
    looks = numbers(compared)["looks"]
    assert (looks["runs"], looks["of"], looks["smallest"]) == (3, "good", 0.01)
    assert looks["bonferroni"] == pytest.approx(0.03)
    assert looks["sidak"] == pytest.approx(1 - 0.99**3)
    page = (compared / "compare.html").read_text(encoding="utf-8")
    assert "is looking 3 times" in page
    assert "[hunt] runs = [...]" in page


def test_files_of_figures_hold_what_is_drawn(compared, runs):
    result = (runs["good"] / "hunt").read_json("result.json")
    marks = json.loads((compared / "compare-roc.json").read_text())["panels"][0]["marks"]
    (good,) = (mark for mark in marks if mark["name"] == "good")
    np.testing.assert_allclose(
        good["columns"]["y"], result["evaluation"]["scores"]["score"]["roc"]["tpr"], rtol=1e-6
    )
    before, after = (
        json.loads((compared / f"compare-limits-{key}.json").read_text())["panels"][0]["marks"]
        for key in ("best", "before-cut")
    )
    lines = [next(m for m in marks if m["name"] == "good, observed") for marks in (before, after)]
    # The cut keeps 60 % of the signal in the mass window.
    ratio = np.divide(*(line["columns"]["y"] for line in lines))
    np.testing.assert_allclose(ratio, 0.6, rtol=1e-6)
    panels = json.loads((compared / "compare-mjj-best.json").read_text())["panels"]
    (points,) = (m for m in panels[0]["marks"] if m["name"] == "good, outliers")
    edges = np.array(result["cuts"][0]["histogram"]["edges"])
    heights = np.array(result["cuts"][0]["histogram"]["outliers"]) * 100 / np.diff(edges)
    np.testing.assert_allclose(points["columns"]["y"], heights, rtol=1e-6)
    assert len(json.loads((compared / "compare-loss.json").read_text())["panels"]) == 3


def test_p_values_that_are_bounds_are_marks_of_their_own(finished, tmp_path):
    out, runs = tmp_path / "out", []
    for name in ("known", "bounded"):
        run = finished(name, without=())
        result = (run / "hunt").read_json("result.json")
        result["cuts"][0]["global"]["beyond"] = 0 if name == "bounded" else 5
        (run / "hunt").write_json("result.json", result)
        runs.append(run)
    compare(*runs, "--to", out)
    marks = json.loads((out / "compare-p.json").read_text())["panels"][0]["marks"]
    told = {m["name"]: m.get("bound", False) for m in marks if m["kind"] == "points"}
    assert told == {"known": False, "bounded": True}


def test_names_tell_runs_apart(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("raybead.report.figures.compare.draw_comparison", lambda _: [])
    one, other = finished(), finished(truth=False)
    out = tmp_path / "out"
    compare(one, other, "--to", out)
    ends = ["/".join(run.uri.split("/")[-2:]) for run in (one, other)]
    assert [run["name"] for run in numbers(out)["runs"]] == ends
    assert numbers(out)["job"] == {}
    # A comparison may take an older one's place, whole.
    (out / "old").write_text("")
    compare(one, other, "--to", out, "--names", "a", "b")
    assert not (out / "old").exists()
    assert [run["name"] for run in numbers(out)["runs"]] == ["a", "b"]


def test_anyones_name_is_drawn_and_escaped(finished, tmp_path):
    one, other = finished(quantiles=(0.9, 0.95)), finished(truth=False, quantiles=(0.9, 0.95))
    out = tmp_path / "out"
    compare(one, other, "--to", out, "--names", EVIL, "b")
    page = (out / "compare.html").read_text(encoding="utf-8")
    Parsed(page)
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)" in page
    assert numbers(out)["runs"][0]["name"] == EVIL
    assert "compare-limits-0.95" in numbers(out)["figures"]
    assert "compare-limits-0.9" not in numbers(out)["figures"]  # is each run's best cut


def test_a_run_may_lie_at_a_uri_and_not_be_hunted_in_yet(finished, tmp_path, capsys):
    there = Folder("memory://runs/far")
    here = finished("here", without=("hunt",))
    finished("far", worse=1.0, without=("hunt",)).copy_to(there)
    compare(here, there, "--to", tmp_path / "out")
    held = numbers(tmp_path / "out")
    assert held["looks"] is None
    assert held["differences"][0]["paired"]
    table = pq.read_table(io.BytesIO((here / "scores").read("search.parquet")))
    area = roc_auc_score(table.column("truth").to_numpy(), table.column("score").to_numpy())
    assert row(tmp_path / "out", "AUC")["here"].startswith(f"{area:.3f}"[:5])
    assert "compare-roc" in held["figures"]
    assert not any("limits" in name or "-p" in name for name in held["figures"])
    assert "hunt not done yet" in capsys.readouterr().out


def spoilt(run: Folder, tmp_path, name, content):
    copy = tmp_path / "spoilt"
    shutil.copytree(run.uri, copy)
    (copy / name).write_bytes(content)
    return copy


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("job.toml", b"name = ", r"job\.toml"),
        ("job.toml", b"\xff\xfe", r"job\.toml: not UTF-8"),
        ("hunt/result.json", b"{", r"hunt/result\.json: not JSON"),
        ("hunt/result.json", b"{}", r"hunt/result\.json: not what its stage writes: observable"),
        ("hunt/result.json", b"\xff", r"hunt/result\.json: not JSON: not UTF-8"),
        ("model/metrics.json", b'{"history": []}', r"metrics\.json: .*history"),
        ("scores/search.parquet", b"PAR1", r"search\.parquet: not a whole Parquet file"),
        ("model/bundle.json", b"{}", r"model: not a whole model bundle"),
        ("model/weights.safetensors", b"x", r"model: not a whole model bundle"),
        (f"model/{MANIFEST}", b"[]", r"_manifest\.json: not what its stage writes"),
    ],
)
def test_broken_files_are_told_in_one_line(runs, tmp_path, capsys, name, content, words):
    copy = spoilt(runs["good"], tmp_path, name, content)
    code, _, error = told(capsys, runs["blind"], copy, "--to", tmp_path / "out")
    assert code in (1, 2)
    assert error.count("\n") == 1
    assert re.search(words, error)
    assert str(copy) in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spoilt"]


def test_what_cant_be_compared_is_told(runs, tmp_path, capsys):
    good = runs["good"]
    out = ("--to", tmp_path / "out")
    assert told(capsys, *out)[::2] == (
        2, "raybead: compare: no runs have nothing to be compared with; give two or more\n"
    )  # fmt: skip
    assert "one run has nothing" in told(capsys, good, *out)[2]
    assert "is given twice" in told(capsys, good, f"{good}/", *out)[2]
    code, _, error = told(capsys, good, tmp_path / "nowhere", *out)
    assert (code, error) == (1, f"raybead: {tmp_path}/nowhere: no run in it\n")
    assert "1 for 2 runs" in told(capsys, good, runs["blind"], *out, "--names", "a")[2]
    assert "are the same" in told(capsys, good, runs["blind"], *out, "--names", "a", "a")[2]
    assert list(tmp_path.iterdir()) == []


def test_runs_of_which_nothing_is_done_arent_compared(finished, tmp_path, capsys):
    two = [finished(name, without=("model", "scores", "hunt")) for name in "ab"]
    code, _, error = told(capsys, *two, "--to", tmp_path / "out")
    assert code == 1
    assert "nothing to compare" in error


def test_what_isnt_a_comparison_stays(runs, tmp_path, capsys):
    two = runs["good"], runs["blind"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "comparison.json").write_text('{"kind": "of apples"}')
    (tmp_path / "file").write_text("text")
    for target in (tmp_path / "mine", tmp_path / "file", Path(runs["worse"].uri)):
        code, _, error = told(capsys, *two, "--to", target)
        assert code == 2
        assert f"--to {target}: holds something that isn't a comparison" in error
    assert (tmp_path / "mine" / "comparison.json").read_text() == '{"kind": "of apples"}'
    assert (tmp_path / "file").read_text() == "text"


def test_a_comparison_that_fails_leaves_nothing(runs, tmp_path, capsys, monkeypatch):
    def full(_, name, content):
        if name.endswith(".html"):
            raise StorageError("no space left on the device")
        write(_, name, content)

    write = Folder.write
    monkeypatch.setattr(Folder, "write", full)
    monkeypatch.setattr("raybead.report.figures.compare.draw_comparison", lambda _: [])
    code, _, error = told(capsys, runs["good"], runs["blind"], "--to", tmp_path / "out")
    assert (code, error) == (1, "raybead: no space left on the device\n")
    assert list(tmp_path.iterdir()) == []


def test_the_console_shows_the_table(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("raybead.report.figures.compare.draw_comparison", lambda _: [])
    compare(runs["good"], runs["worse"], "--to", tmp_path / "out")
    said = capsys.readouterr().out
    for words in ("Global p-value", "AUC *", "0.909 +- 0.010", "What differs", "good - worse",
                  "paired", "is looking 2 times", f"{tmp_path}/out/compare.html"):  # fmt: skip
        assert words in said, words
    legend = "Validation losses can be compared where the letter is the same: same loss,"
    assert re.search(r"│ Validation loss .* \(a\) .* \(b\) ", said)
    assert "┘\nLimits are on a peak at the best fit's mass" in said
    assert said.count(legend) == 1
    page = (tmp_path / "out/compare.html").read_text()
    assert legend in page
