"""Distances of optimal transport against closed forms, a linear programme, and POT."""

import numpy as np
import ot
import pytest
from jet_pairs import cost_of, jets, member
from scipy.optimize import linprog

from raybead.errors import InputError
from raybead.observables import transport as exact
from raybead.observables.transport import energy_movers_distance, optimal_transport


def one(pt, eta, phi):
    return np.array(pt, float), np.array(eta, float), np.array(phi, float), np.array([0, len(pt)])


def programme(ours, theirs, beta=1.0):
    """The same by a general solver of linear programmes."""
    a, b = ours[0] / ours[0].sum(), theirs[0] / theirs[0].sum()
    n, m = len(a), len(b)
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    found = linprog(
        (cost_of(ours, theirs) ** beta).ravel(),
        A_eq=np.concatenate([rows, columns[:-1]]),
        b_eq=np.concatenate([a, b[:-1]]),
    )
    return found.fun


class TestExact:
    def test_one_particle_against_one(self):
        far = energy_movers_distance(
            *one([3], [0.1], [0.2]), *one([500], [0.4], [-0.2]), radius=0.8, beta=2.0
        )
        np.testing.assert_allclose(far, (0.5 / 0.8) ** 2, rtol=1e-14)

    def test_two_particles_each_have_a_closed_form(self):
        # Places 0 and 1 on a line: what the first place has too much goes to the second.
        a, b = one([3, 1], [0, 1], [0, 0]), one([2, 6], [0, 1], [0, 0])
        np.testing.assert_allclose(energy_movers_distance(*a, *b), 0.75 - 0.25, rtol=1e-14)

    def test_one_particle_against_many_is_the_mean_distance(self):
        many = jets([9], seed=3)
        alone = one([1], [0.3], [-0.2])
        expected = (many[0] * cost_of(alone, many)[0]).sum() / many[0].sum()
        np.testing.assert_allclose(energy_movers_distance(*alone, *many), expected, rtol=1e-13)

    @pytest.mark.parametrize("beta", [1.0, 2.0])
    def test_a_general_linear_programme_finds_the_same(self, beta):
        a, b = jets([1, 5, 12, 8], seed=1), jets([4, 7, 1, 8], seed=2)
        found = energy_movers_distance(*a, *b, beta=beta)
        expected = [programme(member(a, i), member(b, i), beta) for i in range(4)]
        np.testing.assert_allclose(found, expected, rtol=1e-9)

    def test_equals_pot(self):
        a, b = jets([30, 100, 3], seed=4), jets([40, 20, 3], seed=5)
        for i, found in enumerate(energy_movers_distance(*a, *b)):
            x, y = member(a, i), member(b, i)
            expected = ot.emd2(x[0] / x[0].sum(), y[0] / y[0].sum(), cost_of(x, y))
            np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_a_particle_of_no_momentum_counts_for_nothing(self):
        a = one([3, 0, 1], [0, 5, 1], [0, 0, 0.1])
        bare, b = one([3, 1], [0, 1], [0, 0.1]), jets([6], seed=1)
        np.testing.assert_allclose(
            energy_movers_distance(*a, *b), energy_movers_distance(*bare, *b), rtol=1e-14
        )

    def test_potentials_certify_the_plan(self):
        x, y = member(jets([20], seed=1), 0), member(jets([15], seed=2), 0)
        a, b, cost = x[0] / x[0].sum(), y[0] / y[0].sum(), cost_of(x, y)
        a[[3, 7]], b[2] = 0, 0
        a, b = a / a.sum(), b / b.sum()
        found = optimal_transport(a, b, cost)
        np.testing.assert_allclose(found.plan_NM.sum(axis=1), a, atol=1e-13)
        np.testing.assert_allclose(found.plan_NM.sum(axis=0), b, atol=1e-13)
        slack = cost - found.potential_N[:, None] - found.potential_M[None]
        assert slack.min() > -1e-12
        np.testing.assert_allclose((slack * found.plan_NM).sum(), 0, atol=1e-13)
        np.testing.assert_allclose(a @ found.potential_N + b @ found.potential_M, found.cost)


class TestRefused:
    def test_no_momentum(self):
        a = np.array([1.0, 0, 0]), np.zeros(3), np.zeros(3), np.array([0, 1, 3])
        b = jets([2, 2])
        with pytest.raises(InputError, match="second jet 1 has no momentum"):
            energy_movers_distance(*b, *a)

    def test_no_constituent(self):
        a = np.array([1.0]), np.zeros(1), np.zeros(1), np.array([0, 0, 1])
        with pytest.raises(InputError, match="first jet 0 has no momentum"):
            energy_movers_distance(*a, *jets([2, 2]))

    @pytest.mark.parametrize(
        ("column", "value"), [(0, -1.0), (0, np.nan), (1, np.inf), (2, np.nan)]
    )
    def test_values_that_no_jet_has(self, column, value):
        a = jets([2, 3])
        a[column][3] = value
        with pytest.raises(InputError, match="first jet 1 has a constituent"):
            energy_movers_distance(*a, *jets([2, 2]))

    def test_sides_of_unequal_length(self):
        with pytest.raises(InputError, match="2 jets on one side, 3 on the other"):
            energy_movers_distance(*jets([2, 3]), *jets([2, 2, 2]))

    def test_a_solver_that_stops_early_is_an_error(self, monkeypatch):
        monkeypatch.setattr(exact, "MOST_PIVOTS", 3)
        with pytest.raises(InputError, match="no optimum within 3 pivots"):
            energy_movers_distance(*jets([30]), *jets([30], seed=1))
