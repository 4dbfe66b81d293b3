"""What makes the learned number a distance, for any weights of the network."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jet_clouds import changed, clouds_of

from raybead.config import Emd
from raybead.graphs.clouds import Clouds
from raybead.models.emd_network import EmdNetwork

SMALL = {"widths": (6, 8, 5), "head": 7, "neighbours": 4}
OUTPUTS = ("free", "softplus", "relu")
sizes = st.lists(st.integers(1, 25), min_size=1, max_size=5)
seeds = st.integers(0, 10_000)
outputs = st.sampled_from(OUTPUTS)


def net_of(output="softplus", seed=0, loud=20.0, **more):
    """A network whose head speaks up: as it starts, its number is next to nothing."""
    torch.manual_seed(seed)
    net = EmdNetwork(Emd(output=output, **{**SMALL, **more})).double()
    with torch.no_grad():
        net.head[-1].weight *= loud
    return net.requires_grad_(False)


def two_sides(sizes, seed):
    """Jets, and others a little off, about the border of phi."""
    return clouds_of(sizes, seed, phi=3.1), clouds_of(sizes[::-1], seed + 1, phi=-3.1)


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(sizes, seeds, outputs, st.booleans())
def test_symmetric(sizes, seed, output, total_pt):
    net = net_of(output, seed, total_pt=total_pt)
    ours, theirs = two_sides(sizes, seed)
    same(net(ours, theirs), net(theirs, ours))


@settings(max_examples=20, deadline=None)
@given(sizes, seeds, outputs, st.booleans())
def test_zero_for_equal_jets_in_any_order(sizes, seed, output, total_pt):
    net = net_of(output, seed, total_pt=total_pt)
    jets = clouds_of(sizes, seed, phi=3.1)
    order = shuffled(jets, seed)
    assert net(jets, jets).abs().max() < 1e-13
    assert net(jets, order).abs().max() < 1e-13


@settings(max_examples=20, deadline=None)
@given(sizes, seeds)
def test_zero_when_particles_are_split_in_place(sizes, seed):
    jets = clouds_of(sizes, seed)
    twice = torch.arange(len(jets.pt_N)).repeat_interleave(2)
    split = Clouds(jets.pt_N[twice] / 2, jets.eta_N[twice], jets.phi_N[twice], jets.ptr * 2)
    assert net_of(seed=seed)(jets, split).abs().max() < 1e-13


def shuffled(jets, seed):
    generator = torch.Generator().manual_seed(seed)
    order = torch.cat(
        [
            first + torch.randperm(int(last - first), generator=generator)
            for first, last in zip(jets.ptr[:-1].tolist(), jets.ptr[1:].tolist(), strict=True)
        ]
    )
    return Clouds(jets.pt_N[order], jets.eta_N[order], jets.phi_N[order], jets.ptr)


@settings(max_examples=20, deadline=None)
@given(sizes, seeds, outputs)
def test_the_order_of_particles_does_not_matter(sizes, seed, output):
    net = net_of(output, seed)
    ours, theirs = two_sides(sizes, seed)
    same(net(shuffled(ours, seed), shuffled(theirs, seed + 2)), net(ours, theirs))


@settings(max_examples=20, deadline=None)
@given(sizes, seeds, outputs, st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_the_scale_of_energy_does_not_matter(sizes, seed, output, factor, other):
    net = net_of(output, seed)
    ours, theirs = two_sides(sizes, seed)
    scaled = changed(ours, pt_N=ours.pt_N * factor), changed(theirs, pt_N=theirs.pt_N * other)
    same(net(*scaled), net(ours, theirs))


@settings(max_examples=20, deadline=None)
@given(sizes, seeds, st.integers(-3, 3), st.floats(-4, 4), st.floats(-3, 3))
def test_phi_is_an_angle_and_only_differences_matter(sizes, seed, turns, angle, eta):
    net = net_of(seed=seed)
    ours, theirs = two_sides(sizes, seed)
    before = net(ours, theirs)
    lots = torch.arange(len(ours.pt_N)).double() % 3 - 1
    wound = changed(ours, phi_N=ours.phi_N + 2 * math.pi * turns * lots)
    same(net(wound, theirs), before)
    moved = [
        changed(jets, phi_N=jets.phi_N + angle, eta_N=jets.eta_N + eta) for jets in (ours, theirs)
    ]
    same(net(*moved), before)


@settings(max_examples=20, deadline=None)
@given(sizes, seeds, st.sampled_from(["softplus", "relu"]))
def test_two_of_the_outputs_are_never_negative(sizes, seed, output):
    assert (net_of(output, seed)(*two_sides(sizes, seed)) >= 0).all()


@settings(max_examples=20, deadline=None)
@given(sizes, seeds)
def test_a_batch_equals_its_pairs_one_by_one(sizes, seed):
    net = net_of(seed=seed)
    ours, theirs = two_sides(sizes * 4, seed)
    each = [
        net(*(side.select(torch.tensor([b])) for side in (ours, theirs))) for b in range(len(ours))
    ]
    same(net(ours, theirs), torch.cat(each))


def test_shifts_are_seen():
    """The study's own centring is blind to them."""
    jets = clouds_of([20], 1)
    moved = changed(jets, eta_N=jets.eta_N + 0.1)
    assert net_of()(jets, moved) > 1e-3


def test_total_momenta_count_only_where_asked_for():
    ours, theirs = clouds_of([9], 1), clouds_of([9], 2)
    more = changed(ours, pt_N=2 * ours.pt_N)
    asked = net_of(total_pt=True)
    assert (asked(ours, theirs) - asked(more, theirs)).abs() > 1e-6


@pytest.mark.parametrize("output", OUTPUTS)
def test_gradients_reach_every_momentum(output):
    # All neighbours, so that who is near doesn't change on the way.
    net = net_of(output, loud=1.0, neighbours=50)
    ours, theirs = clouds_of([1, 4, 3], 1), clouds_of([3, 2, 5], 2)

    def distance(pt, eta, phi):
        return net(Clouds(pt, eta, phi, ours.ptr), theirs)

    inputs = tuple(x.clone().requires_grad_() for x in (ours.pt_N, ours.eta_N, ours.phi_N))
    assert torch.autograd.gradcheck(distance, inputs, eps=1e-7, atol=1e-5, rtol=1e-3)
    for grad in torch.autograd.grad(distance(*inputs).sum(), inputs):
        # Of a jet of one particle the share is 1 whatever its pT.
        assert (grad[1:] != 0).all()


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("pt", [[0.0, 0.0, 5.0], [0.0, 0.0, 0.0], [-1.0, 2.0, 1e-12]])
def test_finite_without_momentum_far_away_and_for_equal_jets(output, pt):
    net = net_of(output)
    jets = clouds_of([3], 1)
    far = torch.tensor([90.0, 0.0, 0.1]).double()
    columns = (x.clone().requires_grad_() for x in (torch.tensor(pt).double(), far, jets.phi_N))
    ours = Clouds(*columns, jets.ptr)
    for theirs in (jets, changed(ours, pt_N=ours.pt_N.detach())):
        found = net(ours, theirs)
        grads = torch.autograd.grad(found.sum(), (ours.pt_N, ours.eta_N, ours.phi_N))
        assert found.isfinite().all()
        assert all(grad.isfinite().all() for grad in grads)


def test_sides_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="2 jets on one side, 1 on the other"):
        net_of()(clouds_of([2, 3]), clouds_of([2]))
