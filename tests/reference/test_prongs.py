"""tau21 of leading constituents against the N-subjettiness of cut-down jets."""

from itertools import pairwise

import numpy as np
import pytest

from raybead.graphs import jet_facts
from raybead.observables import n_subjettiness, tau21_of_leading


def jets(sizes, seed=0):
    rng = np.random.default_rng(seed)
    parts = [np.sort(rng.exponential(20, n))[::-1] for n in sizes]
    total = sum(sizes)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return (
        np.concatenate(parts), rng.normal(0, 0.3, total), rng.normal(0, 0.3, total), offsets,
    )  # fmt: skip


def test_it_is_the_ratio_of_the_leading_ones():
    pt, eta, phi, offsets = jets([3, 8, 40, 120])
    found = tau21_of_leading(pt, eta, phi, offsets, leading=10)
    for j, (low, high) in enumerate(pairwise(offsets)):
        one = slice(low, min(low + 10, high))
        ((tau1, tau2),) = n_subjettiness(
            pt[one], eta[one], phi[one], np.array([0, one.stop - low]), n_max=2
        )
        assert found[j] == pytest.approx(tau2 / tau1, rel=1e-12)
    every = tau21_of_leading(pt, eta, phi, offsets, leading=1000)
    tau = n_subjettiness(pt, eta, phi, offsets, n_max=2)
    np.testing.assert_allclose(every, tau[:, 1] / tau[:, 0], rtol=1e-12)


def test_two_prongs_have_a_low_one():
    rng = np.random.default_rng(1)
    eta = np.r_[rng.normal(0, 0.05, 40), rng.normal([-0.4, 0.4] * 20, 0.05)]
    found = tau21_of_leading(
        np.ones(80), eta, rng.normal(0, 0.05, 80), np.array([0, 40, 80]), leading=40
    )
    assert found[1] < 0.3 < found[0]


def test_jets_that_have_no_tau1_count_as_one_prong():
    # One constituent; two in one direction; one and one without pT; two apart; none.
    pt = np.array([5.0, 3, 2, 4, 0, 6, 1])
    eta = np.array([0.1, 0.2, 0.2, 0.3, 0.9, 0.0, 0.5])
    found = tau21_of_leading(pt, eta, eta, np.array([0, 1, 3, 5, 7, 7]))
    np.testing.assert_allclose(found, [1, 1, 1, 0, 1], atol=1e-12)


def test_jet_facts_tell_it_in_order(event_rows):
    facts = jet_facts(event_rows)
    row = event_rows.slice(3, 1)
    alone = jet_facts(row)
    np.testing.assert_allclose(facts.tau21[6:8], alone.tau21, rtol=1e-12)
    assert len(facts.tau21) == 2 * len(event_rows)
    assert ((facts.tau21 >= 0) & (facts.tau21 <= 1.2)).all()
