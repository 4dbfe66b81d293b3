"""``[graph]`` of a job file: feature sets, scaling by column, presets."""

import numpy as np
import pyarrow as pa
import pytest

from raybead.config import NAMES, Graph, dump_job, parse_job
from raybead.errors import JobError
from raybead.graphs import collate
from raybead.report.figures.training import reconstruction_figures

MINIMAL = """
name = "a"
[data.background]
source = "lhco"
path = "x.h5"
[data.search]
source = "lhco"
path = "y.h5"
"""
EVENT = ["graph.level=event", "graph.node=jet"]
BY_COLUMN = 'graph.scaling={pt=["log","standard"], eta="robust", phi="sin-cos"}'


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["graph.scaling=standrad"], "graph.scaling: 'standrad' is no kind of scaling (none, "),
        (["graph.scaling=standrad"], "did you mean 'standard'?"),
        (["graph.scaling=minmax"], "did you mean 'min-max'?"),
        (["graph.scaling=MaxAbs"], "did you mean 'max-abs'?"),
        (["graph.scaling=log+standard"], "write a chain as a list"),
        (['graph.scaling=["log", "quantil"]'], "did you mean 'quantile'?"),
        (["graph.scaling=[]"], "an empty chain; write 'none'"),
        (["graph.scaling=3"], "write a kind of scaling, a list of kinds, or a table"),
        (["graph.scaling=[3]"], "3 is no kind of scaling"),
        (["graph.scaling.pt=lgo"], "graph.scaling: pt: 'lgo' is no kind of scaling"),
        (["graph.scaling.pt=[]"], "pt: an empty chain"),
        (["graph.scaling.pt.kind=log"], "pt: write a kind, or a list of kinds, not a table"),
        (["graph.scaling.pt_dfi=log"], "no column of 'jet-axis', which has pt_deta, pt_dphi, pt"),
        (["graph.scaling.pt_dfi=log"], "did you mean 'pt_dphi'?"),
        (["graph.scaling.defalt=log"], "did you mean 'default'?"),
        (
            ["graph.scaling=sin-cos"],
            "pt_deta is no angle for sin-cos (angles of 'jet-axis': none)",
        ),
        (["graph.features=cylindrical", "graph.scaling.eta=sin-cos"], "eta is no angle"),
        (
            ["graph.features=cylindrical", 'graph.scaling.phi=["log","sin-cos"]'],
            "phi: sin-cos takes an angle, so it comes first",
        ),
        (["graph.features=p4btag"], "graph.features: has to be 'jet-axis'"),
        (["graph.preset=bead"], "graph.preset: has to be 'bead-4momentum'"),
        (["graph.preset=[1]"], "graph.preset: has to be"),
        (["graph.preset=bead-4momentum", "graph.features=p4"], "is no column of 'p4'"),
        (["graph.node=jet", "graph.features=jet"], "node = 'jet' goes with level = 'event'"),
        (["graph.features=jet"], "features 'jet' aren't of constituent nodes"),
        ([*EVENT, "graph.jets=2"], "'jet-axis' aren't of jet nodes, which have cartesian,"),
        ([*EVENT, "graph.features=p4"], "graph.jets = 3 are more than jets.leading = 2 keeps"),
        (["jets.leading=1"], "jets.leading: has to be greater than or equal to 2"),
        (["graph.preset=bead-event", "graph.node=jet"], "'event' aren't of jet nodes"),
        (
            ["graph.preset=bead-event", "graph.jets=2", "loss.kind=emd"],
            "loss emd needs momenta, and graph.features event has none",
        ),
        (
            ["graph.level=event", "graph.jets=2", "loss.kind=emd"],
            "features 'jet-axis' are each of its own jet's axis",
        ),
        (["graph.efps.n=9"], "graph.efps.n: has to be less than or equal to 7"),
        (["graph.efps.n=3"], "graph.efps: this model takes no polynomials"),
        (["graph.presett=bead-4momentum"], "did you mean 'graph.preset'?"),
    ],
)
def test_a_fault_is_one_line(overrides, says):
    with pytest.raises(JobError) as caught:
        parse_job(MINIMAL, overrides)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "scaled"),
    [
        ([], ("pt_deta", "pt_dphi", "pt")),
        (["graph.scaling=none"], ("pt_deta", "pt_dphi", "pt")),
        (['graph.scaling=["log","standard"]'], ("pt_deta", "pt_dphi", "pt")),
        (["graph.features=cylindrical", BY_COLUMN], ("pt", "eta", "sin_phi", "cos_phi")),
        (["graph.preset=bead-4momentum"], ("pt", "eta", "sin_phi", "cos_phi")),
        (["graph.preset=bead-4momentum-btag"], ("pt", "eta", "sin_phi", "cos_phi", "btag")),
        (
            ["graph.preset=bead-jets", "jets.leading=3"],
            ("n", "btag", "pt", "eta", "sin_phi", "cos_phi"),
        ),
        (
            ["graph.preset=bead-event", "jets.leading=5"],
            ("met", "sin_met_phi", "cos_met_phi", "n_jets", "ht"),
        ),
        (["graph.level=event", "graph.jets=2"], ("pt_deta", "pt_dphi", "pt")),
        (["graph.efps.n=3", "model.fusion.width=8"], ("pt_deta", "pt_dphi", "pt")),
    ],
)
def test_a_resolved_job_is_the_same_job(overrides, scaled):
    job = parse_job(MINIMAL, overrides)
    assert job.graph.scaled_columns == scaled
    assert parse_job(dump_job(job)) == job
    assert type(job).model_validate(job.model_dump(mode="json")) == job


def test_columns_that_a_table_leaves_out_take_its_default_or_standard():
    job = parse_job(MINIMAL, ["graph.features=cylindrical", BY_COLUMN])
    chains = [job.graph.chain(column) for column in job.graph.columns]
    assert chains == [("log", "standard"), ("robust",), ("sin-cos",)]
    assert Graph(scaling={"pt": "log"}).chain("pt_deta") == ("standard",)
    assert Graph(scaling={"pt": "log", "default": "power"}).chain("pt_deta") == ("power",)


def test_a_preset_fills_in_what_the_section_leaves_out():
    overrides = ["graph.preset=bead-4momentum-btag", "graph.scaling=robust", "graph.nodes=15"]
    graph = parse_job(MINIMAL, overrides).graph
    assert (graph.features, graph.scaling, graph.nodes) == ("p4-btag", "robust", 15)


def test_places_of_an_items_nodes():
    assert Graph(nodes=12).slots == 12
    assert Graph(level="event", nodes=12, jets=4).slots == 48
    assert Graph(preset="bead-jets").slots == 3
    assert Graph(preset="bead-event").slots == 1


def with_btags(table: pa.Table, tags: list[float | None]) -> pa.Table:
    """The event rows with a b-tag in every jet."""
    column = table.column("jets").combine_chunks()
    jets = column.flatten()
    fields = list(jets.type)
    arrays = [
        pa.array(tags, pa.float32()) if field.name == "btag" else jets.field(field.name)
        for field in fields
    ]
    extended = pa.ListArray.from_arrays(
        column.offsets, pa.StructArray.from_arrays(arrays, fields=fields)
    )
    return table.set_column(table.column_names.index("jets"), "jets", extended)


def test_btags_go_to_every_node_of_their_jet_and_unknown_ones_are_0(event_rows):
    graph = Graph(features="p4-btag", nodes=4)
    n = 2 * len(event_rows)
    tags: list[float | None] = [[1.0, 0.0, None, 0.25][i % 4] for i in range(n)]
    jets = collate(with_btags(event_rows, tags), graph)
    for b, tag in enumerate(tags):
        nodes = jets.x_TF[jets.ptr[b] : jets.ptr[b + 1]]
        assert (nodes[:, 3] == (tag or 0.0)).all()
    plain = collate(event_rows, Graph(features="cylindrical", nodes=4)).x_TF
    assert jets.x_TF[:, :3].equal(plain)
    unknown = collate(with_btags(event_rows, [None] * n), graph).x_TF
    assert unknown.equal(collate(event_rows, graph).x_TF)
    assert (unknown[:, 3] == 0).all()
    sliced = collate(with_btags(event_rows, tags).slice(1, 3), graph)
    assert sliced.x_TF.equal(jets.select(sliced.ptr.new_tensor(range(2, 8))).x_TF)
    assert len(collate(with_btags(event_rows, tags).slice(0, 0), graph)) == 0


def test_every_feature_has_a_figure_with_words():
    edges = np.linspace(0, 1, 61).tolist()
    bars = {"edges": edges, "input": [1.0] * 60, "reconstruction": [2.0] * 60}
    names = {name for columns in NAMES.values() for name in columns} | {"sin_phi_scaled"}
    figures = {
        plot.name: plot.caption
        for plot in reconstruction_figures("run", dict.fromkeys(names, bars))
    }
    assert set(figures) == {f"reconstruction-{name}" for name in names}
    assert figures["reconstruction-btag"].startswith("b-tag of the constituents")
    assert figures["reconstruction-sin_phi_scaled"].startswith("sin phi, scaled of")
