"""Terms of a loss against direct formulas, item by item in double precision."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from torch.distributions import Dirichlet, Independent, Normal, kl_divergence

from raybead.losses import bce, flow_kl, kl, l1, log_det, wasserstein, weights_l1, weights_l2
from raybead.models import Output

SIZES = [3, 1, 7, 2]


def outputs(sizes=SIZES, seed=0, features=3):
    generator = torch.Generator().manual_seed(seed)
    ptr = torch.tensor([0, *np.cumsum(sizes)])
    x, y = (
        torch.randn(int(ptr[-1]), features, generator=generator, dtype=torch.float64) for _ in "xy"
    )
    return Output(x.requires_grad_(), y, ptr, x)


def item_by_item(output):
    for a, b in zip(output.ptr[:-1], output.ptr[1:], strict=True):
        yield output.reconstruction_NF[a:b].tolist(), output.target_NF[a:b].tolist()


def mean_over_nodes_and_features(output, of):
    return torch.tensor(
        [
            np.mean(
                [of(a, b) for p, q in zip(x, y, strict=True) for a, b in zip(p, q, strict=True)]
            )
            for x, y in item_by_item(output)
        ]
    )


def slopes_are_right(term, output):
    def of(x):
        return term(dataclasses.replace(output, reconstruction_NF=x))

    assert torch.autograd.gradcheck(of, (output.reconstruction_NF,))


def test_l1_is_a_mean_of_magnitudes():
    output = outputs()
    expected = mean_over_nodes_and_features(output, lambda a, b: abs(a - b))
    torch.testing.assert_close(l1(output), expected)
    slopes_are_right(l1, output)


def test_bce_is_the_cross_entropy_of_targets_cut_to_their_range():
    output = outputs()  # targets from about -2 to 2: some within [0, 1], most beyond

    def of(logit, target):
        target, p = min(max(target, 0.0), 1.0), 1 / (1 + math.exp(-logit))
        return -target * math.log(p) - (1 - target) * math.log(1 - p)

    torch.testing.assert_close(bce(output), mean_over_nodes_and_features(output, of))
    slopes_are_right(bce, output)
    sure = dataclasses.replace(
        output,
        reconstruction_NF=torch.full_like(output.target_NF, -1e4),
        target_NF=torch.ones_like(output.target_NF),
    )
    torch.testing.assert_close(bce(sure), torch.full((4,), 1e4, dtype=torch.float64))


def test_wasserstein_equals_scipys():
    output = outputs()
    expected = [
        np.mean(
            [wasserstein_distance(p, q) for p, q in zip(*map(np.transpose, (x, y)), strict=True)]
        )
        for x, y in item_by_item(output)
    ]
    torch.testing.assert_close(wasserstein(output), torch.tensor(expected))
    slopes_are_right(wasserstein, output)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_wasserstein_is_blind_to_order_and_no_more_than_l1(sizes, seed):
    output = outputs(sizes, seed)
    generator = torch.Generator().manual_seed(seed)
    order = torch.cat(
        [
            a + torch.randperm(n, generator=generator)
            for a, n in zip(output.ptr[:-1], sizes, strict=True)
        ]
    )
    turned = dataclasses.replace(output, reconstruction_NF=output.reconstruction_NF[order])
    torch.testing.assert_close(wasserstein(turned), wasserstein(output))
    assert (wasserstein(output) <= l1(output) + 1e-12).all()
    same = dataclasses.replace(output, reconstruction_NF=output.target_NF[order])
    assert (wasserstein(same) == 0).all()


class TestDirichlet:
    CONCENTRATION = torch.tensor(
        [[0.3, 0.01, 2.0], [5.0, 5.0, 5.0], [40.0, 1.0, 7.0], [1e5, 2e5, 1e5]],
        dtype=torch.float64,
    )

    def output(self, concentration):
        return dataclasses.replace(outputs(), latent=concentration, concentration=concentration)

    @pytest.mark.parametrize("prior", [5.0, 0.5])
    def test_it_equals_torchs(self, prior):
        aim = Dirichlet(torch.full((3,), prior, dtype=torch.float64))
        expected = kl_divergence(Dirichlet(self.CONCENTRATION), aim)
        found = kl(self.output(self.CONCENTRATION), concentration=prior)
        torch.testing.assert_close(found, expected)
        single = kl(self.output(self.CONCENTRATION.float()), concentration=prior)
        torch.testing.assert_close(single, expected.float(), rtol=1e-5, atol=1e-5)

    def test_it_is_zero_at_the_prior_alone(self):
        found = kl(self.output(self.CONCENTRATION))
        assert abs(found[1]) < 1e-12
        assert (found[[0, 2, 3]] > 0.1).all()

    def test_its_slope_is_right(self):
        start = self.CONCENTRATION[:3].clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda a: kl(self.output(a)), (start,))

    def test_of_nodes_the_mean_is_taken(self):
        nodes = self.output(self.CONCENTRATION)
        each = kl(nodes)
        jets = dataclasses.replace(nodes, latent_ptr=torch.tensor([0, 3, 3, 4]))
        zero = each.new_zeros(())
        torch.testing.assert_close(kl(jets), torch.stack([each[:3].mean(), zero, each[3]]))

    def test_it_goes_before_what_it_was_made_of(self):
        """The Laplace bridge's mean and variance may be there, too."""
        bare = self.output(self.CONCENTRATION)
        both = dataclasses.replace(bare, mu=bare.latent, log_variance=bare.latent)
        torch.testing.assert_close(kl(both), kl(bare))


def flowed(mu, log_variance, z0, to=lambda z: z, log_det_of=lambda z: z.new_zeros(len(z))):
    n = len(mu)
    ptr = torch.arange(n + 1)
    nothing = mu.new_zeros(n, 1)
    return Output(
        nothing,
        nothing,
        ptr,
        latent=to(z0),
        mu=mu,
        log_variance=log_variance,
        z0=z0,
        log_det_B=log_det_of(z0),
    )


class TestFlowKl:
    def drawn(self, n, z=3, seed=0):
        generator = torch.Generator().manual_seed(seed)
        mu, log_variance, noise = torch.randn(3, n, z, generator=generator, dtype=torch.float64)
        return mu, log_variance, mu + noise * (log_variance / 2).exp()

    def test_it_is_made_of_densities(self):
        mu, log_variance, z0 = self.drawn(6)
        output = flowed(
            mu, log_variance, z0, torch.tanh, lambda z: (1 - z.tanh() ** 2).log().sum(1)
        )
        start = Independent(Normal(mu, (log_variance / 2).exp()), 1)
        prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
        expected = kl_divergence(start, prior) - output.log_det_B
        expected = expected + prior.log_prob(z0) - prior.log_prob(output.latent)
        torch.testing.assert_close(flow_kl(output), expected)

    def test_its_slope_is_right(self):
        mu, log_variance, z0 = (x.requires_grad_() for x in self.drawn(3))

        def of(mu, log_variance, z0):
            return flow_kl(
                flowed(mu, log_variance, z0, torch.sinh, lambda z: z.cosh().log().sum(1))
            )

        assert torch.autograd.gradcheck(of, (mu, log_variance, z0))

    def test_of_a_flow_that_does_nothing_it_is_kl(self):
        mu, log_variance, z0 = self.drawn(6)
        plain = dataclasses.replace(flowed(mu, log_variance, z0), z0=None, log_det_B=None)
        torch.testing.assert_close(flow_kl(flowed(mu, log_variance, z0)), kl(plain))

    @pytest.mark.parametrize(("scale", "shift"), [(0.5, 0.3), (1.7, -0.4)])
    def test_its_mean_is_the_divergence_of_what_the_flow_makes(self, scale, shift):
        n, z = 40_000, 3
        mu, log_variance, _ = self.drawn(1)
        generator = torch.Generator().manual_seed(1)
        noise = torch.randn(n, z, generator=generator, dtype=torch.float64)
        many = mu.expand(n, -1), log_variance.expand(n, -1)
        z0 = mu + noise * (log_variance / 2).exp()
        stretched = z * math.log(scale)
        found = flow_kl(
            flowed(
                *many, z0, lambda x: scale * x + shift, lambda x: x.new_full((len(x),), stretched)
            )
        )
        made = Independent(Normal(scale * mu + shift, scale * (log_variance / 2).exp()), 1)
        prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
        error = found.std() / n**0.5
        assert error < 0.05
        assert abs(found.mean() - kl_divergence(made, prior)) < 4 * error

    def test_at_the_mean_a_wide_posterior_still_costs(self):
        """Where scores are taken, nothing is to be had from variances beyond the prior's."""
        mu, _, _ = self.drawn(5)
        wide = flow_kl(flowed(mu, torch.full_like(mu, 4.0), mu))
        assert (wide > flow_kl(flowed(mu, torch.zeros_like(mu), mu))).all()

    def test_log_det_is_what_is_stretched(self):
        mu, log_variance, z0 = self.drawn(4)
        output = flowed(
            mu, log_variance, z0, lambda z: 3 * z, lambda z: z.new_full((4,), 3 * math.log(3))
        )
        torch.testing.assert_close(log_det(output), z0.new_full((4,), -3 * math.log(3)))


def test_half_precision_is_summed_in_single():
    rough = dataclasses.replace(
        outputs(), reconstruction_NF=outputs().reconstruction_NF.detach().bfloat16()
    )
    rough = dataclasses.replace(rough, target_NF=rough.target_NF.float())
    for term in (l1, bce, wasserstein):
        assert term(rough).dtype == torch.float32
    mu = torch.randn(4, 3).bfloat16()
    output = flowed(mu, mu, mu, lambda z: 2 * z)
    assert flow_kl(output).dtype == log_det(output).dtype == torch.float32
    assert kl(dataclasses.replace(output, concentration=mu.exp())).dtype == torch.float32


def test_penalties_sum_over_every_parameter():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).double()
    numbers = [value for weight in net.parameters() for value in weight.flatten().tolist()]
    assert len(numbers) == 12
    assert weights_l1(net).item() == pytest.approx(sum(abs(x) for x in numbers))
    assert weights_l2(net).item() == pytest.approx(sum(x * x for x in numbers))
    weights_l2(net).backward()
    for weight in net.parameters():
        torch.testing.assert_close(weight.grad, 2 * weight.detach())
