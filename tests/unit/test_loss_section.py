"""``[loss]`` of a job file: which terms fit which model and features."""

import pytest

from raybead.config import parse_job
from raybead.errors import JobError

MINIMAL = """
name = "a"
[data.background]
source = "lhco"
path = "x.h5"
[data.search]
source = "lhco"
path = "y.h5"
"""
WITH = "loss=[{{kind='mse'}}, {{{}}}]"


def with_views(*views):
    return WITH.format(f"kind='ntxent', views={list(views)}")


GAUSSIAN = "model.posterior=gaussian"
PLANAR = "model.flow.kind=planar"
EVENTS = "graph.level=event", "jets.leading=3"
OF_JETS = *EVENTS, "graph.node=jet"
OF_EVENTS = *EVENTS, "graph.node=event", "graph.features=event"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["loss.kind=supcon"], "supcon alone reconstructs nothing"),
        (["loss.kind=weights-l2"], "weights-l2 alone reconstructs nothing"),
        ([WITH.format("kind='flow-kl'")], "flow-kl needs a posterior"),
        ([GAUSSIAN, WITH.format("kind='flow-kl'")], "flow-kl needs a flow; say [model.flow]"),
        (
            [GAUSSIAN, PLANAR, "loss=[{kind='mse'}, {kind='kl'}, {kind='flow-kl'}]"],
            "flow-kl stands in place of kl and log-det",
        ),
        ([GAUSSIAN, PLANAR, WITH.format("kind='log-det'")], "nothing restrains the posterior"),
        ([GAUSSIAN, PLANAR, WITH.format("kind='kl'")], "what a flow stretches goes unpaid"),
        ([WITH.format("kind='supcon'"), "train.batch_items=2"], "nothing to contrast with"),
        (["loss.kind=bce"], "bce needs features in [0, 1], and pt_deta isn't scaled to it"),
        (
            ["loss.kind=bce", "graph.scaling={pt='standard', default='min-max'}"],
            "and pt isn't scaled to it; set graph.scaling = 'min-max'",
        ),
        (
            ["loss=[{kind='bce'}, {kind='mse'}]", "graph.scaling=min-max"],
            "bce takes a reconstruction as logits",
        ),
        ([WITH.format("kind='supcon'"), "model.latent=1"], "supcon needs angles: a model.latent"),
        ([with_views("shift")], "shift alone alters nothing"),
        ([with_views("noise", "noise")], "views: says one thing twice"),
        ([with_views("turning")], "views"),
        (
            [with_views("rotation"), "graph.scaling=l2"],
            "rotation needs momenta, and graph.scaling l2 can't be undone",
        ),
        (
            [*OF_JETS, "graph.features=p4", with_views("noise", "splitting")],
            "splitting is of constituents, and nodes are graph.node = 'jet'",
        ),
        (
            [*EVENTS, "graph.nodes=all", with_views("shift", "rotation")],
            "rotation is of each of an event's jets, which graph.nodes = 'all'",
        ),
        ([*OF_EVENTS, with_views("shift")], "shift is of constituents"),
        ([*OF_EVENTS, "loss.kind=sinkhorn"], "sinkhorn needs momenta, and graph.features event"),
        ([*OF_EVENTS, "loss.kind=emd"], "emd needs momenta, and graph.features event has none"),
        (["loss.kind=emd", "graph.scaling=l2"], "emd needs momenta, and graph.scaling l2"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(overrides, says):
    with pytest.raises(JobError) as caught:
        parse_job(MINIMAL, overrides)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "terms"),
    [
        ([GAUSSIAN, PLANAR, WITH.format("kind='flow-kl'")], ["mse", "flow-kl"]),
        (
            [GAUSSIAN, PLANAR, "loss=[{kind='l1'}, {kind='kl'}, {kind='log-det'}]"],
            ["l1", "kl", "log-det"],
        ),
        (
            [GAUSSIAN, "loss=[{kind='vae', reconstruction='wasserstein'}, {kind='supcon'}]"],
            ["wasserstein", "kl", "supcon"],
        ),
        (["loss.kind=bce", 'graph.scaling=["log", "min-max"]'], ["bce"]),
        ([with_views("shift", "rotation")], ["mse", "ntxent"]),
        ([with_views("noise"), "graph.scaling=l2"], ["mse", "ntxent"]),
        ([with_views("noise"), *OF_EVENTS], ["mse", "ntxent"]),
        ([with_views("shift"), *EVENTS, "graph.features=p4"], ["mse", "ntxent"]),
        (
            [with_views("shift"), *EVENTS, "graph.features=p4", "graph.nodes=all"],
            ["mse", "ntxent"],
        ),
        (["loss.kind=sinkhorn", *OF_JETS, "graph.features=jet"], ["sinkhorn"]),
        ([WITH.format("kind='weights-l1', weight=1e-5")], ["mse", "weights-l1"]),
    ],
)
def test_what_fits_is_taken(overrides, terms):
    assert [term.kind for term in parse_job(MINIMAL, overrides).loss] == terms
