"""Batches of jets and of events, against loops over rows; their polynomials and the scaling."""

import json
import sys
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged import ragged_particles

from raybead.config import Efps, Graph, Jets, MseLoss, Train
from raybead.errors import InputError, RunError
from raybead.events import event_table, make_jets
from raybead.graphs import COLUMNS, JetBatch, Scaling, collate, jet_facts
from raybead.models import Bundle, Recipe
from raybead.observables.efps.values import polynomials
from raybead.storage import Folder
from raybead.training import reconstruction_histograms, split_by_event

OF_CONSTITUENTS = ("jet-axis", "cartesian", "cylindrical", "p4", "p4-cylindrical", "p4-btag")
OF_JETS = ("jet", *OF_CONSTITUENTS[1:])
events_of = st.lists(
    st.lists(st.tuples(st.floats(60, 2000), st.integers(1, 7)), min_size=2, max_size=5),
    min_size=1,
    max_size=9,
)


def rows_of(events, seed=0, leading=4):
    config = Jets(leading=leading, min_pt=1.0, min_constituents=1)
    return event_table(make_jets(ragged_particles(events, seed), config))


@pytest.fixture(scope="module")
def rows():
    """25 events of two to four jets."""
    rng = np.random.default_rng(2)
    return rows_of(
        [
            [(float(rng.uniform(100, 900)), int(rng.integers(1, 15))) for _ in range(2 + i % 3)]
            for i in range(25)
        ]
    )


def of_constituent(kind, jet, part):
    pt, eta, phi = part["pt"], part["eta"], part["phi"]
    turn = np.arctan2(np.sin(phi - jet["phi"]), np.cos(phi - jet["phi"]))
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    return {
        "jet-axis": (pt * (eta - jet["eta"]), pt * turn, pt),
        "cartesian": (px, py, pz),
        "cylindrical": (pt, eta, phi),
        "p4": (px, py, pz, np.hypot(pt, pz)),
        "p4-cylindrical": (pt, eta, phi, 0.0),
        "p4-btag": (pt, eta, phi, jet["btag"]),
    }[kind]


def of_jet(kind, jet):
    pt, eta, phi = jet["pt"], jet["eta"], jet["phi"]
    return {
        "jet": (jet["n"], jet["btag"], pt, eta, phi),
        "cartesian": (jet["px"], jet["py"], jet["pz"]),
        "cylindrical": (pt, eta, phi),
        "p4": (jet["px"], jet["py"], jet["pz"], jet["e"]),
        "p4-cylindrical": (pt, eta, phi, jet["mass"]),
        "p4-btag": (pt, eta, phi, jet["btag"]),
    }[kind]


def slow_items(table, graph):
    """Items one at a time: (features of nodes, slots, jets, event, rank, generator)."""
    items = []
    for row in table.to_pylist():
        pairs = list(zip(row["jets"], row["constituents"], strict=True))
        groups = [[pair] for pair in pairs] if graph.level == "jet" else [pairs[: graph.jets]]
        for rank, group in enumerate(groups):
            nodes, slots = [], []
            for place, (jet, parts) in enumerate(group):
                if graph.node == "jet":
                    nodes.append(of_jet(graph.features, jet))
                    slots.append(place)
                elif graph.node == "constituent":
                    kept = parts if graph.nodes == "all" else parts[: graph.nodes]
                    wide = 0 if graph.nodes == "all" else graph.nodes
                    for i, part in enumerate(kept):
                        nodes.append(of_constituent(graph.features, jet, part))
                        slots.append(place * wide + i if wide else len(slots))
            if graph.node == "event":
                ht = sum(jet["pt"] for jet, _ in pairs)
                nodes, slots = [(row["met"], row["met_phi"], len(pairs), ht)], [0]
            jets = [jet for jet, _ in group]
            items.append((nodes, slots, jets, row["event"], rank, row["generator"]))
    return items


def check(table, graph):
    batch = collate(table, graph, ["b", "a"])
    items = slow_items(table, graph)
    assert len(batch) == len(items)
    grid, mask = batch.dense(graph.slots)
    for b, (nodes, slots, jets, event, rank, generator) in enumerate(items):
        own = slice(int(batch.ptr[b]), int(batch.ptr[b + 1]))
        np.testing.assert_allclose(batch.x_TF[own], nodes, rtol=2e-4, atol=2e-3)
        if batch.slot_T is not None:
            assert batch.slot_T[own].tolist() == slots
        inside = [slot for slot in slots if slot < graph.slots]
        assert mask[b].nonzero().flatten().tolist() == inside
        assert torch.equal(grid[b][inside], batch.x_TF[own][: len(inside)])
        assert (grid[b][~mask[b]] == 0).all()
        sums = [sum(jet[name] for jet in jets) for name in ("px", "py", "pz", "e")]
        np.testing.assert_allclose(batch.p4_B4[b], sums, rtol=1e-5, atol=1e-3)
        assert int(batch.n_constituents_B[b]) == sum(jet["n"] for jet in jets)
        assert (int(batch.event_B[b]), int(batch.rank_B[b])) == (event, rank)
        assert int(batch.generator_B[b]) == {"b": 0, "a": 1, None: -1}[generator]
    assert batch.x_TF.shape[1] == len(graph.columns)
    return batch


@pytest.mark.parametrize("nodes", [4, "all"])
@pytest.mark.parametrize("level", ["jet", "event"])
@pytest.mark.parametrize("features", OF_CONSTITUENTS)
def test_constituents_of_items_equal_a_loop_over_rows(rows, level, features, nodes):
    batch = check(rows, Graph(level=level, features=features, nodes=nodes, jets=3))
    assert (batch.slot_T is not None) == (level == "event" and nodes == 4)


@pytest.mark.parametrize("features", OF_JETS)
def test_jets_of_events_have_their_own_momenta(rows, features):
    batch = check(rows, Graph(level="event", node="jet", features=features, jets=3))
    assert set(batch.sizes_B.tolist()) == {2, 3}


def test_an_event_is_one_node(rows):
    batch = check(rows, Graph(level="event", node="event", features="event", jets=2))
    assert set(batch.x_TF[:, 2].tolist()) == {2.0, 3.0, 4.0}


@given(
    events=events_of,
    jets=st.integers(1, 5),
    nodes=st.sampled_from([1, 3, 6, "all"]),
    node=st.sampled_from(["constituent", "jet", "event", "jet level"]),
    seed=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_any_numbers_of_jets(events, jets, nodes, node, seed):
    level = "jet" if node == "jet level" else "event"
    features = {"jet": "jet", "event": "event"}.get(node, "p4-btag")
    kind = "constituent" if node == "jet level" else node
    graph = Graph(level=level, node=kind, features=features, jets=jets, nodes=nodes)
    table = rows_of(events, seed)
    batch = check(table, graph)
    facts = jet_facts(table)
    per_event = [len(row["jets"]) for row in table.to_pylist()]
    assert facts.n_jets.tolist() == per_event
    assert len(facts.mass) == sum(per_event)
    # Slices of a table, and tables of several chunks, are other buffers of the same rows.
    cut = len(table) // 2
    halves = [collate(part, graph, ["b", "a"]) for part in (table[:cut], table[cut:])]
    whole = JetBatch.cat(halves)
    chunked = collate(pa.concat_tables([table[:cut], table[cut:]]), graph, ["b", "a"])
    for other in (whole, chunked):
        for name, value in vars(batch).items():
            got = getattr(other, name)
            assert (got is None) if value is None else torch.equal(got, value)


def test_columns_are_those_that_a_batch_is_made_of(rows):
    for graph in (Graph(), Graph(level="event", node="event", features="event")):
        batch = collate(rows.select(COLUMNS), graph, ["a"])
        assert torch.equal(batch.x_TF, collate(rows, graph).x_TF)


@pytest.mark.parametrize("column", ["met", "met_phi"])
def test_missing_momentum_that_an_event_lacks_is_said(rows, column):
    place = rows.column_names.index(column)
    values = rows[column].to_pylist()
    values[7] = None
    lacking = rows.set_column(place, column, pa.array(values, pa.float32()))
    graph = Graph(level="event", node="event", features="event")
    says = "need missing momentum, which event 107 of made lacks"
    with pytest.raises(InputError, match=says) as caught:
        collate(lacking, graph)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="event 107 lacks"):
        collate(lacking.select(COLUMNS), graph)
    assert len(collate(lacking, Graph(level="event", node="jet", features="jet"))) == len(rows)


@pytest.mark.parametrize("level", ["jet", "event"])
def test_a_batch_of_no_rows(rows, level):
    batch = collate(rows.slice(0, 0), Graph(level=level, nodes=4), ["a"])
    assert len(batch) == len(batch.x_TF) == 0
    assert batch.dense(12)[0].shape == (0, 12, 3)
    assert len(jet_facts(rows.slice(0, 0)).n_jets) == 0


def with_polynomials(batch, n_jets, n_efps=4, seed=0):
    """A batch of events with made polynomials, over decades, of jets that are there."""
    rng = np.random.default_rng(seed)
    has = torch.arange(3) < torch.as_tensor(np.minimum(n_jets, 3))[:, None]
    values = np.exp(rng.normal(-9, 3, (len(batch), 3, n_efps)))
    values[rng.random(values.shape) < 0.1] = 0.0
    values[..., 0] = 1 + 1e-7 * rng.normal(size=values.shape[:2])
    efps = torch.as_tensor(values, dtype=torch.float32) * has[..., None]
    return JetBatch(**{**vars(batch), "efps_BJE": efps, "has_jet_BJ": has})


EVENTS = Graph(level="event", nodes=4, efps=Efps(n=2, d=2))


@pytest.fixture
def measured(rows):
    plain = Graph(level="event", nodes=4)
    return with_polynomials(collate(rows, plain, ["a", "b"]), jet_facts(rows).n_jets)


def test_selecting_and_joining_keep_slots_and_polynomials(measured):
    index = torch.tensor([3, 3, 0, 17])
    some = measured.select(index)
    for row, b in enumerate(index.tolist()):
        own, theirs = (slice(int(x.ptr[i]), int(x.ptr[i + 1])) for x, i in
                       ((some, row), (measured, b)))  # fmt: skip
        assert torch.equal(some.slot_T[own], measured.slot_T[theirs])
        assert torch.equal(some.efps_BJE[row], measured.efps_BJE[b])
        assert torch.equal(some.has_jet_BJ[row], measured.has_jet_BJ[b])
        grids = [x.select(torch.tensor([i])).dense(12) for x, i in ((some, row), (measured, b))]
        assert all(torch.equal(*pair) for pair in zip(*grids, strict=True))
    halves = [measured.select(part) for part in torch.arange(25).split(11)]
    whole = JetBatch.cat(halves)
    for name, value in vars(measured).items():
        assert torch.equal(getattr(whole, name), value), name
    unknown = [halves[0], JetBatch(**{**vars(halves[1]), "generator_B": None})]
    assert JetBatch.cat(unknown).generator_B is None
    for name in ("slot_T", "efps_BJE"):
        with pytest.raises(ValueError, match=f"1 of 2 batches are without {name}"):
            JetBatch.cat([halves[0], JetBatch(**{**vars(halves[1]), name: None})])


def test_polynomials_are_standardised_over_jets_that_are_there(measured):
    scaling = Scaling.fit(EVENTS, measured.x_TF, measured.efps_NE)
    scaled = scaling.apply(measured)
    assert scaled.efps_BJE.dtype == torch.float32
    has = measured.has_jet_BJ.numpy()
    raw = measured.efps_BJE.numpy().astype(np.float64)
    got = scaled.efps_BJE.numpy()
    assert (got[~has] == 0).all()
    for e in range(raw.shape[2]):
        of_jets = raw[..., e][has]
        positive = np.sort(of_jets[of_jets > 0])
        floor = positive[len(positive) // 100]
        logs = np.log(of_jets + floor)
        spread = logs.std() if e else 1.0  # the first doesn't vary but for rounding
        expected = (logs - logs.mean()) / spread
        np.testing.assert_allclose(got[..., e][has], expected, rtol=1e-5, atol=1e-6)
    again = Scaling.from_dict(json.loads(json.dumps(scaling.as_dict(), allow_nan=False)))
    assert again == scaling
    assert torch.equal(again.apply(measured).efps_BJE, scaled.efps_BJE)
    with pytest.raises(ValueError, match="come together"):
        Scaling.fit(EVENTS, measured.x_TF)
    with pytest.raises(ValueError, match="come together"):
        scaling.apply(JetBatch(**{**vars(measured), "efps_BJE": None}))


def test_polynomials_of_nothing_but_zeros_are_zeros():
    zeros = torch.zeros(5, 2)
    scaling = Scaling.fit(EVENTS, torch.ones(4, 3), zeros)
    assert torch.equal(scaling.efps.scaled(zeros), zeros)


def test_a_bundle_without_the_polynomials_scaling_is_refused(measured, tmp_path):
    plain = Graph(level="event", nodes=4)
    scaling = Scaling.fit(plain, measured.x_TF)
    old = scaling.as_dict()
    del old["efps"]
    assert Scaling.from_dict(old) == scaling  # as bundles were before there were any
    recipe = Recipe.model_validate(
        {"graph": plain, "model": {"preset": "edgenet"}, "loss": MseLoss(kind="mse")}
    )
    folder = Folder.at(str(tmp_path / "model"))
    Bundle(recipe, scaling, recipe.build().state_dict(), {}).save(folder)
    assert Bundle.load(folder).scaling == scaling
    raw = folder.read_json("bundle.json")
    raw["graph"]["efps"] = Efps(n=2, d=2).model_dump()
    folder.write_json("bundle.json", raw)
    with pytest.raises(RunError, match="of other features"):
        Bundle.load(folder)


@pytest.mark.parametrize("level", ["jet", "event"])
def test_polynomials_land_at_their_jets(rows, level, monkeypatch):
    """The way to the polynomials and back alone: what stands in for them tells jets apart."""
    module = ModuleType("values")

    def told(pt_N, eta_N, phi_N, ptr, config):
        assert config == EVENTS.efps
        jet = torch.repeat_interleave(torch.arange(len(ptr) - 1), ptr.diff())
        sums = [torch.zeros(len(ptr) - 1).double().index_add(0, jet, x.double()) for x in
                (pt_N, eta_N * phi_N)]  # fmt: skip
        return torch.stack(sums, dim=1)

    module.polynomials = told
    monkeypatch.setitem(sys.modules, "raybead.observables.efps.values", module)
    graph = EVENTS.model_copy(update={"level": level})
    batch = collate(rows, graph)
    jets = 3 if level == "event" else 1
    assert batch.efps_BJE.shape == (len(batch), jets, 2)
    assert batch.efps_BJE.dtype == torch.float32
    items = [
        group
        for row in rows.to_pylist()
        for group in ([row["constituents"][:3]] if level == "event" else
                      [[parts] for parts in row["constituents"]])
    ]  # fmt: skip
    for b, group in enumerate(items):
        assert batch.has_jet_BJ[b].tolist() == [place < len(group) for place in range(jets)]
        for place in range(jets):
            parts = group[place] if place < len(group) else []
            expected = [sum(p["pt"] for p in parts), sum(p["eta"] * p["phi"] for p in parts)]
            np.testing.assert_allclose(batch.efps_BJE[b, place], expected, rtol=1e-5, atol=1e-6)


def test_the_polynomials_of_a_batch_are_those_of_its_jets(rows):
    batch = collate(rows, EVENTS)
    for b, row in enumerate(rows.to_pylist()):
        for place, parts in enumerate(row["constituents"][:3]):
            pt, eta, phi = (torch.tensor([p[x] for p in parts]) for x in ("pt", "eta", "phi"))
            alone = polynomials(pt, eta, phi, torch.tensor([0, len(parts)]), EVENTS.efps)
            torch.testing.assert_close(batch.efps_BJE[b, place], alone[0].float())
    scaling = Scaling.fit(EVENTS, batch.x_TF, batch.efps_NE)
    scaled = scaling.apply(batch)
    assert scaled.efps_BJE.isfinite().all()
    of_jets = scaled.efps_NE
    torch.testing.assert_close(of_jets.mean(0), torch.zeros(of_jets.shape[1]), atol=1e-4, rtol=0)


def test_events_are_split_and_looked_at(rows):
    graph = Graph(level="event", node="jet", features="jet", scaling={"phi": "sin-cos"})
    batch = collate(rows, graph)
    split = split_by_event(batch.event_B, Train(validation=0.2, test=0.2), 3)
    assert sorted(torch.cat(split).tolist()) == list(range(25))
    assert [len(side) for side in split] == [15, 5, 5]
    scaling = Scaling.fit(graph, batch.select(split.train).x_TF)
    recipe = Recipe.model_validate(
        {"graph": graph, "model": {"preset": "edgenet"}, "loss": MseLoss(kind="mse")}
    )
    model = recipe.build()
    found = reconstruction_histograms(model, scaling.apply(batch), scaling)
    assert list(found) == list(graph.columns)
    assert sum(found["n"]["input"]) == len(batch.x_TF)
