"""Losses of optimal transport against POT, closed forms and finite differences."""

import numpy as np
import ot
import pytest
import torch
from jet_pairs import cost_of, jets, member

from raybead.errors import InputError, TrainingError
from raybead.graphs.momenta import Momenta
from raybead.losses import deepemd as quadratic
from raybead.losses.deepemd import deepemd
from raybead.losses.emd import emd
from raybead.losses.sinkhorn import sinkhorn
from raybead.observables import energy_movers_distance

LOSSES = [emd, sinkhorn, deepemd]
each_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)


def momenta(many, dtype=torch.float64):
    columns = (torch.tensor(x, dtype=dtype) for x in many[:3])
    return Momenta(*columns), torch.tensor(many[3])


def smeared(many, seed=9, width=0.1):
    """The same jets as if reconstructed: each constituent somewhat elsewhere, harder or softer."""
    r, (pt, eta, phi, offsets) = np.random.default_rng(seed), many
    n = len(pt)
    pt, eta = pt * r.lognormal(0, 0.5, n), eta + r.normal(0, width, n)
    return pt, eta, phi + r.normal(0, width, n), offsets


def regularised(a, b, cost, epsilon):
    """POT's plan, and what it costs with its relative entropy."""
    plan = ot.sinkhorn(a, b, cost, epsilon, "sinkhorn_log", numItermax=3000, stopThr=1e-8)
    return (plan * cost).sum() + epsilon * (plan * np.log(plan / np.outer(a, b))).sum()


class TestValues:
    @each_loss
    def test_one_particle_against_one(self, loss):
        x = Momenta(*(torch.tensor([v], dtype=torch.float64) for v in (3.0, 0.1, 3.1)))
        y = Momenta(*(torch.tensor([v], dtype=torch.float64) for v in (7.0, 0.4, -3.0)))
        turn = 2 * np.pi - 6.1
        found = loss(x, y, torch.tensor([0, 1]), radius=0.8, beta=2.0)
        np.testing.assert_allclose(found, [(0.3**2 + turn**2) / 0.64], rtol=1e-9)

    def test_emd_equals_the_observable(self):
        a, b = jets([30, 1, 12], seed=1), jets([4, 20, 12], seed=2)
        (x, ptr), (y, ptr2) = momenta(a), momenta(b)
        expected = energy_movers_distance(*a, *b, radius=0.8)
        np.testing.assert_allclose(emd(x, y, ptr, ptr2, radius=0.8), expected, rtol=1e-12)

    @pytest.mark.parametrize("sizes", [[10] * 20, [30] * 20, [100] * 4, [2, 5, 17, 60]])
    def test_deepemd_is_emd_within_a_percent(self, sizes):
        many = jets(sizes, seed=3)
        for width in (0.01, 0.1):
            (x, ptr), (y, _) = momenta(many), momenta(smeared(many, width=width))
            exact, found = emd(x, y, ptr), deepemd(x, y, ptr)
            assert ((found - exact).abs() <= 0.01 * exact).all()
            assert (found <= exact + 1e-8).all()

    def test_deepemd_of_two_particles_in_closed_form(self):
        # Shares 1/2, 1/2 of (0, 1) onto 1/2 + t, 1/2 - t: f = [[1/2 - w, w], [t + w, 1/2 - t - w]]
        # costs t + 2 w, and squares; the slope by w at w = 0 is 2 - gamma (1 - 2 t) > 0: w = 0.
        t, gamma = 0.2, 0.5
        x, y = (
            Momenta(torch.tensor(p).double(), torch.tensor([0.0, 1.0]).double(), torch.zeros(2))
            for p in ([0.5, 0.5], [0.5 + t, 0.5 - t])
        )
        squares = 0.5**2 + t**2 + (0.5 - t) ** 2
        rest = 0.5 + (0.5 + t) ** 2 + (0.5 - t) ** 2
        expected = t + gamma / 2 * squares - gamma / 4 * rest
        found = deepemd(x, y, torch.tensor([0, 2]), regulariser=gamma)
        np.testing.assert_allclose(found, [expected], rtol=1e-7)

    @pytest.mark.parametrize("epsilon", [0.3, 0.1])
    def test_sinkhorn_equals_pot(self, epsilon):
        a, b = jets([12, 20], seed=4, width=0.2), jets([15, 6], seed=4, width=0.2)
        (x, ptr), (y, ptr2) = momenta(a), momenta(b)
        found = sinkhorn(x, y, ptr, ptr2, epsilon=epsilon, iterations=200)
        for i in range(2):
            p, q = member(a, i), member(b, i)
            s, t = p[0] / p[0].sum(), q[0] / q[0].sum()
            expected = (
                regularised(s, t, cost_of(p, q), epsilon)
                - regularised(s, s, cost_of(p, p), epsilon) / 2
                - regularised(t, t, cost_of(q, q), epsilon) / 2
            )
            np.testing.assert_allclose(found[i], expected, rtol=1e-5)

    def test_sinkhorn_tends_to_emd(self):
        many = jets([20] * 8, seed=5)
        (x, ptr), (y, _) = momenta(many), momenta(smeared(many))
        exact = emd(x, y, ptr)
        off = [
            ((sinkhorn(x, y, ptr, epsilon=e, iterations=n) - exact).abs() / exact).max()
            for e, n in ((0.1, 60), (0.01, 200), (0.002, 500))
        ]
        assert off[0] > off[1] > off[2]
        assert off[2] < 0.03

    def test_sinkhorn_has_nearly_converged_by_default(self):
        many = jets([30] * 10, seed=6)
        (x, ptr), (y, _) = momenta(many), momenta(smeared(many))
        few, many_more = sinkhorn(x, y, ptr), sinkhorn(x, y, ptr, iterations=600)
        off = (few - many_more).abs() / many_more
        assert off.mean() < 0.01
        assert off.max() < 0.1


class TestGradients:
    @pytest.mark.parametrize("beta", [1.0, 2.0])
    @pytest.mark.parametrize(
        ("loss", "options"),
        [
            (emd, {}),
            (sinkhorn, {"epsilon": 0.5, "iterations": 30}),
            (deepemd, {}),
            (deepemd, {"regulariser": 0.1}),
        ],
        ids=["emd", "sinkhorn", "deepemd", "deepemd 0.1"],
    )
    def test_equal_finite_differences(self, loss, options, beta):
        (x, ptr), (y, ptr2) = momenta(jets([3, 1], seed=7)), momenta(jets([4, 2], seed=8))
        y = Momenta(y.pt_N, x.eta_N.mean() + y.eta_N, y.phi_N)
        leaves = [leaf.requires_grad_() for leaf in (x.pt_N, x.eta_N, x.phi_N)]
        others = [leaf.requires_grad_() for leaf in (y.pt_N, y.eta_N, y.phi_N)]

        def of(*six):
            return loss(Momenta(*six[:3]), Momenta(*six[3:]), ptr, ptr2, beta=beta, **options)

        assert torch.autograd.gradcheck(of, (*leaves, *others), eps=1e-5, atol=2e-4, rtol=1e-3)

    @each_loss
    def test_descent_brings_a_jet_to_its_target(self, loss):
        (x, ptr), (y, _) = momenta(jets([8], seed=1), torch.float32), momenta(jets([8], seed=1))
        r = torch.Generator().manual_seed(0)
        leaves = [
            (of + 0.2 * torch.randn(8, generator=r)).requires_grad_() for of in (x.eta_N, x.phi_N)
        ]
        target = Momenta(y.pt_N.float(), y.eta_N.float(), y.phi_N.float())
        descent = torch.optim.Adam(leaves, lr=0.015)
        values = []
        for _ in range(40):
            value = loss(Momenta(x.pt_N, *leaves), target, ptr).sum()
            descent.zero_grad()
            value.backward()
            descent.step()
            values.append(value.item())
        assert values[-1] < 0.25 * values[0]


class TestOddJets:
    @each_loss
    def test_a_particle_of_no_momentum_feels_what_more_would_cost(self, loss):
        def of(extra):
            pt = torch.tensor([3.0, extra, 1.0], dtype=torch.float64, requires_grad=True)
            eta = torch.tensor([0.0, 0.7, 1.0], dtype=torch.float64)
            y = Momenta(pt.detach().flip(0), eta + 0.05, torch.zeros(3))
            x = Momenta(pt, eta, torch.zeros(3))
            value = loss(x, y, torch.tensor([0, 3]))
            value.sum().backward()
            return value.item(), pt.grad[1].item()

        (bare, slope), (more, _) = of(0.0), of(1e-6)
        assert np.isfinite([bare, slope]).all()
        # The target changes as well, in the same place: no jump between none and hardly any.
        assert abs(more - bare) < 1e-5
        x, y = (
            Momenta(torch.tensor(p).double(), torch.tensor(e).double(), torch.zeros(len(p)))
            for p, e in (([3.0, 1.0], [0.0, 1.0]), ([1.0, 3.0], [0.05, 1.05]))
        )
        np.testing.assert_allclose(loss(x, y, torch.tensor([0, 2])).item(), bare, atol=2e-3)

    @each_loss
    def test_jets_of_no_momentum_at_all_share_it_evenly(self, loss):
        (y, ptr) = momenta(jets([5, 3], seed=1))
        pt = torch.zeros(8, dtype=torch.float64, requires_grad=True)
        value = loss(Momenta(pt, y.eta_N, y.phi_N), y, ptr)
        value.sum().backward()
        even = loss(Momenta(torch.ones(8).double(), y.eta_N, y.phi_N), y, ptr)
        np.testing.assert_allclose(value.detach(), even, rtol=1e-12)
        assert pt.grad.isfinite().all()

    @each_loss
    def test_not_a_number_stays_in_its_jet(self, loss):
        (x, ptr), (y, _) = momenta(jets([4, 4, 4], seed=1)), momenta(jets([4, 4, 4], seed=2))
        broken = Momenta(
            x.pt_N, x.eta_N.clone().index_fill_(0, torch.tensor([5]), np.nan), x.phi_N
        )
        found, sound = loss(broken, y, ptr), loss(x, y, ptr)
        assert found[1].isnan()
        torch.testing.assert_close(found[[0, 2]], sound[[0, 2]])

    @each_loss
    def test_single_precision_in_and_out(self, loss):
        a, b = jets([30] * 3, seed=1), jets([30] * 3, seed=2)
        (x, ptr), (y, _) = momenta(a, torch.float32), momenta(b, torch.float32)
        (u, _), (v, _) = momenta(a), momenta(b)
        found = loss(x, y, ptr)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), loss(u, v, ptr), rtol=1e-4, atol=1e-6)

    @each_loss
    def test_an_empty_batch_has_no_distances(self, loss):
        none = Momenta(torch.zeros(0), torch.zeros(0), torch.zeros(0))
        assert loss(none, none, torch.tensor([0])).shape == (0,)

    @each_loss
    def test_an_empty_jet_is_named(self, loss):
        (x, _), (y, _) = momenta(jets([4])), momenta(jets([4]))
        with pytest.raises(InputError, match="jet 1 of the batch has no constituent"):
            loss(x, y, torch.tensor([0, 4, 4]), torch.tensor([0, 2, 4]))

    @each_loss
    def test_sides_of_unequal_length_are_named(self, loss):
        (x, ptr), (y, ptr2) = momenta(jets([4, 2])), momenta(jets([4]))
        with pytest.raises(InputError, match="2 jets from 1"):
            loss(x, y, ptr, ptr2)

    def test_an_unsolved_programme_is_an_error(self, monkeypatch):
        monkeypatch.setattr(quadratic, "_MOST_STEPS", 3)
        (x, ptr), (y, _) = momenta(jets([9, 9], seed=1)), momenta(jets([9, 9], seed=2))
        with pytest.raises(TrainingError, match="2 jets wasn't solved in 3 steps"):
            deepemd(x, y, ptr)


def test_sinkhorn_of_like_jets_is_settled():
    """Where plans are all but the identity, few iterations make like jets seem nearer."""
    generator = torch.Generator().manual_seed(0)
    n, jets = 30, 12
    ptr = torch.arange(jets + 1) * n
    pt = torch.rand(n * jets, generator=generator).double() ** -0.7
    eta, phi = 0.2 * torch.randn(2, n * jets, generator=generator).double()
    moved = 0.01 * torch.randn(2, n * jets, generator=generator).double()
    ours, theirs = Momenta(pt, eta, phi), Momenta(pt, eta + moved[0], phi + moved[1])
    for epsilon in (0.01, 0.003):
        found = sinkhorn(ours, theirs, ptr, epsilon=epsilon)
        settled = sinkhorn(ours, theirs, ptr, epsilon=epsilon, iterations=4000)
        torch.testing.assert_close(found, settled, rtol=0.02, atol=0)
