"""What is looked at of a model: draws, latents in the plane, examples, displays."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import torch
from pydantic import TypeAdapter
from sklearn.decomposition import PCA
from training_jobs import GRAPH, MODEL

from raybead.config import Diagnostics, Graph, KlLoss, Model, MseLoss, parse_job
from raybead.diagnostics import extras
from raybead.diagnostics.displays import displays_table, most_anomalous, scores_of
from raybead.diagnostics.drawn import MOST_FILES, _shares, random_rows, rows_of
from raybead.diagnostics.examples import Chosen, at_quantiles, examples_table
from raybead.diagnostics.extras import refuse_missing_extras
from raybead.diagnostics.latent import latent_table
from raybead.diagnostics.passed import Passed, Passing
from raybead.diagnostics.plane import planes, principal_components
from raybead.errors import JobError
from raybead.events import EVENT_SCHEMA, table_bytes
from raybead.graphs import JetBatch, Scaling, collate
from raybead.models import Bundle, Output, Recipe
from raybead.scoring import EVENT_COLUMNS, JetScorer
from raybead.storage import Folder

MSE = MseLoss(kind="mse")
NODES = {"kind": "node-bottleneck", "encoder": [[8]], "latent": 2, "posterior": "gaussian"}
FLOW = {"kind": "jet-bottleneck", "encoder": [[8]], "head": [8], "decoder": [16], "decode": 10,
        "latent": 3, "posterior": "gaussian", "flow": {"kind": "planar"}}  # fmt: skip


def passing_of(rows, graph=GRAPH, model=MODEL, losses=(MSE,)) -> Passing:
    """An untrained model, its scaling fitted on the rows."""
    model = TypeAdapter(Model).validate_python(model)
    recipe = Recipe(graph=graph, model=model, loss=losses)
    torch.manual_seed(3)
    scaling = Scaling.fit(graph, collate(rows, graph).x_TF)
    return Passing(Bundle(recipe, scaling, recipe.build().state_dict(), {}))


def scored(rows: pa.Table) -> pa.Table:
    return rows.append_column("score", pa.array(np.linspace(-1, 3, len(rows))))


def folder_of(path, rows: pa.Table, sizes) -> Folder:
    folder, first = Folder.at(str(path)), 0
    for size in sizes:
        name = f"rows-{first:010d}-{first + size:010d}.parquet"
        folder.write(name, table_bytes(rows.slice(first, size)))
        first += size
    return folder


def looked(rows, passing, seed=1, **config):
    tables = {"background": scored(rows.slice(0, 40)), "search": scored(rows.slice(40))}
    return latent_table(passing, tables, Diagnostics(**config), seed)


@pytest.mark.parametrize("sizes", [(60,), (20, 0, 15, 25)])
def test_rows_are_drawn_at_random_and_alike_for_a_seed(event_rows, tmp_path, sizes):
    n = len(event_rows)
    sizes = (*sizes[:-1], n - sum(sizes[:-1]))
    folder = folder_of(tmp_path, event_rows, sizes)
    draws = [random_rows(folder, 20, (7, seed), EVENT_COLUMNS) for seed in (0, 0, 1)]
    first, again, other = ([*d.table["event"].to_pylist()] for d in draws)
    assert first == again != other
    assert len(set(first)) == 20
    assert draws[0].table.equals(event_rows.select(EVENT_COLUMNS).filter(
        pa.array(np.isin(event_rows["event"].to_numpy(), first))
    ))  # fmt: skip
    few = random_rows(folder, 500, (7,), EVENT_COLUMNS, among=np.arange(10, 15))
    assert few.table["event"].to_pylist() == [10, 11, 12, 13, 14]
    assert few.events == 5


@pytest.mark.parametrize("sizes", [[10, 300, 90], [2, 14] * 25])
def test_each_event_is_as_likely_as_any_other(sizes):
    sizes, drawn = np.array(sizes), np.zeros(len(sizes))
    draws = 4000
    for seed in range(draws):
        share = _shares(sizes, 64, np.random.default_rng(seed))
        assert np.count_nonzero(share) <= MOST_FILES
        assert (share <= sizes).all()
        drawn += share
    np.testing.assert_allclose(drawn / draws / sizes, 64 / sizes.sum(), rtol=0.15)


def test_rows_of_numbers_come_in_their_order(event_rows, tmp_path):
    folder = folder_of(tmp_path, event_rows, (20, 20, len(event_rows) - 40))
    wanted = event_rows["event"].to_numpy()[[45, 3, 22, 21]]
    found = rows_of(folder, np.array([*wanted, 99_999]), ["event", "mjj"])
    assert found["event"].to_pylist() == wanted.tolist()
    assert len(rows_of(folder, np.array([99_999]), ["event"])) == 0


def test_principal_components_are_scikit_learns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6))
    ours, shares = principal_components(x)
    pca = PCA(svd_solver="full").fit(x)
    np.testing.assert_allclose(shares, pca.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(ours), np.abs(pca.transform(x)), atol=1e-10)
    np.testing.assert_allclose(ours, principal_components(x[::-1])[0][::-1], atol=1e-10)


@pytest.mark.parametrize("width", [2, 5, 60])
def test_planes_are_the_same_for_a_seed_and_keep_neighbours(width):
    rng = np.random.default_rng(2)
    group = np.repeat([0, 1], 40)
    x = rng.normal(size=(80, width)) + 12 * group[:, None]
    x[7] = np.nan
    first, again = (planes(x, ("pca", "tsne"), 4) for _ in range(2))
    for kind in ("pca", "tsne"):
        np.testing.assert_array_equal(first.coordinates[kind], again.coordinates[kind])
        assert np.isnan(first.coordinates[kind][7]).all()
        at = np.delete(first.coordinates[kind], 7, axis=0)
        apart = np.linalg.norm(at[:, None] - at[None], axis=2) + np.diag(np.full(79, np.inf))
        assert (np.delete(group, 7)[apart.argmin(axis=1)] == np.delete(group, 7)).all()
    assert ("plane" in first.coordinates) == (width == 2)
    assert not first.undrawn


def test_umap_gives_the_same_for_a_seed():
    pytest.importorskip("umap", exc_type=ImportError)
    x = np.random.default_rng(2).normal(size=(40, 4))
    first, again = (planes(x, ("umap",), 4).coordinates["umap"] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all()


@pytest.mark.parametrize(
    ("latents", "says", "drawn"),
    [
        (np.ones((30, 3)), "all latents are the same", set()),
        (np.ones((30, 2)), "all latents are the same", set()),
        (np.arange(30.0)[:, None], "a latent of one dimension spans no plane", {"line"}),
        (np.eye(3), "3 items with finite latents", set()),
        (np.full((30, 4), np.inf), "0 items with finite latents", set()),
        (np.empty((0, 4)), "0 items with finite latents", set()),
    ],
)
def test_what_spans_no_plane_says_why(latents, says, drawn):
    found = planes(latents, ("pca", "tsne", "umap"), 0)
    assert found.undrawn.keys() == {"pca", "tsne", "umap"}
    assert all(why.startswith(says) for why in found.undrawn.values())
    assert set(found.coordinates) == drawn


def test_latents_of_nodes_are_the_means_of_their_items(event_rows):
    passing = passing_of(event_rows, model=NODES, losses=(MSE, KlLoss(kind="kl")))
    items = collate(event_rows, GRAPH)
    found = passing(items)
    with torch.inference_mode():
        output = passing.bundle.model()(passing.bundle.scaling.apply(items))
    assert output.latent_ptr is not None
    ptr = output.latent_ptr.tolist()
    for name, values in (
        ("latent", output.latent), ("mu", output.mu), ("sigma", (output.log_variance / 2).exp()),
    ):  # fmt: skip
        slow = [values[a:b].mean(dim=0).tolist() for a, b in pairwise(ptr)]
        np.testing.assert_allclose(found.latents[name], slow, rtol=1e-4, atol=1e-6)
    scorer = JetScorer(passing.bundle, 7, controls=False)
    np.testing.assert_allclose(found.total_B, scorer.losses(items)["loss"], rtol=1e-5)


def test_latents_come_with_what_is_known_of_their_items(event_rows):
    passing = passing_of(event_rows, model=FLOW, losses=(MSE,))
    table, facts = looked(event_rows, passing, items=50)
    again, _ = looked(event_rows, passing, items=50)
    assert table.equals(again)
    assert not table.equals(looked(event_rows, passing, seed=2, items=50)[0])
    assert facts["items"] == {"background": 25, "search": 25}
    assert {"latent", "mu", "sigma", "z0", "pca_1", "z0_tsne_2"} <= set(table.column_names)
    assert facts["spaces"]["latent"]["dimensions"] == 3
    items = collate(event_rows, GRAPH)
    every = passing(items)
    known = zip(items.event_B.tolist(), items.rank_B.tolist(), strict=True)
    place = {pair: number for number, pair in enumerate(known)}
    scores = dict(zip(event_rows["event"].to_pylist(), np.linspace(-1, 3, 40), strict=False))
    weights = dict(zip(*(event_rows[c].to_pylist() for c in ("event", "weight")), strict=True))
    for row in table.to_pylist():
        number = place[row["event"], row["item"]]
        for name in ("latent", "mu", "z0", "sigma"):
            np.testing.assert_allclose(row[name], every.latents[name][number], atol=1e-5)
        assert row["total"] == pytest.approx(every.total_B[number], rel=1e-4)
        assert row["weight"] == weights[row["event"]]
        if row["sample"] == "background":
            assert row["score"] == scores[row["event"]]


def test_samples_smaller_than_what_is_asked_for(event_rows):
    table, facts = looked(event_rows, passing_of(event_rows), items=10_000, reduce=("pca",))
    assert len(table) == sum(facts["items"].values()) == len(collate(event_rows, GRAPH))
    tables = {"background": scored(event_rows.slice(0, 30)), "search": scored(event_rows[:0])}
    table, facts = latent_table(passing_of(event_rows), tables, Diagnostics(), 0)
    assert facts["items"] == {"background": 60, "search": 0}
    assert np.isfinite(table["tsne_1"].to_numpy()).all()


def test_examples_hold_what_scoring_stores(event_rows):
    passing = passing_of(event_rows)
    event_X, item_X = np.array([30, 4, 30]), np.array([1, 0, 0])
    table, facts = examples_table(
        passing, [Chosen("search", event_rows, event_X, item_X, [None, None, 0.5])]
    )
    scorer = JetScorer(passing.bundle, 4096, store=("reconstruction",), controls=False)
    stored = scorer.scoring(event_rows).stored["reconstruction"].to_pylist()
    by_event = {row["event"]: row for row in stored}
    assert facts == {"frame": "axis", "undrawn": {}, "items": 3}
    for row, event, item in zip(table.to_pylist(), event_X, item_X, strict=True):
        assert (row["event"], row["item"]) == (event, item)
        for ours, theirs in (("input", "target"), ("reconstruction", "reconstruction")):
            nodes = by_event[event][f"{theirs}_j{item + 1}"]
            assert len(row[ours]) == len(nodes)
            for node, features in zip(row[ours], nodes, strict=True):
                assert node["jet"] == item
                if features["pt"] < 0.01:  # bent above 0, and its direction cut
                    assert 0 < node["pt"] <= 0.011
                    continue
                assert node["pt"] == pytest.approx(features["pt"], rel=1e-4)
                for angle, arm in (("eta", "pt_deta"), ("phi", "pt_dphi")):
                    d = np.clip(features[arm] / features["pt"], -math.pi, math.pi)
                    assert abs((node[angle] - d + 1) % (2 * math.pi) - 1) < 1e-3
    assert table["quantile"].to_pylist() == [None, None, 0.5]


def test_directions_of_jets_in_the_detector_are_taken_from_the_axis(event_rows):
    chosen = [Chosen("search", event_rows, np.array([4, 9]), np.array([0, 1]), [None, None])]
    plain, _ = examples_table(passing_of(event_rows), chosen)
    turned, _ = examples_table(
        passing_of(event_rows, Graph(nodes=10, features="cylindrical")), chosen
    )
    for one, other in zip(plain["input"].to_pylist(), turned["input"].to_pylist(), strict=True):
        for name in ("pt", "eta", "phi"):
            np.testing.assert_allclose(
                [node[name] for node in one], [node[name] for node in other], rtol=2e-3, atol=2e-3
            )


@pytest.mark.parametrize(
    ("graph", "frame", "jets", "lacking"),
    [
        (Graph(level="event", jets=2, nodes=5), "axes", {0, 1}, set()),
        (Graph(level="event", jets=2, nodes=5, features="p4"), "detector", {0, 1}, set()),
        (Graph(level="event", jets=2, nodes="all"), "axes", {None}, set()),
        (Graph(level="event", jets=2, node="jet", features="jet"), "detector", {0, 1}, set()),
        (Graph(nodes=10, scaling="l2"), "axis", {0}, {"reconstruction"}),
    ],
)
def test_examples_of_events_and_of_scalings_that_cant_be_undone(
    event_rows, graph, frame, jets, lacking
):
    model = {**MODEL.model_dump(mode="json"), "decode": min(10, graph.slots)}
    passing = passing_of(event_rows, graph, model)
    chosen = Chosen("search", event_rows, np.array([4]), np.array([0]), [None])
    table, facts = examples_table(passing, [chosen])
    assert facts["frame"] == frame
    assert set(facts["undrawn"]) == lacking
    (row,) = table.to_pylist()
    assert {node["jet"] for node in row["input"]} <= jets
    assert (row["reconstruction"] is None) == ("reconstruction" in lacking)
    table, _ = looked(event_rows, passing, items=30, reduce=("pca",))
    assert np.isfinite(table["pca_1"].to_numpy()).all()


def test_an_event_that_is_one_node_has_no_examples(event_rows):
    graph = Graph(level="event", node="event", features="event")
    met = pa.array(np.full(len(event_rows), 50.0, np.float32))
    rows = event_rows
    for name in ("met", "met_phi"):
        place = rows.column_names.index(name)
        rows = rows.set_column(place, EVENT_SCHEMA.field(name), met)
    passing = passing_of(rows, graph, {**MODEL.model_dump(mode="json"), "decode": 1})
    chosen = Chosen("search", rows, np.array([4]), np.array([0]), [None])
    table, facts = examples_table(passing, [chosen])
    assert facts["undrawn"]["input"] == "an event as a whole has no momenta"
    assert table["input"].to_pylist() == [None]


def test_examples_are_spread_over_the_loss():
    total = np.array([5.0, 1.0, np.nan, 3.0, 2.0, 4.0])
    empty = torch.empty(0)
    passed = Passed(JetBatch(*[empty] * 6), total, {}, Output(empty, empty, empty, empty))
    place, shares = at_quantiles(passed, 3)
    assert total[place].tolist() == [1.0, 3.0, 5.0]
    assert shares == [0.05, 0.5, 0.95]
    assert total[at_quantiles(passed, 1)[0]].tolist() == [3.0]
    assert len(at_quantiles(passed, 99)[0]) == 5


def test_displays_are_of_the_highest_scores(event_rows):
    number_E = np.array([3, 8, 1, 9])
    found = most_anomalous(number_E, np.array([1.0, np.nan, 5.0, 1.0]), 3)
    assert found.tolist() == [1, 3, 9]
    scores = pa.table({"event": [9, 4, 2], "score": [0.5, 7.0, 1.5]})
    rows = event_rows.take(pa.array([2, 4, 5]))
    assert scores_of(rows, scores).to_pylist() == [1.5, 7.0, None]
    table = displays_table(rows, scores)
    assert table["constituents"].to_pylist() == rows["constituents"].to_pylist()


def test_umap_that_isnt_there_is_said_before_anything_runs(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "umap" else 1)
    with pytest.raises(JobError, match=r"pip install 'raybead\[umap\]'"):
        refuse_missing_extras(Diagnostics(reduce=("umap",)))
    refuse_missing_extras(Diagnostics())
    refuse_missing_extras(Diagnostics(reduce=("umap",), items=0))


@pytest.mark.parametrize(
    ("said", "fault"),
    [("items=-1", "items"), ("reduce=['pca','pca']", "twice"), ("reduce=['svd']", "reduce")],
)
def test_what_the_section_cant_say(lhco_files, said, fault):
    text = "".join(f'[data.{r}]\nsource = "lhco"\npath = "{p}"\n' for r, p in lhco_files.items())
    with pytest.raises(JobError, match=fault):
        parse_job(f'name = "x"\n{text}', [f"diagnostics.{said}"])
