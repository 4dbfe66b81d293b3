"""What holds for any two jets, of every distance of optimal transport."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from raybead.graphs.momenta import Momenta
from raybead.losses.deepemd import deepemd
from raybead.losses.emd import emd
from raybead.losses.sinkhorn import sinkhorn
from raybead.observables import energy_movers_distance

LOSSES = [emd, sinkhorn, deepemd]
TIGHT = {"rtol": 1e-7, "atol": 2e-8}  # deepemd's programme is solved to 1e-9 of its largest cost


@st.composite
def jets(draw, width=1.0):
    """A jet [n, 3] of (pT, eta, phi): hard and soft, at equal places, of no momentum, at the seam.

    At most ``width`` from a centre that may lie where azimuths jump.
    """
    n = draw(st.integers(1, 7))
    where = st.one_of(st.sampled_from([0.0, 0.1, -0.2]), st.floats(-width, width, width=32))
    momentum = st.one_of(st.just(0.0), st.floats(1, 20), st.floats(100, 2000))
    rows = [[draw(momentum), draw(where), draw(where)] for _ in range(n)]
    rows[0][0] += 1.0
    return np.array(rows, dtype=np.float64)


def turned(jet, angle):
    away = jet.copy()
    away[:, 2] = (jet[:, 2] + angle + np.pi) % (2 * np.pi) - np.pi
    return away


def scaled(jet, factor):
    return jet * np.array([factor, 1, 1])


def packed(many):
    flat = torch.from_numpy(np.concatenate(many))
    ptr = torch.tensor([0, *np.cumsum([len(jet) for jet in many])])
    return Momenta(*flat.unbind(1)), ptr


def distances(loss, pairs, **options):
    (ours, ptr), (theirs, ptr2) = (packed(side) for side in zip(*pairs, strict=True))
    return loss(ours, theirs, ptr, ptr2, **options).numpy()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
@settings(max_examples=15, deadline=None)
@given(a=jets(), b=jets(), factor=st.floats(1e-2, 1e2), angle=st.floats(-7, 7), seed=st.integers())
@example(  # the unlike pair takes longer to settle than the like one
    a=np.array([[1, 0, 0], [100, 0, 0.1], [100, 1, 0]]),
    b=np.array([[1.0, 0, 0], [1, 0, 1]]),
    factor=1.0,
    angle=0.0,
    seed=0,
)
def test_a_distance_of_shares_of_momentum(loss, a, b, factor, angle, seed):
    shuffled = np.random.default_rng(abs(seed)).permutation(a)
    base, swapped, loud, away, mixed, rest, at_rest = distances(
        loss,
        [
            (a, b),
            (b, a),
            (scaled(a, factor), b),
            (turned(a, angle), turned(b, angle)),
            (shuffled, b),
            (a, a),
            (shuffled, a),
        ],
    )
    np.testing.assert_allclose(swapped, base, **TIGHT, err_msg="symmetry")
    np.testing.assert_allclose(loud, base, **TIGHT, err_msg="scale of energy")
    np.testing.assert_allclose(away, base, **TIGHT, err_msg="turn about the beam")
    np.testing.assert_allclose(mixed, base, **TIGHT, err_msg="order of constituents")
    np.testing.assert_allclose([rest, at_rest], 0, atol=2e-8, err_msg="equal jets")
    assert base > -1e-12


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
@settings(max_examples=6, deadline=None)
@given(pairs=st.lists(st.tuples(jets(), jets()), min_size=2, max_size=6))
def test_a_batch_equals_a_loop_over_jets(loss, pairs):
    alone = np.concatenate([distances(loss, [pair]) for pair in pairs])
    np.testing.assert_allclose(distances(loss, pairs), alone, **TIGHT)


@settings(max_examples=30, deadline=None)
@given(a=jets(), b=jets(), c=jets(), angle=st.floats(0, 3))
def test_no_way_is_shorter_over_a_third_jet(a, b, c, angle):
    far = turned(c, angle)
    direct, first, second = distances(emd, [(a, b), (a, far), (far, b)])
    assert direct <= first + second + 1e-12


@settings(max_examples=30, deadline=None)
@given(a=jets(), b=jets(), radius=st.sampled_from([0.4, 1.0]))
def test_centres_are_no_farther_apart_than_jets(a, b, radius):
    centres = [np.average(jet[:, 1:], axis=0, weights=jet[:, 0]) for jet in (a, b)]
    apart = np.hypot(*(centres[0] - centres[1])) / radius
    assert distances(emd, [(a, b)], radius=radius)[0] >= apart - 1e-12


@settings(max_examples=30, deadline=None)
@given(a=jets(), b=jets(), gamma=st.sampled_from([1e-4, 1e-2, 1.0]))
def test_deepemd_lies_within_its_bounds(a, b, gamma):
    exact = distances(emd, [(a, b)])[0]
    squares = sum(((jet[:, 0] / jet[:, 0].sum()) ** 2).sum() for jet in (a, b))
    found = distances(deepemd, [(a, b)], regulariser=gamma)[0]
    assert exact - gamma / 4 * squares - 1e-8 <= found <= exact + 1e-8


@settings(max_examples=30, deadline=None)
@given(a=jets(), b=jets(), beta=st.sampled_from([1.0, 2.0, 0.5]))
def test_emd_is_the_observable(a, b, beta):
    offsets = [np.array([0, len(jet)]) for jet in (a, b)]
    expected = energy_movers_distance(*a.T, offsets[0], *b.T, offsets[1], beta=beta)
    np.testing.assert_allclose(
        distances(emd, [(a, b)], beta=beta), expected, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
@settings(max_examples=15, deadline=None)
@given(a=jets(), b=jets(), beta=st.sampled_from([1.0, 2.0]))
def test_gradients_are_finite_and_of_the_scale_of_the_jet(loss, a, b, beta):
    (ours, ptr), (theirs, ptr2) = packed([a, a]), packed([b, a])
    leaves = [x.float().requires_grad_() for x in (ours.pt_N, ours.eta_N, ours.phi_N)]
    loss(Momenta(*leaves), theirs, ptr, ptr2, beta=beta).sum().backward()
    for leaf in leaves:
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
    # One unit of momentum moved by one rad costs beta times the largest distance at most.
    assert leaves[1].grad.abs().max() <= 1.001 * beta * 2 * 3
    pt, slope = leaves[0].detach(), leaves[0].grad
    for own in (slice(0, len(a)), slice(len(a), None)):  # more of all is the same jet
        torch.testing.assert_close(pt[own] @ slope[own], torch.tensor(0.0), atol=1e-5, rtol=0)
