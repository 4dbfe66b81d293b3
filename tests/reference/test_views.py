"""Altered views: what each keeps of a jet, and that they belong to it."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch

from raybead.config import NAMES, Graph
from raybead.errors import JobError
from raybead.graphs import (
    Alterations,
    JetBatch,
    Momenta,
    Scaling,
    features_of,
    node_features,
    unscaled_momenta,
)

OF_CONSTITUENTS = [kind for kind in NAMES if kind not in ("jet", "event")]
SIZES = [5, 1, 12, 3]
JETS_OF_EVENTS = [[5, 1], [3], [4, 0, 6]]
"""Of three events; the last one's second jet has none."""


def made(features, sizes=SIZES, width=0.2, seed=0, **graph):
    """Jets with axes all over the barrel, across phi = pi too: scaled batch, graph, scaling."""
    r = np.random.default_rng(seed)
    n = sum(sizes)
    jet = np.repeat(np.arange(len(sizes)), sizes)
    pt = np.concatenate([np.sort(r.pareto(1.5, k) * 20 + 5)[::-1] for k in sizes])
    axis_eta, axis_phi = r.uniform(-1.5, 1.5, len(sizes)), np.array([3.1, -3.1, 0.3, 2.0, 1, -1])
    axis_phi = axis_phi[: len(sizes)]
    eta = axis_eta[jet] + r.normal(0, width, n)
    phi = (axis_phi[jet] + r.normal(0, width, n) + np.pi) % (2 * np.pi) - np.pi
    graph = Graph.model_validate({"features": features, **graph})
    columns = (pt, eta, phi, axis_eta[jet], axis_phi[jet], (jet % 2).astype(float))
    x = torch.from_numpy(
        node_features(features, *(c.astype(np.float32) for c in columns), graph.pt_power)
    )
    scaling = Scaling.fit(graph, x)
    whole = torch.arange(len(sizes))
    batch = JetBatch(
        x_TF=x,
        ptr=torch.tensor([0, *np.cumsum(sizes)]),
        p4_B4=torch.zeros(len(sizes), 4),
        event_B=whole,
        rank_B=whole * 0,
        n_constituents_B=torch.tensor(sizes),
    )
    return scaling.apply(batch), graph, scaling


def made_of_events(features, nodes=8):
    sizes = [n for event in JETS_OF_EVENTS for n in event]
    jets, graph, scaling = made(features, sizes, level="event", jets=3, nodes=nodes)
    places = [
        j * nodes + i for event in JETS_OF_EVENTS for j, n in enumerate(event) for i in range(n)
    ]
    whole = torch.arange(len(JETS_OF_EVENTS))
    events = JetBatch(
        x_TF=jets.x_TF,
        ptr=torch.tensor([0, *np.cumsum([sum(event) for event in JETS_OF_EVENTS])]),
        p4_B4=torch.zeros(3, 4),
        event_B=whole + 5,
        rank_B=whole * 0,
        n_constituents_B=torch.tensor([sum(event) for event in JETS_OF_EVENTS]),
        slot_T=torch.tensor(places),
    )
    return events, graph, scaling


def particles(batch, graph, scaling, double=True):
    return unscaled_momenta(graph, scaling, batch.x_TF.double() if double else batch.x_TF)


def vectors(momenta):
    """[N, 4] massless four-momenta."""
    pt, eta, phi = momenta.pt_N, momenta.eta_N, momenta.phi_N
    return torch.stack([pt * phi.cos(), pt * phi.sin(), pt * eta.sinh(), pt * eta.cosh()], dim=1)


def masses(momenta, ptr):
    sums = torch.stack([vectors(momenta)[a:b].sum(0) for a, b in pairwise(ptr)])
    return (sums[:, 3].square() - sums[:, :3].square().sum(dim=1)).clamp(min=0).sqrt()


def distances(momenta, a, b):
    eta, phi = momenta.eta_N[a:b], momenta.phi_N[a:b]
    d_phi = (phi[:, None] - phi + torch.pi) % (2 * torch.pi) - torch.pi
    return ((eta[:, None] - eta).square() + d_phi.square()).sqrt()


def in_double(batch):
    return dataclasses.replace(batch, x_TF=batch.x_TF.double())


@pytest.mark.parametrize("kind", OF_CONSTITUENTS)
def test_features_in_torch_are_those_in_numpy(kind):
    r = np.random.default_rng(1)
    pt, eta, axis_eta, btag = r.uniform(1, 99, 9), r.normal(size=9), r.normal(size=9), r.random(9)
    phi, axis_phi = r.uniform(-np.pi, np.pi, (2, 9))
    expected = node_features(kind, pt, eta, phi, axis_eta, axis_phi, btag)  # type: ignore
    relative = kind == "jet-axis"
    there = eta - axis_eta * relative, phi - axis_phi * relative
    momenta = Momenta(*map(torch.from_numpy, (pt, *there)))
    found = features_of(kind, momenta, torch.from_numpy(btag))
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-6, atol=2e-6)
    if relative:
        weighted = node_features(kind, pt, eta, phi, axis_eta, axis_phi, btag, 0.5)  # type: ignore
        found = features_of(kind, momenta, torch.from_numpy(btag), 0.5)
        np.testing.assert_allclose(found.numpy(), weighted, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("kind", ["jet", "event"])
def test_constituents_have_no_features_of_jets_and_events(kind):
    momenta = Momenta(*torch.ones(3, 2))
    with pytest.raises(JobError, match=f"features {kind}"):
        features_of(kind, momenta, torch.zeros(2))


@pytest.mark.parametrize("kind", OF_CONSTITUENTS)
@pytest.mark.parametrize("view", ["rotation", "shift"])
def test_a_turned_or_shifted_jet_keeps_its_shape(kind, view):
    batch, graph, scaling = made(kind)
    batch = in_double(batch)
    torch.manual_seed(0)
    after = Alterations(graph, scaling, [view])(batch)
    old, new = particles(batch, graph, scaling), particles(after, graph, scaling)
    torch.testing.assert_close(new.pt_N, old.pt_N, rtol=1e-6, atol=1e-6)
    for a, b in pairwise(batch.ptr):
        torch.testing.assert_close(
            distances(new, a, b), distances(old, a, b), rtol=1e-5, atol=1e-5
        )
    assert torch.equal(after.ptr, batch.ptr)
    moved = (after.x_TF - batch.x_TF).abs().amax(dim=1) > 1e-3
    if view == "rotation":
        alone = torch.repeat_interleave(batch.sizes_B == 1, batch.sizes_B)
        assert torch.equal(moved, ~alone)
    else:
        assert moved.all() if kind != "jet-axis" else not moved.any()
    if kind == "p4-btag":
        torch.testing.assert_close(after.x_TF[:, 3], batch.x_TF[:, 3])


def test_a_shift_keeps_masses_and_a_rotation_of_narrow_jets_nearly():
    batch, graph, scaling = made("cylindrical", width=0.01)
    before = masses(particles(batch, graph, scaling), batch.ptr)
    for view, precision in (("shift", 1e-5), ("rotation", 1e-3)):
        after = Alterations(graph, scaling, [view])(in_double(batch))
        found = masses(particles(after, graph, scaling), batch.ptr)
        torch.testing.assert_close(found, before, rtol=precision, atol=1e-3)


def test_a_rotation_is_about_the_axis_by_any_angle():
    batch, graph, scaling = made("cylindrical", [6] * 6, width=0.1)
    batch = in_double(batch)
    old = particles(batch, graph, scaling)
    many = [
        particles(Alterations(graph, scaling, ["rotation"])(batch), graph, scaling)
        for _ in range(40)
    ]
    for a, b in pairwise(batch.ptr):
        pt = old.pt_N[a:b] / old.pt_N[a:b].sum()
        axes, angles = [], []
        for new in [old, *many]:
            phi = (new.phi_N[a:b] - old.phi_N[a] + torch.pi) % (2 * torch.pi) - torch.pi
            axes.append(torch.stack([(pt * new.eta_N[a:b]).sum(), (pt * phi).sum()]))
            arm = new.eta_N[a + 1] - axes[-1][0], phi[1] - axes[-1][1]
            angles.append(float(torch.atan2(arm[1], arm[0])))
        for axis in axes[1:]:
            torch.testing.assert_close(axis, axes[0], rtol=1e-5, atol=1e-5)
        turned = (np.array(angles[1:]) - angles[0]) % (2 * np.pi)
        assert np.histogram(turned, 4, (0, 2 * np.pi))[0].min() >= 2


def test_a_shift_is_as_far_as_it_may_be_and_once_round():
    batch, graph, scaling = made("cylindrical")
    batch, old = in_double(batch), particles(batch, graph, scaling)
    shifts = []
    for _ in range(100):
        after = Alterations(graph, scaling, ["shift"], shift=0.25)(batch)
        new = particles(after, graph, scaling)
        eta, phi = new.eta_N - old.eta_N, (new.phi_N - old.phi_N) % (2 * torch.pi)
        shifts.append(torch.stack([eta, phi], dim=1)[batch.ptr[:-1]])
        assert new.phi_N.abs().max() <= torch.pi + 1e-6  # as in events
    eta, phi = torch.cat(shifts).T
    assert 0.24 < eta.abs().max() < 0.25 + 1e-6
    assert eta.mean().abs() < 0.03
    assert np.histogram(phi.numpy(), 4, (0, 2 * np.pi))[0].min() > 60
    assert len(eta.mul(1e4).round().unique()) > 300  # every jet by its own


@pytest.mark.parametrize("kind", OF_CONSTITUENTS)
def test_splitting_keeps_the_sum_and_order(kind):
    batch, graph, scaling = made(kind, nodes="all")
    batch = in_double(batch)
    after = Alterations(graph, scaling, ["splitting"], splitting=0.5)(batch)
    old, new = particles(batch, graph, scaling), particles(after, graph, scaling)
    assert len(batch.x_TF) < len(after.x_TF) < 2 * len(batch.x_TF)
    for (a, b), (c, d) in zip(pairwise(batch.ptr), pairwise(after.ptr), strict=True):
        torch.testing.assert_close(
            vectors(new)[c:d].sum(0), vectors(old)[a:b].sum(0), rtol=1e-5, atol=1e-3
        )
        assert (new.pt_N[c:d].diff() <= 1e-6).all()
        # Collinear: the same directions, and what lies in each.
        ways = (new.eta_N[c:d, None] - old.eta_N[a:b]).abs()
        assert ways.amin(dim=1).max() < 1e-5
        inside = torch.zeros_like(old.pt_N[a:b]).index_add(0, ways.argmin(1), new.pt_N[c:d])
        torch.testing.assert_close(inside, old.pt_N[a:b], rtol=1e-5, atol=1e-4)
    assert after.slot_T is None
    assert len(after) == len(batch)
    if kind == "p4-btag":
        tag = scaling.invert(after.x_TF)[:, 3]
        expected = torch.repeat_interleave(torch.tensor([0.0, 1.0, 0.0, 1.0]), after.sizes_B)
        torch.testing.assert_close(tag, expected.double(), atol=1e-6, rtol=0)


def test_all_constituents_may_split_and_the_softest_leave_a_full_jet():
    batch, graph, scaling = made("cylindrical", nodes=12)
    after = Alterations(graph, scaling, ["splitting"], splitting=1.0)(batch)
    assert after.sizes_B.tolist() == [10, 2, 12, 6]
    old, new = particles(batch, graph, scaling), particles(after, graph, scaling)
    a, b = batch.ptr[2], batch.ptr[3]
    assert old.pt_N[a] / 2 <= new.pt_N[after.ptr[2]] * (1 + 1e-5)
    assert vectors(new)[12:24].sum(0)[3] <= vectors(old)[a:b].sum(0)[3] * (1 + 1e-5)


def test_a_share_of_constituents_splits_anywhere():
    batch, graph, scaling = made("cylindrical", [400] * 5, nodes="all")
    after = Alterations(graph, scaling, ["splitting"], splitting=0.1)(batch)
    assert 150 < len(after.x_TF) - 2000 < 250


@pytest.mark.parametrize("kind", ["jet-axis", "cylindrical", "p4-btag"])
def test_jets_of_an_event_turn_and_split_by_themselves(kind):
    events, graph, scaling = made_of_events(kind)
    events = in_double(events)
    old = particles(events, graph, scaling)
    jet_T = events.jet_of_node() * 3 + events.slot_T // 8
    torch.manual_seed(4)
    turned = Alterations(graph, scaling, ["rotation"])(events)
    assert torch.equal(turned.slot_T, events.slot_T)
    new = particles(turned, graph, scaling)
    for jet in jet_T.unique():
        a, b = (jet_T == jet).nonzero()[[0, -1], 0] + torch.tensor([0, 1])
        torch.testing.assert_close(
            distances(new, a, b), distances(old, a, b), rtol=1e-5, atol=1e-5
        )
    whole = distances(new, 6, 9), distances(new, 9, 19)  # the second event, and the third
    again = distances(old, 6, 9), distances(old, 9, 19)
    torch.testing.assert_close(whole[0], again[0], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(whole[1], again[1], atol=1e-3)
    split = Alterations(graph, scaling, ["splitting"], splitting=1.0)(events)
    item_T, slot_T = split.jet_of_node(), split.slot_T
    for e, sizes in enumerate(JETS_OF_EVENTS):
        expected = [j * 8 + i for j, n in enumerate(sizes) for i in range(min(2 * n, 8))]
        assert slot_T[item_T == e].tolist() == expected
    _, mask = split.dense(graph.slots)
    assert mask.sum() == len(split.x_TF) == 8 + 2 + 6 + 8 + 8
    # A jet that isn't full keeps its momentum where it was.
    for jet, nodes in ((1, 2), (3, 6)):
        mine = (item_T * 3 + slot_T // 8) == jet
        assert mine.sum() == nodes
        total = particles(split, graph, scaling).pt_N[mine].sum()
        torch.testing.assert_close(total, old.pt_N[jet_T == jet].sum(), rtol=1e-5, atol=1e-4)
    both = Alterations(graph, scaling, ["splitting", "rotation", "noise"])(events)
    assert both.x_TF.isfinite().all()


def test_a_whole_event_shifts_together():
    events, graph, scaling = made_of_events("cylindrical")
    events = in_double(events)
    after = Alterations(graph, scaling, ["shift"])(events)
    old, new = particles(events, graph, scaling), particles(after, graph, scaling)
    for a, b in pairwise(events.ptr):
        torch.testing.assert_close(
            distances(new, a, b), distances(old, a, b), rtol=1e-5, atol=1e-5
        )
    assert (new.eta_N - old.eta_N).abs().min() > 1e-4
    loose = dataclasses.replace(events, slot_T=None)
    torch.manual_seed(1)
    expected = Alterations(graph, scaling, ["shift"])(events)
    torch.manual_seed(1)
    assert torch.equal(Alterations(graph, scaling, ["shift"])(loose).x_TF, expected.x_TF)
    with pytest.raises(JobError, match="jets can't be told apart"):
        Alterations(graph, scaling, ["shift", "rotation"])(loose)


def test_noise_is_of_every_scaled_feature():
    batch, graph, scaling = made("p4-btag", [300] * 5)
    off = Alterations(graph, scaling, noise=0.3)(batch).x_TF - batch.x_TF
    torch.testing.assert_close(off.std(dim=0), torch.full((4,), 0.3), rtol=0.1, atol=0)
    assert torch.corrcoef(off.T).fill_diagonal_(0).abs().max() < 0.1
    efps = torch.zeros(5, 2, 50)
    there = torch.tensor([[True, False], [True, True]] + [[True, False]] * 3)
    more = dataclasses.replace(batch, efps_BJE=efps, has_jet_BJ=there)
    found = Alterations(graph, scaling, noise=0.3)(more).efps_BJE
    assert (found[~there] == 0).all()
    assert 0.25 < found[there].std() < 0.35
    assert Alterations(graph, scaling, ["shift"])(more).efps_BJE is efps
    lossy = Graph.model_validate({"scaling": "l2"})
    batch, _, _ = made("jet-axis")
    no_way_back = Scaling.fit(lossy, batch.x_TF)
    assert Alterations(lossy, no_way_back)(batch).x_TF.isfinite().all()
    with pytest.raises(JobError, match="can't be undone"):
        Alterations(lossy, no_way_back, ["rotation"])(batch)


@pytest.mark.parametrize("events", [False, True])
def test_views_belong_to_items_and_every_call_draws_anew(events):
    batch, graph, scaling = made_of_events("p4") if events else made("p4")
    view = Alterations(graph, scaling, ["shift", "splitting", "rotation", "noise"], splitting=0.4)
    torch.manual_seed(7)
    whole, again = view(batch), view(batch)
    assert whole.x_TF.shape != again.x_TF.shape or (whole.x_TF != again.x_TF).any(dim=1).all()
    index = torch.tensor([2, 0])
    torch.manual_seed(7)
    mine, picked = view(batch.select(index)), whole.select(index)
    torch.testing.assert_close(mine.x_TF, picked.x_TF)
    assert torch.equal(mine.ptr, picked.ptr)
    assert mine.x_TF.dtype == torch.float32
    none = view(batch.select(index[:0]))
    assert none.x_TF.shape == (0, 4)
    assert none.ptr.tolist() == [0]


@pytest.mark.parametrize(
    "scaling", ["none", "standard", "robust", "min-max", "max-abs", "power", ["log", "standard"]]
)
def test_any_scaling_that_can_be_undone_will_do(scaling):
    batch, graph, fitted = made("cylindrical", scaling=scaling)
    after = Alterations(graph, fitted, ["rotation", "shift"])(batch)
    old, new = particles(batch, graph, fitted), particles(after, graph, fitted)
    torch.testing.assert_close(new.pt_N, old.pt_N, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(distances(new, 6, 18), distances(old, 6, 18), rtol=0, atol=1e-3)
