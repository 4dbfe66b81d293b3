"""Grooming, subjets and prong counts against slow loops, fastjet's contrib and closed forms."""

from itertools import combinations, pairwise
from math import hypot, pi

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recombined import make_jets, recombine
from recombined import soft_drop as slow_soft_drop

from raybead.errors import InputError
from raybead.events.clustering import cluster_sequence
from raybead.events.grooming import exclusive_subjets, soft_drop
from raybead.events.kinematics import massless
from raybead.observables.substructure import correlation_d2, n_subjettiness

SIZES = [5, 1, 0, 2, 12, 19, 3, 2, 8, 0, 16, 1]
GROOMS = [(0.1, 0.0), (0.1, 1.0), (0.3, 0.0), (0.05, 2.0), (0.2, -1.0)]


def jets_of(packed):
    """Each jet's (pt, eta, phi)."""
    *columns, offsets = packed
    return [tuple(column[a:b] for column in columns) for a, b in pairwise(offsets)]


def peer(packed, algorithm):
    pt, eta, phi, offsets = packed
    return cluster_sequence(massless(pt, eta, phi), np.diff(offsets), 1000.0, algorithm)


@pytest.mark.parametrize(("z_cut", "beta"), GROOMS)
def test_soft_drop_equals_the_loop(z_cut, beta):
    packed = make_jets(SIZES * 2, seed=1)
    kept = soft_drop(*packed, z_cut, beta, 0.8)
    assert kept.dtype == bool
    some_dropped = 0
    for jet, start in zip(jets_of(packed), packed[-1][:-1], strict=True):
        if len(jet[0]):
            expected = slow_soft_drop(*jet, z_cut, beta, 0.8)
            mask = kept[start : start + len(jet[0])]
            assert set(np.flatnonzero(mask).tolist()) == expected
            some_dropped += not mask.all()
    assert some_dropped > 1


@pytest.mark.parametrize(("z_cut", "beta"), GROOMS)
def test_soft_drop_equals_fastjets_contrib(z_cut, beta):
    packed = make_jets(np.random.default_rng(0).integers(1, 60, 150), seed=2)
    kept = soft_drop(*packed, z_cut, beta, 0.8)
    groomed = peer(packed, "cambridge-aachen").exclusive_jets_softdrop_grooming(
        beta=beta, symmetry_cut=z_cut, R0=0.8
    )
    px = massless(*packed[:3]).px
    for number, (a, b) in enumerate(pairwise(packed[-1])):
        expected = sorted(groomed.constituents[number].px.to_list())
        assert sorted(px[a:b][kept[a:b]].tolist()) == expected


@pytest.mark.parametrize("n", [1, 2, 3, 6, 30])
def test_exclusive_subjets_equal_the_loop(n):
    packed = make_jets(SIZES * 2, seed=3)
    subjets = exclusive_subjets(*packed, n)
    assert np.diff(subjets.offsets).tolist() == [min(size, n) for size in SIZES * 2]
    for number, jet in enumerate(jets_of(packed)):
        if len(jet[0]) == 0:
            continue
        expected = sorted(recombine(*jet, power=1, stop=n), key=lambda b: -b.pt)
        first, start = subjets.offsets[number], packed[-1][number]
        members = subjets.subjet_of[start : start + len(jet[0])]
        for rank, branch in enumerate(expected):
            found = np.flatnonzero(members == first + rank)
            assert sorted(found.tolist()) == sorted(branch.members)
            momentum = [component[first + rank] for component in subjets.momenta]
            np.testing.assert_allclose(momentum, branch.p, rtol=1e-9, atol=1e-9)
            assert subjets.rapidity[first + rank] == pytest.approx(branch.rapidity, abs=1e-9)


def test_exclusive_subjets_are_fastjets_own():
    packed = make_jets(np.random.default_rng(1).integers(10, 90, 100), seed=4)
    subjets = exclusive_subjets(*packed, 10)
    indices = peer(packed, "kt").exclusive_jets_constituent_index(10).to_list()
    for number, groups in enumerate(indices):
        a, b = packed[-1][number : number + 2]
        mine = [
            np.flatnonzero(subjets.subjet_of[a:b] == s).tolist()
            for s in range(subjets.offsets[number], subjets.offsets[number + 1])
        ]
        assert sorted(mine) == sorted(map(sorted, groups))


def test_two_prongs_are_dropped_by_their_share():
    # Shares 0.06 and 0.2 of a pair that is 0.4 apart.
    pt, eta, phi = np.array([94.0, 6, 80, 20]), np.array([0, 0.4, 1, 1.4]), np.full(4, 3.0)
    offsets = np.array([0, 2, 4])
    assert soft_drop(pt, eta, phi, offsets, 0.1, 0.0, 0.8).tolist() == [True, False, True, True]
    # (0.4 / 0.8)^1 halves the threshold.
    assert soft_drop(pt, eta, phi, offsets, 0.1, 1.0, 0.8).all()
    assert soft_drop(pt, eta, phi, offsets, 0.5, 0.0, 0.8).tolist() == [True, False, True, False]


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_equal_momenta_stay_together(beta):
    pt, eta, phi = np.full(6, 7.0), np.full(6, -0.3), np.full(6, -pi)
    offsets = np.array([0, 1, 3, 6])
    assert soft_drop(pt, eta, phi, offsets, 0.1, beta, 1.0).all()
    subjets = exclusive_subjets(pt, eta, phi, offsets, 2)
    assert np.diff(subjets.offsets).tolist() == [1, 2, 2]
    assert np.bincount(subjets.subjet_of).tolist() == [1, 1, 1, 2, 1]
    assert correlation_d2(pt, eta, phi, offsets).tolist() == [0, 0, 0]
    np.testing.assert_allclose(n_subjettiness(pt, eta, phi, offsets), 0, atol=1e-12)


def test_no_jets_and_empty_jets():
    nothing = np.empty(0)
    for offsets in (np.zeros(1, dtype=np.int64), np.zeros(4, dtype=np.int64)):
        jets = len(offsets) - 1
        packed = (nothing, nothing, nothing, offsets)
        assert soft_drop(*packed, 0.1, 0.0, 1.0).shape == (0,)
        assert exclusive_subjets(*packed, 3).offsets.tolist() == [0] * (jets + 1)
        assert correlation_d2(*packed).tolist() == [0] * jets
        assert n_subjettiness(*packed).tolist() == [[0, 0, 0]] * jets


@pytest.mark.parametrize(("column", "value"), [(0, 0.0), (0, -1.0), (1, np.inf), (2, np.nan)])
def test_constituents_that_cannot_be_clustered_are_named(column, value):
    packed = make_jets([4, 0, 3], seed=0)
    packed[column][5] = value
    with pytest.raises(InputError, match="jet 2, constituent 1"):
        soft_drop(*packed, 0.1, 0.0, 1.0)


def test_what_the_beam_takes_is_refused():
    packed = make_jets([4], seed=0)
    packed[0][1] = 1e-200  # its square is 0: fastjet sees it along the beam
    with pytest.raises(InputError, match="too far apart"):
        exclusive_subjets(*packed, 2)
    with pytest.raises(ValueError, match="0 subjets"):
        exclusive_subjets(*make_jets([4], seed=0), 0)


def slow_d2(pt, eta, phi, beta):
    z = pt / pt.sum()

    def r(i, j):
        turn = abs(phi[i] - phi[j])
        return hypot(eta[i] - eta[j], min(turn, 2 * pi - turn)) ** beta

    e2 = sum(z[i] * z[j] * r(i, j) for i, j in combinations(range(len(z)), 2))
    e3 = sum(
        z[i] * z[j] * z[k] * r(i, j) * r(j, k) * r(k, i)
        for i, j, k in combinations(range(len(z)), 3)
    )
    return e3 / e2**3 if e2 else 0.0


@pytest.mark.parametrize("beta", [1.0, 0.5, 2.0])
def test_d2_equals_the_triple_loop(beta):
    packed = make_jets([*SIZES, 30], seed=5)
    expected = [slow_d2(*jet, beta) for jet in jets_of(packed)]
    np.testing.assert_allclose(correlation_d2(*packed, beta=beta), expected, rtol=1e-9)


def test_d2_equals_fastjets_contrib():
    # Jets of more than one tile, and more blocks than one; some reach around the detector.
    pt, eta, phi, offsets = make_jets([3, 7, 59, 60, 61, 125, 190, 120, 121, 3], seed=6)
    phi[offsets[6] :] = np.random.default_rng(0).uniform(-pi, pi, len(phi) - offsets[6])
    packed = (pt, eta, phi, offsets)
    expected = ak.to_numpy(peer(packed, "kt").exclusive_jets_energy_correlator(func="d2"))
    np.testing.assert_allclose(correlation_d2(*packed), expected, rtol=1e-9)


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_n_subjettiness_equals_fastjets_contrib(beta):
    packed = make_jets(np.random.default_rng(2).integers(1, 60, 200), seed=7)
    tau = n_subjettiness(*packed, n_max=4, beta=beta, radius=0.8)
    expected = np.asarray(
        peer(packed, "kt").njettiness("NormalizedMeasure", "KT_Axes", [1, 2, 3, 4], beta, 0.8)
    )
    np.testing.assert_allclose(tau, expected, rtol=1e-9, atol=1e-9)
    least = n_subjettiness(*packed, n_max=4, beta=beta, radius=0.8, minimise=True)
    assert (least <= tau).all()
    assert (least < 0.99 * tau).any()
    expected = np.asarray(
        peer(packed, "kt").njettiness(
            "NormalizedMeasure", "OnePass_KT_Axes", [1, 2, 3, 4], beta, 0.8
        )
    )
    np.testing.assert_allclose(least, expected, rtol=0.02, atol=1e-3)


def test_n_subjettiness_equals_its_definition():
    packed = make_jets(SIZES, seed=8)
    tau = n_subjettiness(*packed, radius=0.5)
    for number, (pt, eta, phi) in enumerate(jets_of(packed)):
        for n in (1, 2, 3):
            total = 0.0
            axes = recombine(pt, eta, phi, power=1, stop=n)
            for i in range(len(pt)):
                turns = [abs(phi[i] - axis.phi) for axis in axes]
                arms = [
                    hypot(eta[i] - axis.rapidity, min(turn, 2 * pi - turn))
                    for axis, turn in zip(axes, turns, strict=True)
                ]
                total += pt[i] * min(arms)
            expected = total / (0.5 * pt.sum()) if len(pt) else 0.0
            assert tau[number, n - 1] == pytest.approx(expected, abs=1e-9)
    assert (tau[np.array(SIZES) < 2] == 0).all()


def test_closed_forms():
    # Two equal prongs 2d apart; three equal prongs on an equilateral triangle of side s.
    d, s = 0.2, 0.3
    eta = np.array([d, -d, 0, s, s / 2])
    phi = np.array([pi, pi, -pi, -pi, -pi + s * 3**0.5 / 2])
    packed = (np.full(5, 50.0), eta, phi, np.array([0, 2, 5]))
    tau, d2 = n_subjettiness(*packed), correlation_d2(*packed)
    np.testing.assert_allclose(tau[0], [d, 0, 0], atol=1e-12)
    assert tau[1, 2] == 0
    assert tau[1, 1] > 0.05
    # e2 = 3 s / 9, e3 = s^3 / 27.
    np.testing.assert_allclose(d2, [0, 1], atol=1e-12)


def measured(packed):
    return (
        n_subjettiness(*packed),
        n_subjettiness(*packed, minimise=True),
        correlation_d2(*packed),
        exclusive_subjets(*packed, 4).momenta,
    )


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    turn=st.floats(-pi, pi),
    boost=st.floats(-1.5, 1.5),
    scale=st.floats(0.1, 50),
)
def test_nothing_depends_on_frame_order_or_scale(seed, turn, boost, scale):
    packed = make_jets([9, 1, 30, 2, 14], seed)
    pt, eta, phi, offsets = packed
    rng = np.random.default_rng(seed)
    shuffled = np.concatenate([a + rng.permutation(b - a) for a, b in pairwise(offsets)])
    moved = (
        scale * pt[shuffled],
        eta[shuffled] + boost,
        (phi[shuffled] + turn + pi) % (2 * pi) - pi,
        offsets,
    )
    for groom in GROOMS:
        kept = soft_drop(*packed, *groom, 1.0)
        np.testing.assert_array_equal(soft_drop(*moved, *groom, 1.0), kept[shuffled])
    tau, least, d2, subjets = measured(packed)
    tau_2, least_2, d2_2, subjets_2 = measured(moved)
    np.testing.assert_allclose(tau_2, tau, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(least_2, least, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(d2_2, d2, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(subjets_2.pt, scale * subjets.pt, rtol=1e-6)
    rounding = 1e-7 * np.maximum(subjets_2.e, scale * subjets.e)
    assert (np.abs(subjets_2.mass - scale * subjets.mass) <= rounding).all()
